/** Gathers rows of many series into one transaction: short series share a disk write. */
import { type Save, type SaveOutcome, type StockWriter, StorageBusyError } from "../../storage/contract.ts";
import type { SeriesRow } from "../../storage/model/kinds.ts";
import { nameOf, type Series, toSave } from "./series.ts";

/** A few MB. */
const TRANSACTION_ROWS = 10_000;
/** Waits 20 s in all for another program's lock. */
const BUSY_TRIES = 40;
const BUSY_PAUSE_MS = 500;

interface Pending {
  rows: SeriesRow[];
  /** How many of them were written before. */
  again: number;
}

export class RowWriter {
  /** Rows that are certainly stored. Repetitions don't count. */
  rowsWritten = 0;
  readonly #refusals = new Map<Series, string>();
  readonly #writer: Pick<StockWriter, "commit">;
  readonly #pending = new Map<Series, Pending>();
  #rows = 0;

  constructor(writer: Pick<StockWriter, "commit">) {
    this.#writer = writer;
  }

  /**
   * @param again it was written before.
   * @returns a promise if a transaction is due.
   * @throws Error the database failed, and stored nothing of the transaction.
   */
  add(series: Series, row: SeriesRow, again: boolean): void | Promise<void> {
    let pending = this.#pending.get(series);
    if (pending === undefined) {
      pending = { rows: [], again: 0 };
      this.#pending.set(series, pending);
    }
    pending.rows.push(row);
    if (again) pending.again++;
    if (++this.#rows >= TRANSACTION_ROWS) return this.flush();
  }

  get isIdle(): boolean {
    return this.#rows === 0;
  }

  /** Why the database refused rows of the series. Forgets it. */
  takeRefusal(series: Series): string | null {
    const refusal = this.#refusals.get(series) ?? null;
    this.#refusals.delete(series);
    return refusal;
  }

  async flush(): Promise<void> {
    const pending = [...this.#pending];
    this.#pending.clear();
    this.#rows = 0;
    if (pending.length === 0) return;
    const outcomes = await this.#commitWhenFree(pending.map(([series, { rows }]) => toSave(series, rows)));
    for (const [index, [series, { rows, again }]] of pending.entries()) {
      const outcome = outcomes[index];
      if (outcome?.ok) this.rowsWritten += rows.length - again;
      else if (!this.#refusals.has(series)) this.#refusals.set(series, describeRefusal(series, outcome));
    }
  }

  async #commitWhenFree(saves: Save[]): Promise<SaveOutcome[]> {
    const outcomes = new Map<Save, SaveOutcome>();
    for (let tries = 1; ; tries++) {
      try {
        while (outcomes.size < saves.length) {
          const left = saves.filter((save) => !outcomes.has(save));
          const reached = await this.#writer.commit(left);
          for (const [index, save] of left.entries()) {
            const outcome = reached[index];
            if (outcome != null) outcomes.set(save, outcome);
          }
        }
        return saves.map((save) => outcomes.get(save)!);
      } catch (error) {
        if (!(error instanceof StorageBusyError) || tries === BUSY_TRIES) throw error;
        await Bun.sleep(BUSY_PAUSE_MS);
      }
    }
  }
}

function describeRefusal(series: Series, outcome: SaveOutcome | undefined): string {
  if (outcome === undefined || outcome.ok) return `no answer to a save of ${nameOf(series)}`;
  return outcome.details === undefined ? outcome.error : `${outcome.error} (${outcome.details})`;
}
