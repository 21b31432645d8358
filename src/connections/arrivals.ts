import type { Arrival } from "./connection.ts";

/** Of a User-Agent. */
const CHARACTERS_MAX = 200;
/** Texts that are kept once for all connections; at this number they are forgotten. */
const KEPT_MAX = 1_000;

/** Numbers what comes to this worker. */
export class Arrivals {
  readonly #userAgents = new Map<string, string>();
  #count = 0;

  note({ port, userAgent }: Pick<Arrival, "port" | "userAgent">): Arrival {
    this.#count++;
    return { number: this.#count, atMs: Date.now(), port, userAgent: this.#kept(userAgent) };
  }

  /** Thousands of sockets come from a few programs. */
  #kept(userAgent: string | null): string | null {
    if (userAgent === null) return null;
    const shown = userAgent.slice(0, CHARACTERS_MAX);
    const kept = this.#userAgents.get(shown);
    if (kept !== undefined) return kept;
    if (this.#userAgents.size >= KEPT_MAX) this.#userAgents.clear();
    // A copy: a part of a text would keep all of it.
    const copy = Buffer.from(shown).toString();
    this.#userAgents.set(copy, copy);
    return copy;
  }
}
