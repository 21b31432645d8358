/**
 * Saves ticks. Most are new, so a batch is first placed as if nothing were stored, and written with
 * one statement that leaves taken keys alone: where none was taken, that was right. Else the batch
 * is done again, asking first which of its stamps are stored.
 */
import type { SaveOutcome, SaveTicks } from "../contract.ts";
import { countText } from "../count-text.ts";
import { StampTicks, type TickSlot } from "../stamp-ticks.ts";
import { placeTicks } from "../tick-placement.ts";
import { plainArray, textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { ROWS_PER_STATEMENT, slices } from "./slices.ts";
import { asInstant } from "./sql-text.ts";

// By the index for each, also where the planner would rather read all of a table that it knows
// nothing of yet.
const STORED_SQL = `SELECT w.n::int AS n, r.seq::float8 AS seq, r.price, r.size::text AS size, r.ask_price, r.ask_size::text AS ask_size,
    r.id, r.extra
  FROM unnest($1::text[], $2::text[], $3::timestamptz[]) WITH ORDINALITY AS w(ticker, type, stamp, n)
  JOIN LATERAL (SELECT * FROM realtime_data t WHERE t.ticker = w.ticker AND t.type = w.type AND t."timestamp" = w.stamp
    OFFSET 0) r ON true`;
const VALUES = ["price", "size", "ask_price", "ask_size", "id", "extra"];
const INSERT_SQL = `INSERT INTO realtime_data
  (ticker, type, "timestamp", seq, ${VALUES.join(", ")}, write_timestamp)
  SELECT u.ticker, u.type, u.stamp, u.seq, ${VALUES.map((name) => `u.${name}`).join(", ")}, $11::timestamptz
  FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::bigint[], $5::float8[], $6::numeric[], $7::float8[],
    $8::numeric[], $9::text[], $10::text[]) AS u(ticker, type, stamp, seq, ${VALUES.join(", ")})`;
// A tick may be stored under another seq of its stamp. Those of this statement are not seen yet.
const INSERT_NEW_SQL = `${INSERT_SQL} WHERE NOT EXISTS (SELECT 1 FROM realtime_data t
    WHERE t.ticker = u.ticker AND t.type = u.type AND t."timestamp" = u.stamp) ON CONFLICT DO NOTHING`;
const REPLACE_SQL = `${INSERT_SQL} ON CONFLICT (ticker, type, "timestamp", seq) DO UPDATE SET
  ${[...VALUES, "write_timestamp"].map((name) => `${name} = excluded.${name}`).join(", ")}`;

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
  id: string | null;
  extra: string | null;
}

export interface SavedTicks {
  outcomes: SaveOutcome[];
  /** Whether a key was taken. */
  metStored: boolean;
  /**
   * The statements are sent; those sent after them run after them. Rejects with RowIgnoredError or
   * NotNewError; then the transaction has to be undone.
   */
  written: Promise<void>;
}

/** @param areNew takes the ticks for new. */
export async function saveTicks(
  connection: PostgresConnection,
  saves: SaveTicks[],
  { writtenAt, areNew }: { writtenAt: string; areNew: boolean },
): Promise<SavedTicks> {
  const moments = new Moments();
  if (!areNew) await loadStored(connection, saves, moments);
  const placed = saves.map((save) =>
    placeTicks(save, (stamp) => moments.of(save.ticker, save.part, stamp).ticks, countText),
  );
  return {
    outcomes: placed.map(({ outcome }) => outcome),
    metStored: placed.some(({ metStored }) => metStored),
    written: write(connection, moments, { writtenAt, areNew }),
  };
}

async function write(
  connection: PostgresConnection,
  moments: Moments,
  { writtenAt, areNew }: { writtenAt: string; areNew: boolean },
): Promise<void> {
  const { inserts, replacements } = moments.changes();
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
  moments: Moments,
): Promise<void> {
  for (const { ticker, part, rows } of saves) for (const [stamp] of rows) moments.of(ticker, part, stamp);
  for (const asked of slices(moments.all(), ROWS_PER_STATEMENT)) {
    const rows = await connection.run<StoredRow>(STORED_SQL, [
      textArray(asked.map((moment) => moment.ticker)),
      textArray(asked.map((moment) => moment.type)),
      plainArray(asked.map((moment) => asInstant(moment.stamp))),
    ]);
    for (const { n, seq, price, size, ask_price: askPrice, ask_size: askSize, id, extra } of rows)
      asked[n - 1]!.ticks.addStored(seq, { price, size, askPrice, askSize, id, extra });
  }
}

/** One stamp of one series. */
interface Moment {
  ticker: string;
  type: string;
  stamp: string;
  ticks: StampTicks;
}

interface ChangedTick {
  moment: Moment;
  seq: number;
  tick: TickSlot;
}

/** Tickers and types hold no NUL here. */
class Moments {
  readonly #byKey = new Map<string, Moment>();

  of(ticker: string, type: string, stamp: string): Moment {
    const key = `${ticker}\0${type}\0${stamp}`;
    let moment = this.#byKey.get(key);
    if (moment === undefined) {
      moment = { ticker, type, stamp, ticks: new StampTicks() };
      this.#byKey.set(key, moment);
    }
    return moment;
  }

  all(): Moment[] {
    return [...this.#byKey.values()];
  }

  /** What there is to write, each key once. */
  changes(): { inserts: ChangedTick[]; replacements: ChangedTick[] } {
    const inserts: ChangedTick[] = [];
    const replacements: ChangedTick[] = [];
    for (const moment of this.#byKey.values()) {
      for (const [seq, tick] of moment.ticks.slots) {
        if (tick.change === "new") inserts.push({ moment, seq, tick });
        else if (tick.change === "replace") replacements.push({ moment, seq, tick });
      }
    }
    return { inserts, replacements };
  }
}

function parametersOf(ticks: ChangedTick[], writtenAt: string): unknown[] {
  return [
    textArray(ticks.map(({ moment }) => moment.ticker)),
    textArray(ticks.map(({ moment }) => moment.type)),
    plainArray(ticks.map(({ moment }) => asInstant(moment.stamp))),
    plainArray(ticks.map(({ seq }) => seq)),
    plainArray(ticks.map(({ tick }) => tick.price)),
    plainArray(ticks.map(({ tick }) => tick.size)),
    plainArray(ticks.map(({ tick }) => tick.askPrice)),
    plainArray(ticks.map(({ tick }) => tick.askSize)),
    textArray(ticks.map(({ tick }) => tick.id)),
    textArray(ticks.map(({ tick }) => tick.extra)),
    writtenAt,
  ];
}
