/**
 * Knows whether saves can be stored, from failed commits and from looks at the tables. A problem is
 * logged once and then in sums, and each worker's `/ready` is 503 meanwhile.
 */
import type { LogLines } from "../observe/log.ts";
import type { StockWriter } from "../storage/contract.ts";

/** Interval for logging saves refused for one reason. */
const TOLD_EVERY_MS = 10_000;
/** How soon the end of a problem is noticed, if a look can tell. */
const LOOK_EVERY_MS = 1_000;
/**
 * A problem that no look can tell, such as a failed commit, ends with a successful commit or after
 * this time, since only another try can tell.
 */
const TRIED_AGAIN_AFTER_MS = 10_000;

export interface SavesWatchOptions {
  writer: Pick<StockWriter, "findProblem" | "takeNotes"> | null;
  /** Called at each change. */
  tell(problem: string | null): void;
  log: Pick<LogLines, "error" | "warning" | "info">;
}

export class SavesWatch {
  readonly #options: SavesWatchOptions;
  #problem: string | null = null;
  #failedAtMs = 0;
  #lookedAtMs = -LOOK_EVERY_MS;
  #toldAtMs = 0;
  #refusedSinceTold = 0;

  constructor(options: SavesWatchOptions) {
    this.#options = options;
    this.#tellNotes();
  }

  get problem(): string | null {
    return this.#problem;
  }

  /** Call many times a second, between commits. @param changed another program has committed. */
  poll(changed: boolean): void {
    if (changed) this.#tellNotes();
    const nowMs = performance.now();
    if (this.#refusedSinceTold > 0 && nowMs - this.#toldAtMs >= TOLD_EVERY_MS) this.#tellRefused();
    if (!changed && (this.#problem === null || nowMs - this.#lookedAtMs < LOOK_EVERY_MS)) return;
    this.#lookedAtMs = nowMs;
    const found = this.#options.writer?.findProblem?.() ?? null;
    if (found !== null) {
      // A look will also tell its end.
      this.#failedAtMs = 0;
      this.#begin(found);
    } else if (nowMs - this.#failedAtMs >= TRIED_AGAIN_AFTER_MS || this.#failedAtMs === 0) this.#end();
  }

  /** @param saves refused because of the database, not their content. */
  failed(saves: number, reason: string): void {
    this.#failedAtMs = performance.now();
    this.#refusedSinceTold += saves;
    const isNew = this.#problem === null;
    if (isNew || performance.now() - this.#toldAtMs >= TOLD_EVERY_MS) this.#tellRefused(reason);
    this.#begin(reason);
  }

  /** Call after a commit in which the database refused no save. */
  succeeded(): void {
    this.#tellNotes();
    if (this.#problem === null) return;
    this.#failedAtMs = 0;
    this.poll(true);
  }

  #begin(problem: string): void {
    if (this.#problem === problem) return;
    if (this.#refusedSinceTold === 0 && this.#failedAtMs === 0)
      this.#options.log.error(`Hub: saves are refused: ${problem}`);
    this.#problem = problem;
    this.#options.tell(problem);
  }

  #end(): void {
    if (this.#problem === null) return;
    this.#problem = null;
    this.#failedAtMs = 0;
    this.#options.log.info("Hub: the database takes saves again");
    this.#options.tell(null);
  }

  #tellRefused(reason = this.#problem ?? "the database refused them"): void {
    this.#options.log.error(`Hub: commit of ${this.#refusedSinceTold} saves failed: ${reason}`);
    this.#refusedSinceTold = 0;
    this.#toldAtMs = performance.now();
  }

  #tellNotes(): void {
    for (const note of this.#options.writer?.takeNotes?.() ?? [])
      this.#options.log.warning(`Database: ${note}`);
  }
}
