/**
 * Writes daily bars with the moving averages of the whole series, from each ticker's last
 * checkpoint on. The caller has locked the tickers against other writers.
 */
import { AVERAGE_COLUMNS } from "../../market/moving-averages.ts";
import type { BarRow } from "../contract.ts";
import { countText } from "../count-text.ts";
import {
  type CheckpointRow,
  CLOSES_BEFORE,
  changesOfSeries,
  type SeriesChanges,
  type StoredDay,
} from "../daily-series.ts";
import { plainArray, textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { ROWS_PER_STATEMENT, slices } from "./slices.ts";
import { FIRST_DAY } from "./sql-text.ts";
import { EMA_COLUMNS } from "./table-definitions.ts";

/** The series of so many tickers are in memory together, each with some 330 rows or more. */
const TICKERS_AT_ONCE = 200;

const CHECKPOINTS_SQL = `SELECT w.ticker, c.date::text AS date, c.closes, ${EMA_COLUMNS.map((name) => `c.${name}`).join(", ")}
  FROM unnest($1::text[], $2::date[]) AS w(ticker, first)
  JOIN LATERAL (SELECT * FROM daily_checkpoints d WHERE d.ticker = w.ticker AND d.date <= w.first
    ORDER BY d.date DESC LIMIT 1) c ON true`;
// LATERAL with OFFSET 0 makes PostgreSQL use the index for each ticker: see tick-store.ts.
const STORED_SQL = `SELECT p.ticker, p.date::text AS date, p.close, ${AVERAGE_COLUMNS.map((name) => `p.${name}`).join(", ")}
  FROM unnest($1::text[], $2::date[]) AS w(ticker, start)
  JOIN LATERAL (SELECT * FROM daily_prices d WHERE d.ticker = w.ticker AND d.date >= w.start OFFSET 0) p ON true
  ORDER BY p.ticker, p.date`;
// PostgreSQL takes NaN as greater than every number.
const CLOSES_SQL = `SELECT w.ticker, c.close FROM unnest($1::text[], $2::date[]) AS w(ticker, start)
  JOIN LATERAL (SELECT d.date, d.close FROM daily_prices d WHERE d.ticker = w.ticker AND d.date < w.start
    AND d.close < 'Infinity'::float8 AND d.close > '-Infinity'::float8 ORDER BY d.date DESC LIMIT ${CLOSES_BEFORE}) c ON true
  ORDER BY w.ticker, c.date`;
const DROP_CHECKPOINTS_SQL = `DELETE FROM daily_checkpoints c USING unnest($1::text[], $2::date[]) AS w(ticker, first)
  WHERE c.ticker = w.ticker AND c.date > w.first`;
const VALUES = ["open", "high", "low", "close", ...AVERAGE_COLUMNS];
const COUNTED = [...VALUES, "volume", "extra"];
const WRITTEN = [...COUNTED, "write_timestamp"];
const UPSERT_SQL = `INSERT INTO daily_prices (ticker, date, ${WRITTEN.join(", ")})
  SELECT u.*, $${VALUES.length + 5}::timestamptz FROM unnest($1::text[], $2::date[],
    ${VALUES.map((_, i) => `$${i + 3}::float8[]`).join(", ")}, $${VALUES.length + 3}::numeric[],
    $${VALUES.length + 4}::text[]) AS u(ticker, date, ${COUNTED.join(", ")})
  ON CONFLICT (ticker, date) DO UPDATE SET ${WRITTEN.map((name) => `${name} = excluded.${name}`).join(", ")}`;
const AVERAGES_SQL = `UPDATE daily_prices p SET ${AVERAGE_COLUMNS.map((name) => `${name} = u.${name}`).join(", ")}
  FROM unnest($1::text[], $2::date[], ${AVERAGE_COLUMNS.map((_, i) => `$${i + 3}::float8[]`).join(", ")})
    AS u(ticker, date, ${AVERAGE_COLUMNS.join(", ")}) WHERE p.ticker = u.ticker AND p.date = u.date`;
const CHECKPOINT_SQL = `INSERT INTO daily_checkpoints (ticker, date, closes, ${EMA_COLUMNS.join(", ")})
  SELECT u.* FROM unnest($1::text[], $2::date[], $3::int[], ${EMA_COLUMNS.map((_, i) => `$${i + 4}::float8[]`).join(", ")})
    AS u(ticker, date, closes, ${EMA_COLUMNS.join(", ")})
  ON CONFLICT (ticker, date) DO UPDATE SET closes = excluded.closes,
    ${EMA_COLUMNS.map((name) => `${name} = excluded.${name}`).join(", ")}`;

/** @param bars by ticker: ascending, each date once, not empty. */
export async function saveDailyBars(
  connection: PostgresConnection,
  bars: Map<string, BarRow[]>,
  writtenAt: string,
): Promise<void> {
  for (const tickers of slices([...bars], TICKERS_AT_ONCE))
    await store(
      connection,
      tickers.map(([ticker, rows]) => ({ ticker, first: rows[0]![0], rows })),
      writtenAt,
    );
}

/** The averages of the ticker's bars from a date on, where bars were removed. */
export async function recomputeAverages(
  connection: PostgresConnection,
  ticker: string,
  first: string,
): Promise<void> {
  await store(connection, [{ ticker, first, rows: [] }], "");
}

async function store(
  connection: PostgresConnection,
  series: { ticker: string; first: string; rows: BarRow[] }[],
  writtenAt: string,
): Promise<void> {
  const tickers = series.map(({ ticker }) => ticker);
  const firstDates = series.map(({ first }) => first);
  const parts = await loadParts(connection, tickers, firstDates);
  const changes: TickerChanges[] = series.map(({ ticker, rows }) => ({
    ticker,
    ...changesOfSeries(parts.get(ticker)!, rows),
  }));
  // The triggers do it for other programs; a database may have none.
  await connection.run(DROP_CHECKPOINTS_SQL, [textArray(tickers), plainArray(firstDates)]);
  await write(connection, changes, writtenAt);
}

type TickerChanges = SeriesChanges & { ticker: string };

interface Part {
  checkpoint: CheckpointRow | null;
  closesBefore: number[];
  stored: StoredDay[];
}

async function loadParts(
  connection: PostgresConnection,
  tickers: string[],
  firstDates: string[],
): Promise<Map<string, Part>> {
  const parts = new Map<string, Part>();
  for (const ticker of tickers) parts.set(ticker, { checkpoint: null, closesBefore: [], stored: [] });
  const checkpoints = await connection.run<CheckpointRow & { ticker: string }>(CHECKPOINTS_SQL, [
    textArray(tickers),
    plainArray(firstDates),
  ]);
  for (const checkpoint of checkpoints) parts.get(checkpoint.ticker)!.checkpoint = checkpoint;

  const starts = tickers.map((ticker) => parts.get(ticker)!.checkpoint?.date ?? FIRST_DAY);
  const series = [textArray(tickers), plainArray(starts)];
  const [stored, closes] = await Promise.all([
    connection.run<StoredDay>(STORED_SQL, series),
    connection.run<{ ticker: string; close: number }>(CLOSES_SQL, series),
  ]);
  for (const row of stored) {
    if (!Number.isFinite(row.close)) row.close = null;
    parts.get(row.ticker as string)!.stored.push(row);
  }
  for (const { ticker, close } of closes) parts.get(ticker)!.closesBefore.push(close);
  return parts;
}

async function write(
  connection: PostgresConnection,
  changes: TickerChanges[],
  writtenAt: string,
): Promise<void> {
  const bars = flatten(changes, "bars");
  for (const slice of slices(bars, ROWS_PER_STATEMENT)) {
    await connection.run(UPSERT_SQL, [
      textArray(slice.map(({ ticker }) => ticker)),
      plainArray(slice.map(({ bar }) => bar[0])),
      ...[1, 2, 3, 4].map((column) => plainArray(slice.map(({ bar }) => bar[column]))),
      ...AVERAGE_COLUMNS.map((_, column) => plainArray(slice.map(({ averages }) => averages[column]))),
      plainArray(slice.map(({ bar }) => countText(bar[5]))),
      textArray(slice.map(({ bar }) => bar[6] ?? null)),
      writtenAt,
    ]);
  }
  for (const slice of slices(flatten(changes, "averages"), ROWS_PER_STATEMENT)) {
    await connection.run(AVERAGES_SQL, [
      textArray(slice.map(({ ticker }) => ticker)),
      plainArray(slice.map(({ date }) => date)),
      ...AVERAGE_COLUMNS.map((_, column) => plainArray(slice.map(({ averages }) => averages[column]))),
    ]);
  }
  // The triggers have deleted the checkpoints that these rows made wrong.
  for (const slice of slices(flatten(changes, "checkpoints"), ROWS_PER_STATEMENT)) {
    await connection.run(CHECKPOINT_SQL, [
      textArray(slice.map(({ ticker }) => ticker)),
      plainArray(slice.map(({ date }) => date)),
      plainArray(slice.map(({ state }) => state.closes)),
      ...EMA_COLUMNS.map((_, column) => plainArray(slice.map(({ state }) => state.emas[column]))),
    ]);
  }
}

function flatten<K extends "bars" | "averages" | "checkpoints">(
  changes: TickerChanges[],
  kind: K,
): (SeriesChanges[K][number] & { ticker: string })[] {
  return changes.flatMap(({ ticker, ...lists }) =>
    (lists[kind] as SeriesChanges[K][number][]).map((item) => ({ ...item, ticker })),
  );
}
