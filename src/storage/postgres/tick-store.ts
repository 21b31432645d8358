/** Saves ticks: asks once which stamps of a batch are stored, decides, and writes what is left in one statement. */
import type { SaveOutcome, SaveTicks } from "../contract.ts";
import { type PlacedTick, TickPlacement } from "../tick-placement.ts";
import type { PostgresConnection } from "./connection.ts";
import { ROWS_PER_STATEMENT, slices } from "./slices.ts";
import { asInstant } from "./sql-text.ts";
import type { Witness } from "./witness.ts";

const STORED_SQL = `SELECT w.n::int AS n, r.seq::float8 AS seq, r.price, r.size::text AS size, r.ask_price, r.ask_size::text AS ask_size
  FROM unnest($1::text[], $2::text[], $3::timestamptz[]) WITH ORDINALITY AS w(ticker, type, stamp, n)
  JOIN realtime_data r ON r.ticker = w.ticker AND r.type = w.type AND r."timestamp" = w.stamp`;
const INSERT_SQL = `INSERT INTO realtime_data
  (ticker, type, "timestamp", seq, price, size, ask_price, ask_size, write_timestamp)
  SELECT u.ticker, u.type, u.stamp, u.seq, u.price, u.size, u.ask_price, u.ask_size, $9::timestamptz
  FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::float8[], $6::numeric[], $7::float8[], $8::numeric[])
    AS u(ticker, type, stamp, seq, price, size, ask_price, ask_size)`;
const REPLACE_SQL = `${INSERT_SQL} ON CONFLICT (ticker, type, "timestamp", seq) DO UPDATE SET price = excluded.price,
  size = excluded.size, ask_price = excluded.ask_price, ask_size = excluded.ask_size, write_timestamp = excluded.write_timestamp`;

/** A trigger of the user's own keeps a row out: no key is taken, and yet the row is not stored. */
export class RowIgnoredError extends Error {
  override name = "RowIgnoredError";
}

interface StoredRow {
  n: number;
  seq: number;
  price: number | null;
  size: string | null;
  ask_price: number | null;
  ask_size: string | null;
}

const WITNESS_SQL = `SELECT 1 AS one FROM realtime_data WHERE ticker = $1 AND type = $2 AND "timestamp" = $3::timestamptz
  AND seq = $4::bigint AND write_timestamp = $5::timestamptz`;

/** @returns an outcome for each save, and one of the rows written. @throws RowIgnoredError; then the transaction has to be undone. */
export async function saveTicks(
  connection: PostgresConnection,
  saves: SaveTicks[],
  writtenAt: string,
): Promise<{ outcomes: SaveOutcome[]; witness: Witness | null }> {
  const placement = new TickPlacement();
  // What replaces only doesn't need to know what is there.
  if (saves.some((save) => save.onDuplicate !== "replace")) await loadStored(connection, saves, placement);
  const outcomes = saves.map((save) => placement.place(save));
  const { inserts, replacements } = placement.changes();
  for (const ticks of slices(inserts, ROWS_PER_STATEMENT)) {
    const { count } = await connection.run(INSERT_SQL, parametersOf(ticks, writtenAt));
    if (count !== ticks.length)
      throw new RowIgnoredError(`a trigger ignores ${ticks.length - count} of ${ticks.length} ticks`);
  }
  for (const ticks of slices(replacements, ROWS_PER_STATEMENT))
    await connection.run(REPLACE_SQL, parametersOf(ticks, writtenAt));
  const written = inserts[0] ?? replacements[0];
  return { outcomes, witness: written === undefined ? null : witnessOf(written, writtenAt) };
}

function witnessOf({ ticker, type, stamp, seq }: PlacedTick, writtenAt: string): Witness {
  return { sql: WITNESS_SQL, params: [ticker, type, asInstant(stamp), seq, writtenAt] };
}

async function loadStored(
  connection: PostgresConnection,
  saves: SaveTicks[],
  placement: TickPlacement,
): Promise<void> {
  for (const keys of slices(stampsOf(saves), ROWS_PER_STATEMENT)) {
    const rows = await connection.run<StoredRow>(STORED_SQL, [
      keys.map((key) => key.ticker),
      keys.map((key) => key.type),
      keys.map((key) => asInstant(key.stamp)),
    ]);
    for (const { n, seq, price, size, ask_price: askPrice, ask_size: askSize } of rows)
      placement.addStored({ ...keys[n - 1]!, seq }, { price, size, askPrice, askSize });
  }
}

interface StampKey {
  ticker: string;
  type: string;
  stamp: string;
}

/** Each once. */
function stampsOf(saves: SaveTicks[]): StampKey[] {
  const found = new Map<string, StampKey>();
  for (const { ticker, type, rows } of saves) {
    for (const [stamp] of rows) {
      const key = `${ticker}\0${type}\0${stamp}`;
      if (!found.has(key)) found.set(key, { ticker, type, stamp });
    }
  }
  return [...found.values()];
}

function parametersOf(ticks: PlacedTick[], writtenAt: string): unknown[] {
  return [
    ticks.map((tick) => tick.ticker),
    ticks.map((tick) => tick.type),
    ticks.map((tick) => asInstant(tick.stamp)),
    ticks.map((tick) => tick.seq),
    ticks.map((tick) => tick.price),
    ticks.map((tick) => tick.size),
    ticks.map((tick) => tick.askPrice),
    ticks.map((tick) => tick.askSize),
    writtenAt,
  ];
}
