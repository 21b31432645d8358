/** Saves bars: of each interval, what a batch has of it in a constant number of statements. */
import type { BarInterval, BarRow, SaveBars, SaveOutcome } from "../contract.ts";
import { StagedBars } from "../staged-bars.ts";
import { plainArray, textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { countText } from "./count-text.ts";
import { saveDailyBars } from "./daily-averages.ts";
import { ROWS_PER_STATEMENT, slices } from "./slices.ts";
import { asInstant } from "./sql-text.ts";

// By the index for each: see tick-store.ts.
const EXISTING_SQL: Record<BarInterval, string> = {
  daily: `SELECT w.n::int AS n FROM unnest($1::text[], $2::date[]) WITH ORDINALITY AS w(ticker, stamp, n)
    JOIN LATERAL (SELECT 1 FROM daily_prices p WHERE p.ticker = w.ticker AND p.date = w.stamp OFFSET 0) found ON true`,
  hourly: `SELECT w.n::int AS n FROM unnest($1::text[], $2::timestamptz[]) WITH ORDINALITY AS w(ticker, stamp, n)
    JOIN LATERAL (SELECT 1 FROM hourly_prices p WHERE p.ticker = w.ticker AND p.datetime = w.stamp OFFSET 0) found ON true`,
};
const HOURLY_SQL = `INSERT INTO hourly_prices (ticker, datetime, open, high, low, close, volume, write_timestamp)
  SELECT u.ticker, u.stamp, u.open, u.high, u.low, u.close, u.volume, $8::timestamptz
  FROM unnest($1::text[], $2::timestamptz[], $3::float8[], $4::float8[], $5::float8[], $6::float8[], $7::numeric[])
    AS u(ticker, stamp, open, high, low, close, volume)
  ON CONFLICT (ticker, datetime) DO UPDATE SET open = excluded.open, high = excluded.high, low = excluded.low,
    close = excluded.close, volume = excluded.volume, write_timestamp = excluded.write_timestamp`;

/** @param saves all of one interval. @returns an outcome for each. */
export async function saveBars(
  connection: PostgresConnection,
  interval: BarInterval,
  saves: SaveBars[],
  writtenAt: string,
): Promise<SaveOutcome[]> {
  const existing = await findExisting(connection, interval, saves);
  const staged = new Map<string, StagedBars>();
  const outcomes = saves.map((save) => {
    let bars = staged.get(save.ticker);
    if (bars === undefined) {
      const stored = existing.get(save.ticker);
      bars = new StagedBars((stamp) => stored?.has(stamp) === true);
      staged.set(save.ticker, bars);
    }
    return bars.stage(save);
  });
  const changes = new Map<string, BarRow[]>();
  for (const [ticker, bars] of staged) {
    const rows = bars.rows();
    if (rows.length > 0) changes.set(ticker, rows);
  }
  if (interval === "daily") await saveDailyBars(connection, changes, writtenAt);
  else await saveHourlyBars(connection, changes, writtenAt);
  return outcomes;
}

/** By ticker, which keys of the saves that don't replace are taken. */
async function findExisting(
  connection: PostgresConnection,
  interval: BarInterval,
  saves: SaveBars[],
): Promise<Map<string, Set<string>>> {
  const existing = new Map<string, Set<string>>();
  const keys: { ticker: string; stamp: string }[] = [];
  for (const { ticker, rows, onDuplicate } of saves) {
    if (onDuplicate !== "replace") for (const [stamp] of rows) keys.push({ ticker, stamp });
  }
  for (const slice of slices(keys, ROWS_PER_STATEMENT)) {
    const rows = await connection.run<{ n: number }>(EXISTING_SQL[interval], [
      textArray(slice.map((key) => key.ticker)),
      plainArray(slice.map((key) => (interval === "daily" ? key.stamp : asInstant(key.stamp)))),
    ]);
    for (const { n } of rows) {
      const { ticker, stamp } = slice[n - 1]!;
      const stamps = existing.get(ticker);
      if (stamps === undefined) existing.set(ticker, new Set([stamp]));
      else stamps.add(stamp);
    }
  }
  return existing;
}

async function saveHourlyBars(
  connection: PostgresConnection,
  changes: Map<string, BarRow[]>,
  writtenAt: string,
): Promise<void> {
  const rows: { ticker: string; bar: BarRow }[] = [];
  for (const [ticker, bars] of changes) for (const bar of bars) rows.push({ ticker, bar });
  for (const slice of slices(rows, ROWS_PER_STATEMENT)) {
    await connection.run(HOURLY_SQL, [
      textArray(slice.map(({ ticker }) => ticker)),
      plainArray(slice.map(({ bar }) => asInstant(bar[0]))),
      ...[1, 2, 3, 4].map((column) => plainArray(slice.map(({ bar }) => bar[column]))),
      plainArray(slice.map(({ bar }) => countText(bar[5]))),
      writtenAt,
    ]);
  }
}
