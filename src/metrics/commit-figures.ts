/** What the process that commits counts: the hub, or a worker where workers commit themselves. */
import { Histogram } from "./histogram.ts";
import type { Samples } from "./samples.ts";

const SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
const SAVES = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500];

/** The part of an outcome that is counted. */
interface Committed {
  ok: boolean;
  position?: number | null;
}

export class CommitFigures {
  readonly #seconds = new Histogram(SECONDS);
  readonly #saves = new Histogram(SAVES);
  #updates = 0;
  #newestMs = 0;

  /** @param outcomes of one transaction. */
  note(ms: number, outcomes: readonly (Committed | null)[]): void {
    this.#seconds.note(ms / 1_000);
    this.#saves.note(outcomes.length);
    let updates = 0;
    for (const outcome of outcomes) if (outcome?.ok && outcome.position != null) updates++;
    if (updates === 0) return;
    this.#updates += updates;
    this.#newestMs = Date.now();
  }

  /** @param queued saves that wait for a transaction. */
  samples(queued: number): Samples {
    return {
      stock_db_commit_queue: { "": queued },
      stock_db_commit_seconds: this.#seconds.samples(),
      stock_db_commit_saves: this.#saves.samples(),
      stock_db_updates_total: { "": this.#updates },
      ...(this.#newestMs === 0 ? {} : { stock_db_newest_update_seconds: { "": this.#newestMs / 1_000 } }),
    };
  }
}
