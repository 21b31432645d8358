/** Writes daily bars with their moving averages. See DESIGN.md "Averages". */
import type { Database, SQLQueryBindings, Statement } from "bun:sqlite";
import { AVERAGE_COLUMNS } from "../../market/moving-averages.ts";
import type { BarRow } from "../contract.ts";
import { type CheckpointRow, CLOSES_BEFORE, changesOfSeries } from "../daily-series.ts";

type Params = SQLQueryBindings[];

const VALUES = ["open", "high", "low", "close", "volume", "extra"];

export class DailyAverages {
  readonly #checkpointBefore: Statement<CheckpointRow, Params>;
  readonly #checkpointInsert: Statement<unknown, Params>;
  readonly #closesBefore: Statement<{ close: unknown }, Params>;
  readonly #rowsFrom: Statement<Record<string, unknown>, Params>;
  readonly #upsert: Statement<unknown, Params>;
  readonly #updateAverages: Statement<unknown, Params>;

  constructor(db: Database) {
    this.#checkpointBefore = db.prepare<CheckpointRow, Params>(
      "SELECT date, closes, ema_8, ema_21, ema_34, ema_55, ema_89 FROM daily_checkpoints WHERE ticker = ? AND date <= ? ORDER BY date DESC LIMIT 1",
    );
    this.#checkpointInsert = db.prepare<unknown, Params>(
      "INSERT OR REPLACE INTO daily_checkpoints (ticker, date, closes, ema_8, ema_21, ema_34, ema_55, ema_89) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#closesBefore = db.prepare<{ close: unknown }, Params>(
      "SELECT close FROM daily_prices WHERE ticker = ? AND date < ? AND typeof(close) IN ('real', 'integer') ORDER BY date DESC LIMIT ?",
    );
    this.#rowsFrom = db.prepare<Record<string, unknown>, Params>(
      `SELECT date, close, ${AVERAGE_COLUMNS.join(", ")} FROM daily_prices WHERE ticker = ? AND date >= ? ORDER BY date`,
    );
    const values = [...VALUES, ...AVERAGE_COLUMNS, "write_timestamp"];
    this.#upsert = db.prepare<unknown, Params>(
      `INSERT INTO daily_prices (ticker, date, ${values.join(", ")}) VALUES (?, ?, ${values.map(() => "?").join(", ")})
       ON CONFLICT (ticker, date) DO UPDATE SET ${values.map((name) => `${name} = excluded.${name}`).join(", ")}`,
    );
    this.#updateAverages = db.prepare<unknown, Params>(
      `UPDATE daily_prices SET ${AVERAGE_COLUMNS.map((name) => `${name} = ?`).join(", ")} WHERE ticker = ? AND date = ?`,
    );
  }

  /** @param rows ascending, each date once, not empty. */
  save(ticker: string, rows: BarRow[], writeTimestamp: string): void {
    this.#store(ticker, rows[0]![0], rows, writeTimestamp);
  }

  /** Those from a date on, where bars were removed. */
  recompute(ticker: string, from: string): void {
    this.#store(ticker, from, [], "");
  }

  #store(ticker: string, first: string, rows: BarRow[], writeTimestamp: string): void {
    const checkpoint = this.#checkpointBefore.get(ticker, first);
    const from = checkpoint?.date ?? "";
    const stored = this.#rowsFrom.all(ticker, from);
    const closesBefore =
      checkpoint === null
        ? []
        : this.#closesBefore
            .all(ticker, from, CLOSES_BEFORE)
            .map((row) => row.close as number)
            .reverse();
    const changes = changesOfSeries({ checkpoint, closesBefore, stored }, rows);
    for (const { bar, averages } of changes.bars) {
      const [date, open, high, low, close, volume, extra] = bar;
      const values = [open, high, low, close, volume, extra ?? null, ...averages];
      this.#upsert.run(ticker, date, ...values, writeTimestamp);
    }
    for (const { date, averages } of changes.averages) this.#updateAverages.run(...averages, ticker, date);
    // Now the triggers have removed every checkpoint that the rows made wrong.
    for (const { date, state } of changes.checkpoints)
      this.#checkpointInsert.run(ticker, date, state.closes, ...state.emas);
  }
}
