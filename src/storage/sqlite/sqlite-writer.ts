/** The hub's one writing connection: applies a batch of saves in one transaction. */
import { type Database, SQLiteError, type SQLQueryBindings, type Statement } from "bun:sqlite";
import type { Durability } from "../../config/settings.ts";
import { nowText } from "../../market/timestamp.ts";
import {
  type BarRow,
  type Count,
  type Save,
  type SaveBars,
  type SaveOutcome,
  type SaveTicks,
  type StockWriter,
  StorageBusyError,
  type TickRow,
} from "../contract.ts";
import { conflict } from "../save-conflict.ts";
import { Claims, withSeq } from "../tick-identity.ts";
import { openWriterConnection } from "./connection.ts";
import { DailyAverages } from "./daily-averages.ts";
import { prepareSchema } from "./schema.ts";

type Params = SQLQueryBindings[];

interface StoredTick {
  price: number | null;
  size: number | null;
  ask_price: number | null;
  ask_size: number | null;
}

export class SqliteWriter implements StockWriter {
  readonly #db: Database;
  readonly #averages: DailyAverages;
  readonly #dataVersion: Statement<{ data_version: number }, []>;
  #lastDataVersion: number;
  readonly #hourlyUpsert: Statement<unknown, Params>;
  readonly #hourlyExists: Statement<unknown, Params>;
  readonly #dailyExists: Statement<unknown, Params>;
  readonly #tickInsert: Statement<unknown, Params>;
  readonly #tickReplace: Statement<unknown, Params>;
  readonly #tickAt: Statement<StoredTick, Params>;
  /** What opening the file did to it, for the log. */
  readonly preparation: string | null;

  constructor(path: string, durability: Durability) {
    this.#db = openWriterConnection(path, durability);
    try {
      this.preparation = prepareSchema(this.#db);
    } catch (error) {
      this.#db.close(false);
      throw error;
    }
    const prepare = <R>(sql: string): Statement<R, Params> => this.#db.prepare<R, Params>(sql);
    this.#averages = new DailyAverages(this.#db);
    this.#dataVersion = this.#db.prepare<{ data_version: number }, []>("PRAGMA data_version");
    this.#lastDataVersion = this.#readDataVersion();
    this.#hourlyUpsert =
      prepare(`INSERT INTO hourly_prices (ticker, datetime, open, high, low, close, volume, write_timestamp)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (ticker, datetime) DO UPDATE SET open = excluded.open, high = excluded.high,
      low = excluded.low, close = excluded.close, volume = excluded.volume, write_timestamp = excluded.write_timestamp`);
    this.#hourlyExists = prepare("SELECT 1 FROM hourly_prices WHERE ticker = ? AND datetime = ?");
    this.#dailyExists = prepare("SELECT 1 FROM daily_prices WHERE ticker = ? AND date = ?");
    const tickColumns =
      "INSERT INTO realtime_data (ticker, type, timestamp, seq, price, size, ask_price, ask_size, write_timestamp) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    // The key is named, so that an index of the user's own is a constraint, not a taken key.
    const keyTaken = "ON CONFLICT (ticker, type, timestamp, seq) DO";
    this.#tickInsert = prepare(`${tickColumns} ${keyTaken} NOTHING`);
    this.#tickReplace =
      prepare(`${tickColumns} ${keyTaken} UPDATE SET price = excluded.price, size = excluded.size,
      ask_price = excluded.ask_price, ask_size = excluded.ask_size, write_timestamp = excluded.write_timestamp`);
    this.#tickAt = prepare(
      "SELECT price, size, ask_price, ask_size FROM realtime_data WHERE ticker = ? AND type = ? AND timestamp = ? AND seq = ?",
    );
  }

  commit(saves: Save[]): SaveOutcome[] {
    try {
      return this.#transaction(() => saves.map((save) => this.#apply(save)));
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
    // One of them breaks a rule that users made with SQL, a unique index or a trigger: the others must not suffer.
    return this.#transaction(() => saves.map((save) => this.#applyOrUndo(save)));
  }

  changedByOthers(): boolean {
    const version = this.#readDataVersion();
    if (version === this.#lastDataVersion) return false;
    this.#lastDataVersion = version;
    return true;
  }

  /** True while no command has ever stored a row. */
  isEmpty(): boolean {
    return ["daily_prices", "hourly_prices", "realtime_data"].every(
      (table) => this.#db.query(`SELECT 1 FROM ${table} LIMIT 1`).get() === null,
    );
  }

  close(): void {
    this.#db.run("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#db.close(false);
  }

  #transaction<T>(work: () => T): T {
    try {
      this.#db.run("BEGIN IMMEDIATE");
      const result = work();
      this.#db.run("COMMIT");
      return result;
    } catch (error) {
      if (this.#db.inTransaction) this.#db.run("ROLLBACK");
      if (error instanceof SQLiteError && error.code === "SQLITE_BUSY") {
        throw new StorageBusyError(error.message, { cause: error });
      }
      throw error;
    }
  }

  #apply(save: Save): SaveOutcome {
    return save.kind === "ticks" ? this.#saveTicks(save) : this.#saveBars(save);
  }

  #applyOrUndo(save: Save): SaveOutcome {
    this.#db.run("SAVEPOINT one_save");
    try {
      return this.#apply(save);
    } catch (error) {
      // A trigger may have rolled back everything: then there is nothing to go on with.
      if (!isRefusal(error) || !this.#db.inTransaction) throw error;
      this.#db.run("ROLLBACK TO one_save");
      return {
        ok: false,
        status: 409,
        error: `save: the database refuses a row of ${save.ticker}; nothing of this save was stored`,
        details: error.message,
      };
    } finally {
      if (this.#db.inTransaction) this.#db.run("RELEASE one_save");
    }
  }

  #readDataVersion(): number {
    return this.#dataVersion.get()?.data_version ?? 0;
  }

  #saveBars(save: SaveBars): SaveOutcome {
    const exists = save.interval === "daily" ? this.#dailyExists : this.#hourlyExists;
    let rows = save.rows;
    if (save.onDuplicate !== "replace") {
      const isStored = (row: BarRow): boolean => exists.get(save.ticker, row[0]) !== null;
      if (save.onDuplicate === "error") {
        const taken = rows.filter(isStored).map((row) => row[0]);
        if (taken.length > 0) return conflict(`save_stock_data: ${save.ticker} ${save.interval}`, taken);
      } else {
        rows = rows.filter((row) => !isStored(row));
      }
    }
    if (rows.length === 0) return { ok: true, stored: 0 };
    const writeTimestamp = `${nowText()}+00:00`;
    if (save.interval === "daily") {
      this.#averages.save(save.ticker, rows, writeTimestamp);
    } else {
      for (const row of rows) this.#hourlyUpsert.run(save.ticker, ...row, writeTimestamp);
    }
    return { ok: true, stored: rows.length };
  }

  #saveTicks(save: SaveTicks): SaveOutcome {
    const { ticker, type, onDuplicate } = save;
    const sequenced = withSeq(save.rows);
    if (onDuplicate === "error") {
      const taken = sequenced.filter(([row, seq]) => this.#tickAt.get(ticker, type, row[0], seq) !== null);
      if (taken.length > 0) {
        return conflict(
          `save_realtime_data: ${ticker} ${type}`,
          taken.map(([row, seq]) => `${row[0]} seq ${seq}`),
        );
      }
    }
    const writeTimestamp = nowText();
    const claims = new Claims(sequenced);
    let stored = 0;
    for (const [row, firstSeq] of sequenced) {
      const [stamp, price, size, askPrice, askSize] = row;
      if (onDuplicate === "replace") {
        this.#tickReplace.run(ticker, type, stamp, firstSeq, price, size, askPrice, askSize, writeTimestamp);
        stored++;
        continue;
      }
      for (let seq = firstSeq; ; seq++) {
        const { changes } = this.#tickInsert.run(
          ticker,
          type,
          stamp,
          seq,
          price,
          size,
          askPrice,
          askSize,
          writeTimestamp,
        );
        if (changes === 1) {
          stored++;
          claims.claim(row, firstSeq, seq);
          break;
        }
        const there = this.#tickAt.get(ticker, type, stamp, seq);
        if (there === null) throw new RowIgnoredError(`a trigger ignores ${type} of ${stamp}`);
        if (sameTick(there, row) && claims.isDuplicate(row, firstSeq, seq)) {
          claims.claim(row, firstSeq, seq);
          break;
        }
      }
    }
    return { ok: true, stored };
  }
}

/** A trigger's RAISE(IGNORE): no key is taken, and yet the row is not stored. */
class RowIgnoredError extends Error {
  override name = "RowIgnoredError";
}

/** The rows are at fault, by a rule of the database; not the disk, a lock, or memory, which the next save would meet too. */
function isRefusal(error: unknown): error is Error {
  if (error instanceof RowIgnoredError) return true;
  if (!(error instanceof SQLiteError)) return false;
  return error.code === "SQLITE_ERROR" || (error.code ?? "").startsWith("SQLITE_CONSTRAINT");
}

function sameTick(stored: StoredTick, row: TickRow): boolean {
  const [, price, size, askPrice, askSize] = row;
  return (
    stored.price === price &&
    sameCount(stored.size, size) &&
    stored.ask_price === askPrice &&
    sameCount(stored.ask_size, askSize)
  );
}

/** The connection reads integers as doubles: those beyond one are equal when their doubles are. */
function sameCount(stored: number | null, given: Count | null): boolean {
  return stored === (typeof given === "string" ? Number(given) : given);
}
