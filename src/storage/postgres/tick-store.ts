/**
 * Saves ticks. Most are new, so a batch is first placed as if nothing were stored, and written with one statement that leaves taken
 * keys alone: where none was taken, that was right. Else the batch is done again, asking first which of its stamps are stored.
 */
import type { SaveOutcome, SaveTicks } from "../contract.ts";
import { type PlacedTick, TickPlacement } from "../tick-placement.ts";
import { plainArray, textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { ROWS_PER_STATEMENT, slices } from "./slices.ts";
import { asInstant } from "./sql-text.ts";

// By the index for each, also where the planner would rather read all of a table that it knows nothing of yet.
const STORED_SQL = `SELECT w.n::int AS n, r.seq::float8 AS seq, r.price, r.size::text AS size, r.ask_price, r.ask_size::text AS ask_size
  FROM unnest($1::text[], $2::text[], $3::timestamptz[]) WITH ORDINALITY AS w(ticker, type, stamp, n)
  JOIN LATERAL (SELECT * FROM realtime_data t WHERE t.ticker = w.ticker AND t.type = w.type AND t."timestamp" = w.stamp
    OFFSET 0) r ON true`;
const INSERT_SQL = `INSERT INTO realtime_data
  (ticker, type, "timestamp", seq, price, size, ask_price, ask_size, write_timestamp)
  SELECT u.ticker, u.type, u.stamp, u.seq, u.price, u.size, u.ask_price, u.ask_size, $9::timestamptz
  FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::float8[], $6::numeric[], $7::float8[], $8::numeric[])
    AS u(ticker, type, stamp, seq, price, size, ask_price, ask_size)`;
const INSERT_NEW_SQL = `${INSERT_SQL} ON CONFLICT DO NOTHING`;
const REPLACE_SQL = `${INSERT_SQL} ON CONFLICT (ticker, type, "timestamp", seq) DO UPDATE SET price = excluded.price,
  size = excluded.size, ask_price = excluded.ask_price, ask_size = excluded.ask_size, write_timestamp = excluded.write_timestamp`;

/** A trigger of the user's own keeps a row out: no key is taken, and yet the row is not stored. */
export class RowIgnoredError extends Error {
  override name = "RowIgnoredError";
}

/** Some of the ticks, taken to be new, are not. */
export class NotNewError extends Error {
  override name = "NotNewError";
}

interface StoredRow {
  n: number;
  seq: number;
  price: number | null;
  size: string | null;
  ask_price: number | null;
  ask_size: string | null;
}

export interface SavedTicks {
  outcomes: SaveOutcome[];
  /** Whether a key was taken. */
  metStored: boolean;
  /** The statements are sent; those sent after them run after them. Rejects with RowIgnoredError or NotNewError; then the transaction has to be undone. */
  written: Promise<void>;
}

/** @param areNew takes the ticks for new. */
export async function saveTicks(
  connection: PostgresConnection,
  saves: SaveTicks[],
  { writtenAt, areNew }: { writtenAt: string; areNew: boolean },
): Promise<SavedTicks> {
  const placement = new TickPlacement();
  // What replaces only doesn't need to know what is there.
  const asks = !areNew && saves.some((save) => save.onDuplicate !== "replace");
  if (asks) await loadStored(connection, saves, placement);
  const outcomes = saves.map((save) => placement.place(save));
  return {
    outcomes,
    metStored: placement.metStored,
    written: write(connection, placement, { writtenAt, areNew }),
  };
}

async function write(
  connection: PostgresConnection,
  placement: TickPlacement,
  { writtenAt, areNew }: { writtenAt: string; areNew: boolean },
): Promise<void> {
  const { inserts, replacements } = placement.changes();
  const sql = areNew ? INSERT_NEW_SQL : INSERT_SQL;
  const inserted = [...slices(inserts, ROWS_PER_STATEMENT)].map((ticks) =>
    connection.run(sql, parametersOf(ticks, writtenAt)),
  );
  const replaced = [...slices(replacements, ROWS_PER_STATEMENT)].map((ticks) =>
    connection.run(REPLACE_SQL, parametersOf(ticks, writtenAt)),
  );
  const [counts] = await Promise.all([Promise.all(inserted), Promise.all(replaced)]);
  const missing = counts.reduce((left, { count }) => left - count, inserts.length);
  if (missing === 0) return;
  if (areNew) throw new NotNewError(`${missing} of ${inserts.length} ticks are stored already`);
  throw new RowIgnoredError(`a trigger ignores ${missing} of ${inserts.length} ticks`);
}

async function loadStored(
  connection: PostgresConnection,
  saves: SaveTicks[],
  placement: TickPlacement,
): Promise<void> {
  for (const keys of slices(stampsOf(saves), ROWS_PER_STATEMENT)) {
    const rows = await connection.run<StoredRow>(STORED_SQL, [
      textArray(keys.map((key) => key.ticker)),
      textArray(keys.map((key) => key.type)),
      plainArray(keys.map((key) => asInstant(key.stamp))),
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
    textArray(ticks.map((tick) => tick.ticker)),
    textArray(ticks.map((tick) => tick.type)),
    plainArray(ticks.map((tick) => asInstant(tick.stamp))),
    plainArray(ticks.map((tick) => tick.seq)),
    plainArray(ticks.map((tick) => tick.price)),
    plainArray(ticks.map((tick) => tick.size)),
    plainArray(ticks.map((tick) => tick.askPrice)),
    plainArray(ticks.map((tick) => tick.askSize)),
    writtenAt,
  ];
}
