/**
 * Gathers rows of many series into transactions of one size: a database of many short series must
 * not pay a disk write for each.
 */
import { type Save, type SaveOutcome, type StockWriter, StorageBusyError } from "../../storage/contract.ts";
import type { SeriesRow } from "../../storage/model/kinds.ts";
import { nameOf, type Series, toSave } from "./series.ts";

/** Rows of one transaction, a few MB. */
const TRANSACTION_ROWS = 10_000;
/** A foreign program's lock is waited for this many times, 20 s in all. */
const BUSY_TRIES = 40;
const BUSY_PAUSE_MS = 500;

interface Pending {
  rows: SeriesRow[];
  /** Of these, those that were written before. */
  again: number;
}

export class RowWriter {
  /** Rows that are stored for certain, each once. */
  rowsWritten = 0;
  readonly #refusals = new Map<Series, string>();
  readonly #writer: Pick<StockWriter, "commit">;
  readonly #pending = new Map<Series, Pending>();
  #rows = 0;

  constructor(writer: Pick<StockWriter, "commit">) {
    this.#writer = writer;
  }

  /**
   * Returns a promise when a transaction is due. @param again it was written before, and isn't
   * there as it should be. @throws Error The database failed, and nothing of the transaction is
   * stored.
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

  /** Whether everything added has been sent to the database. */
  get isIdle(): boolean {
    return this.#rows === 0;
  }

  /** Why the database refused rows of the series, once; null if it has taken them all. */
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
