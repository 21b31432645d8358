/**
 * Handles stopped statements that don't end: each keeps a thread, a connection and its slot. Lets
 * others have a few of the slots, and ends the process after a time. See DESIGN.md.
 */
import { type RequestError, unavailable } from "../../protocol/errors.ts";
import type { RunningStatement } from "./running-statement.ts";
import type { Slots } from "./slots.ts";

/** Statements that heed an interrupt end within a second, most in milliseconds. */
const SUBSTITUTE_AFTER_MS = 1_000;
/** Counts from the stop. */
const STUCK_MAX_MS = 10_000;

export interface StuckOptions {
  slots: Slots;
  /** Slots of stuck statements that others may have. */
  substitutesMax: number;
  /** Ends the process; null: the process has other work. */
  endProcess: ((reason: string) => void) | null;
}

interface Stuck {
  statement: RunningStatement;
  /** Another statement has its slot. */
  substituted: boolean;
}

export class StuckStatements {
  readonly #options: StuckOptions;
  readonly #stuck = new Set<Stuck>();

  constructor(options: StuckOptions) {
    this.#options = options;
  }

  /** Gives the slot back once the statement has ended. The client has its answer. */
  leave(statement: RunningStatement): void {
    const { slots, endProcess } = this.#options;
    if (statement.hasEnded) {
      slots.give();
      return;
    }
    const stuck: Stuck = { statement, substituted: false };
    this.#stuck.add(stuck);
    const substitution = setTimeout(() => this.#substitute(), SUBSTITUTE_AFTER_MS - statement.overdueMs);
    const end =
      endProcess === null
        ? undefined
        : setTimeout(
            () => endProcess(`SQL that was stopped ${STUCK_MAX_MS / 1000} s ago has not ended`),
            STUCK_MAX_MS - statement.overdueMs,
          );
    void statement.ended.then(() => {
      clearTimeout(substitution);
      clearTimeout(end);
      this.#stuck.delete(stuck);
      if (!stuck.substituted) slots.give();
      else this.#substitute();
    });
  }

  /** Why no statement can run; null: one can, or soon will. */
  refusal(): RequestError | null {
    const inSlots = [...this.#stuck].filter(({ substituted }) => !substituted);
    if (inSlots.length < this.#options.slots.max) return null;
    const sinceMs = Math.min(...inSlots.map(({ statement }) => statement.overdueMs));
    if (sinceMs < SUBSTITUTE_AFTER_MS) return null;
    return unavailable(
      `execute_sql: statements that were stopped at least ${Math.floor(sinceMs / 1000)} s ago have not ended, and no other can run until they have`,
    );
  }

  #substitute(): void {
    const { slots, substitutesMax } = this.#options;
    let free = substitutesMax - [...this.#stuck].filter(({ substituted }) => substituted).length;
    for (const stuck of this.#stuck) {
      if (free <= 0) return;
      if (stuck.substituted || stuck.statement.overdueMs < SUBSTITUTE_AFTER_MS) continue;
      stuck.substituted = true;
      free--;
      slots.give();
    }
  }
}
