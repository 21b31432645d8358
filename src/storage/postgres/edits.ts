/** Removes and renames rows, within the writer's transaction. See storage/edits.ts. */
import { noteName } from "../../market/rollup-note.ts";
import { isStorable } from "../../market/storable-text.ts";
import type { Edit, Removal, Renaming, SaveRefusal } from "../contract.ts";
import { type AppliedRows, appliedRemoval, type FoundRows, movedRefusal } from "../edits.ts";
import { KIND_NAMES, kindOf, TABLE_NAMES } from "../model/kinds.ts";
import { tickerTaken } from "../save-refusals.ts";
import { textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { recomputeAverages } from "./daily-averages.ts";
import { renameNote } from "./notes.ts";
import { columnSql, SQL_TYPES, stampParam } from "./sql-text.ts";

/** A large edit takes longer than a statement of a save may. */
const STATEMENT_MS = 600_000;
const LONG = { timeoutMs: STATEMENT_MS };

/** The caller has locked its tickers. */
export async function applyEdit(
  connection: PostgresConnection,
  edit: Edit,
): Promise<AppliedRows | SaveRefusal> {
  await connection.run(`SET LOCAL statement_timeout = ${STATEMENT_MS}`);
  return edit.what === "removal" ? remove(connection, edit) : rename(connection, edit);
}

async function remove(
  connection: PostgresConnection,
  removal: Removal & { dryRun: boolean },
): Promise<AppliedRows | SaveRefusal> {
  const { kind: name, ticker, dryRun } = removal;
  const { table, stamp } = kindOf(name);
  const { where, params } = rowsOf(removal);
  const [found] = await connection.run<FoundRows & { first: string | null }>(
    `SELECT pg_catalog.count(*)::float8 AS rows, pg_catalog.min(p.${columnSql(stamp.name)})::text AS first,
       pg_catalog.max(p.write_timestamp)::text AS written,
       pg_catalog.sum(pg_catalog.date_part('microseconds', p.write_timestamp))::text AS "writtenSum"
     FROM ${table} p WHERE ${where}`,
    params,
    LONG,
  );
  const { first } = found!;
  const moved = movedRefusal(removal, found!);
  if (moved !== null) return moved;
  const applied = appliedRemoval(removal, found!);
  if (dryRun || applied.rows === 0) return applied;
  await connection.run(`DELETE FROM ${table} p WHERE ${where}`, params, LONG);
  if (name === "daily") await recomputeAverages(connection, ticker, first!);
  return applied;
}

function rowsOf({ kind: name, ticker, part, from, to, ids, extra }: Removal): {
  where: string;
  params: string[];
} {
  const kind = kindOf(name);
  const at = `p.${columnSql(kind.stamp.name)}`;
  const type = SQL_TYPES[kind.stamp.type];
  const conditions: [string, string | null][] = [
    ["p.ticker = ?", ticker],
    [`p.${columnSql(kind.part ?? "")} = ?`, part],
    [`${at} >= ?::${type}`, from === null ? null : stampParam(kind, from, "first")],
    [`${at} <= ?::${type}`, to === null ? null : stampParam(kind, to, "last")],
    ["p.id = ANY(?::text[])", ids === null ? null : textArray(ids.filter(isStorable))],
    ["p.extra = ?", extra ?? null],
  ];
  const used = conditions.filter(([, param]) => param !== null);
  return {
    where: used.map(([sql], index) => sql.replace("?", `$${index + 1}`)).join(" AND "),
    params: used.map(([, param]) => param!),
  };
}

async function rename(
  connection: PostgresConnection,
  { ticker, newTicker, dryRun }: Renaming & { dryRun: boolean },
): Promise<AppliedRows | SaveRefusal> {
  const count = async (of: string): Promise<number> => {
    const counts = KIND_NAMES.map(
      (name) => `(SELECT pg_catalog.count(*) FROM ${kindOf(name).table} WHERE ticker = $1)`,
    );
    const sql = `SELECT (${counts.join(" + ")})::float8 AS rows`;
    const [row] = await connection.run<{ rows: number }>(sql, [of], LONG);
    return row!.rows;
  };
  if ((await count(newTicker)) > 0) return tickerTaken(newTicker);
  const rows = await count(ticker);
  if (dryRun || rows === 0) return { rows };
  for (const table of TABLE_NAMES)
    await connection.run(`UPDATE ${table} SET ticker = $2 WHERE ticker = $1`, [ticker, newTicker], LONG);
  await renameNote(connection, noteName(ticker), noteName(newTicker));
  // The triggers have deleted them, where the database has any; the next save makes them again.
  await connection.run("DELETE FROM daily_checkpoints WHERE ticker IN ($1, $2)", [ticker, newTicker]);
  return { rows };
}
