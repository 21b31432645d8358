/**
 * What keeps this process from doing all of its work, such as a full disk. The code that notices a
 * condition begins and ends it here. The log tells each beginning and end once; in between,
 * `/ready` answers 503 with the reasons.
 */
import type { LogLines } from "./log.ts";

export type ConditionName = "descriptors" | "disk" | "memory" | "writer" | "database";

export class Conditions {
  readonly #log: Pick<LogLines, "warning" | "info">;
  readonly #reasons = new Map<ConditionName, string>();

  constructor(log: Pick<LogLines, "warning" | "info">) {
    this.#log = log;
  }

  /** @param reason A sentence without a full stop, with current figures. Replaces the last one. */
  begin(name: ConditionName, reason: string): void {
    const isNew = !this.#reasons.has(name);
    this.#reasons.set(name, reason);
    if (isNew) this.#log.warning(reason);
  }

  /** @param note Logged if the condition existed. */
  end(name: ConditionName, note: string): void {
    if (this.#reasons.delete(name)) this.#log.info(note);
  }

  has(name: ConditionName): boolean {
    return this.#reasons.has(name);
  }

  /** Oldest first. */
  get reasons(): string[] {
    return [...this.#reasons.values()];
  }
}
