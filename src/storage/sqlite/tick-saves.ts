/**
 * Saves of ticks. Most ticks are newer than all of their series: they are inserted as they come.
 * For the others, the stored ticks of their stamps are read, and tick-placement.ts decides.
 */
import type { Database, SQLQueryBindings, Statement } from "bun:sqlite";
import { nowText } from "../../market/timestamp.ts";
import type { Count, SaveOutcome, SaveTicks } from "../contract.ts";
import { countText } from "../count-text.ts";
import { RecentlyUsed } from "../recently-used.ts";
import { StampTicks, type TickSlot } from "../stamp-ticks.ts";
import { areNew, placeTicks } from "../tick-placement.ts";
import { ColumnInserts, valuesSql } from "./column-rows.ts";
import { exactDigits } from "./stored-row.ts";

/** Series whose newest stamp is kept in memory; about 15 MB. */
const SERIES_KEPT_MAX = 100_000;
/**
 * After so many rows of a save it is told that it gets on: some tenths of a second, even where each
 * fires triggers.
 */
export const PROGRESS_ROWS = 100;
/** Digits of more than a double holds. */
const LONG_DIGITS = /^-?\d{16,19}$/;
const COLUMNS = ["price", "size", "ask_price", "ask_size", "id", "extra"];
/** The key is named, so that an index of the user's own is a constraint, not a taken key. */
const insertSql = (rows: number): string => `INSERT INTO realtime_data
  (ticker, type, timestamp, ${COLUMNS.join(", ")}, seq, write_timestamp)
  VALUES ${valuesSql(COLUMNS.length + 5, rows)} ON CONFLICT (ticker, type, timestamp, seq) DO`;
const OF_SERIES = "FROM realtime_data WHERE ticker = ? AND type = ?";

interface StoredTick {
  seq: number;
  price: number | null;
  size: Count | null;
  ask_price: number | null;
  ask_size: Count | null;
  id: unknown;
  extra: unknown;
}

/** A trigger's RAISE(IGNORE): no key is taken, and yet the row is not stored. */
export class RowIgnoredError extends Error {
  override name = "RowIgnoredError";
}

export class TickSaves {
  readonly #newest = new RecentlyUsed<string>(SERIES_KEPT_MAX);
  readonly #newestOf: Statement<{ stamp: string | null }, SQLQueryBindings[]>;
  readonly #ticksOf: Statement<StoredTick, SQLQueryBindings[]>;
  readonly columns: ColumnInserts;
  readonly #insert: Statement<unknown, SQLQueryBindings[]>;
  readonly #replace: Statement<unknown, SQLQueryBindings[]>;

  constructor(db: Database) {
    this.#newestOf = db.prepare(`SELECT max(timestamp) AS stamp ${OF_SERIES}`);
    this.#ticksOf = db.prepare(
      `SELECT seq, price, ${exactDigits("size")} AS size, ask_price,
         ${exactDigits("ask_size")} AS ask_size, id, extra ${OF_SERIES} AND timestamp = ?`,
    );
    this.#insert = db.prepare(`${insertSql(1)} NOTHING`);
    this.columns = new ColumnInserts(db, "ticks", (rows) => `${insertSql(rows)} NOTHING`);
    const written = [...COLUMNS, "write_timestamp"].map((name) => `${name} = excluded.${name}`);
    this.#replace = db.prepare(`${insertSql(1)} UPDATE SET ${written.join(", ")}`);
  }

  /** Call it when others may have changed rows, or a transaction was undone. */
  forget(): void {
    this.#newest.clear();
  }

  /** The newest stored stamp; "": there is none. */
  newest(ticker: string, type: string): string {
    const key = `${ticker}\0${type}`;
    const known = this.#newest.get(key);
    if (known !== undefined) return known;
    const stamp = this.#newestOf.get(ticker, type)?.stamp ?? "";
    this.#newest.set(key, stamp);
    return stamp;
  }

  /** Takes note of a row that was written. */
  note(ticker: string, type: string, stamp: string): void {
    if (stamp > this.newest(ticker, type)) this.#newest.set(`${ticker}\0${type}`, stamp);
  }

  /**
   * Within a transaction. @param heard is called often. @throws RowIgnoredError
   */
  save(save: SaveTicks, heard: () => void): SaveOutcome {
    const newest = this.newest(save.ticker, save.part);
    const write = new Write(save, heard);
    if (areNew(save.rows, newest)) return this.#insertAll(save, write);
    const stamps = new Map<string, StampTicks>();
    const ticksOf = (stamp: string): StampTicks => {
      let ticks = stamps.get(stamp);
      if (ticks === undefined) {
        ticks = stamp > newest ? new StampTicks() : this.#stored(save, stamp);
        stamps.set(stamp, ticks);
      }
      return ticks;
    };
    const { outcome } = placeTicks(save, ticksOf, countText);
    for (const [stamp, { slots }] of stamps)
      for (const [seq, slot] of slots) if (slot.change !== null) this.#write(write, stamp, seq, slot);
    return outcome;
  }

  #insertAll({ rows }: SaveTicks, write: Write): SaveOutcome {
    let stamp = "";
    let seq = 0;
    for (const row of rows) {
      seq = row[7] ?? (row[0] === stamp ? seq + 1 : 0);
      stamp = row[0];
      const [, price, size, askPrice, askSize, id, extra] = row;
      write.run(this.#insert, stamp, [price, size, askPrice, askSize, id, extra, seq]);
    }
    this.note(write.ticker, write.type, stamp);
    return { ok: true, stored: rows.length, position: null };
  }

  #write(write: Write, stamp: string, seq: number, slot: TickSlot): void {
    const { price, size, askPrice, askSize, id, extra, isStored } = slot;
    const values = [price, countOf(size), askPrice, countOf(askSize), id, extra, seq];
    write.run(isStored ? this.#replace : this.#insert, stamp, values);
    this.note(write.ticker, write.type, stamp);
  }

  #stored({ ticker, part }: SaveTicks, stamp: string): StampTicks {
    const ticks = new StampTicks();
    for (const { seq, price, size, ask_price, ask_size, id, extra } of this.#ticksOf.all(ticker, part, stamp))
      ticks.addStored(seq, {
        price,
        size: countText(size),
        askPrice: ask_price,
        askSize: countText(ask_size),
        id: textOf(id),
        extra: textOf(extra),
      });
    return ticks;
  }
}

/** Rows of one save on their way into the table. */
class Write {
  readonly ticker: string;
  readonly type: string;
  readonly #time = nowText();
  readonly #heard: () => void;
  #rows = 0;

  constructor({ ticker, part }: SaveTicks, heard: () => void) {
    this.ticker = ticker;
    this.type = part;
    this.#heard = heard;
  }

  /** @throws RowIgnoredError */
  run(statement: Statement<unknown, SQLQueryBindings[]>, stamp: string, values: SQLQueryBindings[]): void {
    if (this.#rows++ % PROGRESS_ROWS === 0) this.#heard();
    const { changes } = statement.run(this.ticker, this.type, stamp, ...values, this.#time);
    if (changes === 0) throw new RowIgnoredError(`a trigger ignores ${this.type} of ${stamp}`);
  }
}

/** What users have stored there as another type. */
function textOf(value: unknown): string | null {
  return value === null || typeof value === "string" ? value : String(value);
}

/** Digits that a double doesn't hold stay text, which SQLite stores as an integer. */
function countOf(digits: string | null): Count | null {
  if (digits === null) return null;
  const number = Number(digits);
  return LONG_DIGITS.test(digits) && !Number.isSafeInteger(number) ? digits : number;
}
