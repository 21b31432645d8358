/** Saves bars: of each interval, what a batch has of it in a constant number of statements. */
import { BarPlacement } from "../bar-placement.ts";
import type { BarInterval, BarRow, SaveBars, SaveOutcome } from "../contract.ts";
import { countText } from "../tick-placement.ts";
import { plainArray, textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
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
  const placement = new BarPlacement();
  await loadExisting(connection, interval, saves, placement);
  const outcomes = saves.map((save) => placement.place(save));
  const changes = placement.changes();
  if (interval === "daily") await saveDailyBars(connection, changes, writtenAt);
  else await saveHourlyBars(connection, changes, writtenAt);
  return outcomes;
}

/** Which keys of those that don't replace are taken. */
async function loadExisting(
  connection: PostgresConnection,
  interval: BarInterval,
  saves: SaveBars[],
  placement: BarPlacement,
): Promise<void> {
  const keys: { ticker: string; stamp: string }[] = [];
  for (const { ticker, rows, onDuplicate } of saves) {
    if (onDuplicate !== "replace") for (const [stamp] of rows) keys.push({ ticker, stamp });
  }
  for (const slice of slices(keys, ROWS_PER_STATEMENT)) {
    const rows = await connection.run<{ n: number }>(EXISTING_SQL[interval], [
      textArray(slice.map((key) => key.ticker)),
      plainArray(slice.map((key) => (interval === "daily" ? key.stamp : asInstant(key.stamp)))),
    ]);
    for (const { n } of rows) placement.addStored(slice[n - 1]!.ticker, slice[n - 1]!.stamp);
  }
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
