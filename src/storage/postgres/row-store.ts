/** Saves rows: what a batch has of a kind, in a constant number of statements. */
import type { BarRow, PlainKind, SaveOutcome, SaveRows } from "../contract.ts";
import {
  byKind,
  keyColumns,
  keyText,
  kindOf,
  type RowKind,
  type SeriesRow,
  seriesColumns,
} from "../model/kinds.ts";
import { StagedRows } from "../staged-rows.ts";
import { plainArray, textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { countText } from "./count-text.ts";
import { saveDailyBars } from "./daily-averages.ts";
import { ROWS_PER_STATEMENT, slices } from "./slices.ts";
import { columnSql, SQL_TYPES, stampParam } from "./sql-text.ts";

interface KindSql {
  /** Which of the keys are stored, by their place. By the index for each: see tick-store.ts. */
  existing: string;
  upsert: string;
}

const SQL = byKind(kindSql);

function kindSql(kind: RowKind): KindSql {
  const key = keyColumns(kind).map(columnSql);
  const keyTypes = [
    ...seriesColumns(kind).map(() => "text"),
    SQL_TYPES[kind.stamp.type],
    ...(kind.hasSeq ? [SQL_TYPES.seq] : []),
  ];
  const columns = [...key, ...kind.values.map(({ name }) => name)];
  const types = [...keyTypes, ...kind.values.map(({ type }) => SQL_TYPES[type])];
  const arrays = (of: string[]): string => of.map((type, index) => `$${index + 1}::${type}[]`).join(", ");
  const same = key.map((name) => `p.${name} = w.${name}`);
  const updated = [...kind.values.map(({ name }) => name), "write_timestamp"];
  return {
    existing: `SELECT w.n::int AS n
      FROM unnest(${arrays(keyTypes)}) WITH ORDINALITY AS w(${key.join(", ")}, n)
      JOIN LATERAL (SELECT 1 FROM ${kind.table} p WHERE ${same.join(" AND ")} OFFSET 0) found ON true`,
    upsert: `INSERT INTO ${kind.table} (${columns.join(", ")}, write_timestamp)
      SELECT u.*, $${columns.length + 1}::timestamptz
      FROM unnest(${arrays(types)}) AS u(${columns.join(", ")})
      ON CONFLICT (${key.join(", ")}) DO UPDATE SET
      ${updated.map((name) => `${name} = excluded.${name}`).join(", ")}`,
  };
}

/** @param saves all of one kind. @returns an outcome for each. */
export async function saveRows(
  connection: PostgresConnection,
  name: PlainKind,
  saves: SaveRows[],
  writtenAt: string,
): Promise<SaveOutcome[]> {
  const existing = await findExisting(connection, name, saves);
  const staged = new Map<string, { save: SaveRows; rows: StagedRows }>();
  const outcomes = saves.map((save) => {
    const key = seriesKey(save);
    let series = staged.get(key);
    if (series === undefined) {
      const stored = existing.get(key);
      const kind = kindOf(name);
      series = { save, rows: new StagedRows((row) => stored?.has(keyText(kind, row)) === true) };
      staged.set(key, series);
    }
    return series.rows.stage(save);
  });
  const changes = [...staged.values()]
    .map(({ save: { ticker, part }, rows }) => ({ ticker, part, rows: rows.rows() }))
    .filter(({ rows }) => rows.length > 0);
  if (name === "daily") {
    const byTicker = new Map(changes.map(({ ticker, rows }) => [ticker, rows as BarRow[]]));
    await saveDailyBars(connection, byTicker, writtenAt);
  } else await upsertRows(connection, name, changes, writtenAt);
  return outcomes;
}

/** Tickers and parts hold no NUL here. */
function seriesKey({ ticker, part }: { ticker: string; part: string | null }): string {
  return `${ticker}\0${part}`;
}

/** By series, which keys of the saves that don't replace are taken. */
async function findExisting(
  connection: PostgresConnection,
  name: PlainKind,
  saves: SaveRows[],
): Promise<Map<string, Set<string>>> {
  const kind = kindOf(name);
  const existing = new Map<string, Set<string>>();
  const keys: PlacedRow[] = [];
  for (const { ticker, part, rows, onDuplicate } of saves) {
    if (onDuplicate !== "replace") for (const row of rows) keys.push({ ticker, part, row });
  }
  for (const slice of slices(keys, ROWS_PER_STATEMENT)) {
    const rows = await connection.run<{ n: number }>(SQL[name].existing, keyParams(kind, slice));
    for (const { n } of rows) {
      const key = slice[n - 1]!;
      const stored = existing.get(seriesKey(key));
      if (stored === undefined) existing.set(seriesKey(key), new Set([keyText(kind, key.row)]));
      else stored.add(keyText(kind, key.row));
    }
  }
  return existing;
}

interface PlacedRow {
  ticker: string;
  part: string | null;
  row: SeriesRow;
}

function keyParams(kind: RowKind, keys: PlacedRow[]): string[] {
  return [
    textArray(keys.map(({ ticker }) => ticker)),
    ...(kind.part === null ? [] : [textArray(keys.map(({ part }) => part!))]),
    plainArray(keys.map(({ row }) => stampParam(kind, row[0], "first"))),
    ...(kind.hasSeq ? [plainArray(keys.map(({ row }) => row.at(-1)!))] : []),
  ];
}

async function upsertRows(
  connection: PostgresConnection,
  name: PlainKind,
  changes: { ticker: string; part: string | null; rows: SeriesRow[] }[],
  writtenAt: string,
): Promise<void> {
  const kind = kindOf(name);
  const rows = changes.flatMap(({ ticker, part, rows }) => rows.map((row) => ({ ticker, part, row })));
  for (const slice of slices(rows, ROWS_PER_STATEMENT)) {
    await connection.run(SQL[name].upsert, [
      ...keyParams(kind, slice),
      ...kind.values.map(({ type }, index) => {
        const values = slice.map(({ row }) => row[index + 1]!);
        return type === "count"
          ? plainArray(values.map(countText))
          : type === "double"
            ? plainArray(values)
            : textArray(values as (string | null)[]);
      }),
      writtenAt,
    ]);
  }
}
