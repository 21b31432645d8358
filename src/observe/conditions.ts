/**
 * What keeps this process from doing all of its work: a full disk, too few descriptors, a writer
 * that doesn't answer.
 *
 * Whoever notices a condition begins and ends it here. The log tells both moments once, and
 * `/ready` answers 503 with the reasons in between.
 */
import type { LogLines } from "./log.ts";

export type ConditionName = "descriptors" | "disk" | "memory" | "writer" | "database";

export class Conditions {
  readonly #log: Pick<LogLines, "warning" | "info">;
  readonly #reasons = new Map<ConditionName, string>();

  constructor(log: Pick<LogLines, "warning" | "info">) {
    this.#log = log;
  }

  /**
   * @param reason A sentence without a full stop, with the figures of this moment. It replaces an
   * earlier one.
   */
  begin(name: ConditionName, reason: string): void {
    const isNew = !this.#reasons.has(name);
    this.#reasons.set(name, reason);
    if (isNew) this.#log.warning(reason);
  }

  /** @param note Logged if the condition was there. */
  end(name: ConditionName, note: string): void {
    if (this.#reasons.delete(name)) this.#log.info(note);
  }

  has(name: ConditionName): boolean {
    return this.#reasons.has(name);
  }

  /** In the order in which they began. */
  get reasons(): string[] {
    return [...this.#reasons.values()];
  }
}
