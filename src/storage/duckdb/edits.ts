/** Removes and renames rows, within the writer's transaction. See storage/edits.ts. */
import { noteName } from "../../market/rollup-note.ts";
import type { Edit, Removal, Renaming, SaveRefusal } from "../contract.ts";
import { type AppliedRows, appliedRemoval, type FoundRows, movedRefusal } from "../edits.ts";
import { KIND_NAMES, kindOf, TABLE_NAMES } from "../model/kinds.ts";
import { tickerTaken } from "../save-refusals.ts";
import type { DailySaves } from "./daily-saves.ts";
import { storable } from "./lines.ts";
import { STAMP_FORMATS } from "./newest-stored.ts";
import { renameNote } from "./notes.ts";
import type { Session } from "./session.ts";

export interface EditContext {
  session: Session;
  daily: DailySaves;
  foreignCommits: number;
}

export function applyEdit(edit: Edit, options: EditContext): Promise<AppliedRows | SaveRefusal> {
  return edit.what === "removal" ? remove(edit, options) : rename(edit, options);
}

async function remove(
  removal: Removal & { dryRun: boolean },
  options: EditContext,
): Promise<AppliedRows | SaveRefusal> {
  const { session, daily, foreignCommits } = options;
  const { table, stamp } = kindOf(removal.kind);
  const { where, params } = rowsOf(removal);
  const [row] = await session.rows(
    `SELECT count(*), strftime(min("${stamp.name}"), '${STAMP_FORMATS[stamp.type]}'),
       max(write_timestamp)::VARCHAR,
       sum(epoch_us(write_timestamp) % 3600000000)::VARCHAR
     FROM ${table} WHERE ${where}`,
    params,
  );
  const [count, first, written, sum] = row!;
  const found: FoundRows = { rows: Number(count), written: String(written), writtenSum: String(sum) };
  const moved = movedRefusal(removal, found);
  if (moved !== null) return moved;
  const applied = appliedRemoval(removal, found);
  if (removal.dryRun || applied.rows === 0) return applied;
  await session.run(`DELETE FROM ${table} WHERE ${where}`, params);
  if (removal.kind === "daily")
    await daily.recompute(storable(removal.ticker), String(first), foreignCommits);
  return applied;
}

/** Stamps, as texts, compare by the type of their column. */
function rowsOf({ kind: name, ticker, part, from, to, ids, extra }: Removal): {
  where: string;
  params: string[];
} {
  const kind = kindOf(name);
  const type = kind.stamp.type === "date" ? "DATE" : "TIMESTAMP";
  const conditions: [string, string | null][] = [
    ["ticker = ?", storable(ticker)],
    [`"${kind.part}" = ?`, part === null ? null : storable(part)],
    [`"${kind.stamp.name}" >= ?::${type}`, from],
    [`"${kind.stamp.name}" <= ?::${type}`, to],
    [
      `id IN (SELECT unnest(from_json(?::VARCHAR, '["VARCHAR"]')))`,
      ids === null ? null : JSON.stringify(ids.map((id) => storable(id))),
    ],
    ["extra = ?", extra ?? null],
  ];
  const used = conditions.filter(([, param]) => param !== null);
  return {
    where: used.map(([sql], index) => sql.replace("?", `$${index + 1}`)).join(" AND "),
    params: used.map(([, param]) => param!),
  };
}

async function rename(
  { ticker, newTicker, dryRun }: Renaming & { dryRun: boolean },
  { session }: EditContext,
): Promise<AppliedRows | SaveRefusal> {
  const [old, fresh] = [storable(ticker), storable(newTicker)];
  const counts = (of: string) =>
    session.rows(
      KIND_NAMES.map((name) => `SELECT count(*) FROM ${kindOf(name).table} WHERE ticker = $1`).join(
        " UNION ALL ",
      ),
      [of],
    );
  const sum = (rows: unknown[][]): number => rows.reduce((total, [count]) => total + Number(count), 0);
  if (sum(await counts(fresh)) > 0) return tickerTaken(newTicker);
  const rows = sum(await counts(old));
  if (dryRun || rows === 0) return { rows };
  for (const table of TABLE_NAMES)
    await session.run(`UPDATE ${table} SET ticker = $2 WHERE ticker = $1`, [old, fresh]);
  await renameNote(session, noteName(ticker), noteName(newTicker));
  // The next save makes them again.
  await session.run("DELETE FROM daily_checkpoints WHERE ticker = $1 OR ticker = $2", [old, fresh]);
  return { rows };
}
