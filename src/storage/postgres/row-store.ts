/** Saves rows: what a batch has of a kind, in a constant number of statements. */
import { CompletedRows, ROWS_BEFORE } from "../completed-rows.ts";
import type { BarRow, PlainKind, SaveOutcome, SaveRows } from "../contract.ts";
import { countText } from "../count-text.ts";
import {
  byKind,
  keyColumns,
  keyText,
  kindOf,
  partName,
  type RowKind,
  type SeriesRow,
  seriesColumns,
} from "../model/kinds.ts";
import { bySeries } from "../series-saves.ts";
import { asksForRows, StagedRows, type StoredKeys } from "../staged-rows.ts";
import { plainArray, textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { saveDailyBars } from "./daily-averages.ts";
import { ROWS_PER_STATEMENT, slices } from "./slices.ts";
import { asInstant, columnSql, isSeries, rowCells, SQL_TYPES, stampParam, storedRow } from "./sql-text.ts";

interface KindSql {
  /** Which of the keys are stored, by their place. By the index for each: see tick-store.ts. */
  existing: string;
  /** The same with the values of the row. */
  rows: string;
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
  const asked = `FROM unnest(${arrays(keyTypes)}) WITH ORDINALITY AS w(${key.join(", ")}, n)`;
  const found = `FROM ${kind.table} p WHERE ${same.join(" AND ")} OFFSET 0`;
  const cells = rowCells(kind).map((cell, index) => `${cell} AS c${index}`);
  return {
    existing: `SELECT w.n::int AS n ${asked} JOIN LATERAL (SELECT 1 ${found}) f ON true`,
    rows: `SELECT w.n::int AS n, f.* ${asked}
      JOIN LATERAL (SELECT ${cells.join(", ")} ${found}) f ON true`,
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
  all: SaveRows[],
  writtenAt: string,
): Promise<SaveOutcome[]> {
  const { saves, outcomesOfAll } = bySeries(await completed(connection, all));
  const existing = await findExisting(connection, name, saves);
  const merging = await findMerging(connection, name, saves);
  const staged = new Map<string, { save: SaveRows; rows: StagedRows }>();
  const outcomes = saves.map((save) => {
    const key = seriesKey(save);
    let series = staged.get(key);
    if (series === undefined) {
      const stored = existing.get(key);
      const kind = kindOf(name);
      const rows = merging.get(key);
      const keys: StoredKeys = {
        has: (row) => stored?.has(keyText(kind, row)) === true,
        row: (row) => rows?.get(keyText(kind, row)) ?? null,
      };
      series = { save, rows: new StagedRows(keys) };
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
  return outcomesOfAll(outcomes);
}

/** What is stored before their rows fills them up. */
async function completed(connection: PostgresConnection, saves: SaveRows[]): Promise<SaveRows[]> {
  if (!saves.some(({ onDuplicate }) => onDuplicate === "complete")) return saves;
  const rows = new CompletedRows();
  const found: SaveRows[] = [];
  for (const save of saves) {
    const isWhole = save.onDuplicate !== "complete";
    found.push(rows.complete(save, isWhole ? [] : await rowsBefore(connection, save)));
  }
  return found;
}

async function rowsBefore(
  connection: PostgresConnection,
  { kind: name, ticker, part, rows }: SaveRows,
): Promise<SeriesRow[]> {
  const kind = kindOf(name);
  const series = part === null ? [ticker] : [ticker, part];
  const at = `p.${columnSql(kind.stamp.name)}`;
  const cells = rowCells(kind).map((cell, index) => `${cell} AS c${index}`);
  const found = await connection.run<Record<string, string | number | null>>(
    `SELECT ${cells.join(", ")} FROM ${kind.table} p
     WHERE ${isSeries(kind, "p")} AND ${at} <= $${series.length + 1}::${SQL_TYPES[kind.stamp.type]}
     ORDER BY ${at} DESC LIMIT ${ROWS_BEFORE}`,
    [...series, stampParam(kind, rows[0]![0], "first")],
  );
  return found.map((row) => storedRow(Object.values(row), kind, `${ticker} ${partName(name, part)}`));
}

/** Tickers and parts hold no NUL here. */
function seriesKey({ ticker, part }: { ticker: string; part: string | null }): string {
  return `${ticker}\0${part}`;
}

interface PlacedRow {
  ticker: string;
  part: string | null;
  row: SeriesRow;
}

function keysOf(saves: SaveRows[]): PlacedRow[] {
  return saves.flatMap(({ ticker, part, rows }) => rows.map((row) => ({ ticker, part, row })));
}

/** By series, which keys of the saves are taken. */
async function findExisting(
  connection: PostgresConnection,
  name: PlainKind,
  saves: SaveRows[],
): Promise<Map<string, Set<string>>> {
  const kind = kindOf(name);
  const existing = new Map<string, Set<string>>();
  for (const slice of slices(keysOf(saves), ROWS_PER_STATEMENT)) {
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

/** By series and key, the stored rows that a save goes on from: see `asksForRows`. */
async function findMerging(
  connection: PostgresConnection,
  name: PlainKind,
  saves: SaveRows[],
): Promise<Map<string, Map<string, SeriesRow>>> {
  const kind = kindOf(name);
  const found = new Map<string, Map<string, SeriesRow>>();
  const keys = keysOf(saves.filter(asksForRows));
  for (const slice of slices(keys, ROWS_PER_STATEMENT)) {
    const rows = await connection.run<{ n: number }>(SQL[name].rows, keyParams(kind, slice));
    for (const { n, ...cells } of rows) {
      const key = slice[n - 1]!;
      const row = storedRow(Object.values(cells), kind, key.ticker);
      const ofSeries = found.get(seriesKey(key)) ?? new Map<string, SeriesRow>();
      found.set(seriesKey(key), ofSeries.set(keyText(kind, key.row), row));
    }
  }
  return found;
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
        const values = slice.map(({ row }) => row[index + 1] ?? null);
        switch (type) {
          case "count":
            return plainArray(values.map(countText));
          case "second":
          case "instant":
            return textArray(values.map((value) => (value === null ? null : asInstant(String(value)))));
          case "double":
          case "date":
            return plainArray(values);
          default:
            return textArray(values as (string | null)[]);
        }
      }),
      writtenAt,
    ]);
  }
}
