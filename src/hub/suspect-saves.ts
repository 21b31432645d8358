/**
 * Saves that a hub has hung or died at, by ticker and table. Such a save is sent to the next hub
 * after all others and in a transaction of its own, so that nobody else waits for it; the second
 * hub that hangs at it is the last: from then on saves of the ticker and table are refused for a
 * time, as each would hold up everybody's for --liveness-timeout again.
 */
import type { Save } from "../storage/contract.ts";
import { type Backoff, backoffMs } from "../time/pauses.ts";
import { tableOf, type WriterState } from "./writer-note.ts";

/** Hubs that may hang at saves of one ticker and table before these are refused. */
const HANGS_MAX = 2;
/** Refused for so long after the last of them, and twice as long after each further one. */
const REFUSED: Backoff = { firstMs: 60_000, maxMs: 3_600_000 };
/**
 * That a hub hung is remembered for so long, whatever is stored meanwhile: some saves of a ticker
 * may be well.
 */
const HANGS_KEPT_MS = 600_000;
/** A bound for the memory of a worker; the oldest is forgotten. */
const SUSPECTS_MAX = 1_000;

interface Suspicion {
  hangs: number;
  refusedUntilMs: number;
  keptUntilMs: number;
}

export class SuspectSaves {
  readonly #byKey = new Map<string, Suspicion>();

  /**
   * @param state what the hub was at when it went.
   * @param hung false: it died, which others may have done to it.
   */
  blame(state: WriterState, hung: boolean, nowMs: number): void {
    // While a transaction begins or ends, it is the disk or a lock that it waits for.
    if (state.step !== "rows") return;
    const key = keyOf(state.table, state.ticker);
    const hangs = (this.#byKey.get(key)?.hangs ?? 0) + (hung ? 1 : 0);
    const further = hangs - HANGS_MAX;
    const refusedMs = further < 0 ? 0 : backoffMs(REFUSED, further);
    this.#byKey.delete(key);
    const keptMs = hangs === 0 ? 0 : Math.max(HANGS_KEPT_MS, 2 * refusedMs);
    this.#byKey.set(key, { hangs, refusedUntilMs: nowMs + refusedMs, keptUntilMs: nowMs + keptMs });
    const [oldest] = this.#byKey.keys();
    if (this.#byKey.size > SUSPECTS_MAX) this.#byKey.delete(oldest!);
  }

  has(save: Save): boolean {
    return this.#byKey.size > 0 && this.#byKey.has(keyOf(tableOf(save), save.ticker));
  }

  /** A sentence why the save is not tried for now; null if it may be. */
  refusal(save: Save, nowMs: number): { reason: string; retryAfterS: number } | null {
    if (this.#byKey.size === 0) return null;
    const table = tableOf(save);
    const suspicion = this.#byKey.get(keyOf(table, save.ticker));
    if (suspicion === undefined || suspicion.hangs < HANGS_MAX) return null;
    const leftMs = suspicion.refusedUntilMs - nowMs;
    if (leftMs <= 0) return null;
    return {
      reason: `the database's writer hung ${suspicion.hangs} times while it stored ${table} of ${save.ticker}`,
      retryAfterS: Math.ceil(leftMs / 1_000),
    };
  }

  /** The database has answered it. */
  answered(save: Save, nowMs: number): void {
    if (this.#byKey.size === 0) return;
    const key = keyOf(tableOf(save), save.ticker);
    const suspicion = this.#byKey.get(key);
    if (suspicion !== undefined && nowMs >= suspicion.keptUntilMs) this.#byKey.delete(key);
  }
}

function keyOf(table: string, ticker: string): string {
  return `${table} ${ticker}`;
}
