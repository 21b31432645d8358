/**
 * Saves at which a hub has hung or died, by ticker and table. The next hub gets such a save after
 * all others, in a transaction of its own, so that no other save waits for it. After a second hang,
 * saves of the ticker and table are refused for a time, as each would again hold up all saves for
 * --liveness-timeout.
 */
import type { Save } from "../storage/contract.ts";
import { tableOf, type WriterState } from "./writer-note.ts";

/** Hangs at one ticker and table before its saves are refused. */
const HANGS_MAX = 2;
/** How long they are refused after that; doubled after each further hang. */
const REFUSED_FIRST_MS = 60_000;
const REFUSED_MAX_MS = 3_600_000;
/** How long a hang is remembered, even if other saves of the ticker succeed. */
const HANGS_KEPT_MS = 600_000;
/** Limit for the memory of a worker; the oldest is forgotten. */
const SUSPECTS_MAX = 1_000;

interface Suspicion {
  hangs: number;
  refusedUntilMs: number;
  keptUntilMs: number;
}

export class SuspectSaves {
  readonly #byKey = new Map<string, Suspicion>();

  /**
   * @param state what the hub was doing.
   * @param hung false: it died, perhaps for another reason.
   */
  blame(state: WriterState, hung: boolean, nowMs: number): void {
    // In other steps the hub waits for the disk or a lock, not because of the save.
    if (state.step !== "rows") return;
    const key = keyOf(state.table, state.ticker);
    const hangs = (this.#byKey.get(key)?.hangs ?? 0) + (hung ? 1 : 0);
    const further = hangs - HANGS_MAX;
    const refusedMs = further < 0 ? 0 : Math.min(REFUSED_MAX_MS, REFUSED_FIRST_MS * 2 ** further);
    this.#byKey.delete(key);
    const keptMs = hangs === 0 ? 0 : Math.max(HANGS_KEPT_MS, 2 * refusedMs);
    this.#byKey.set(key, { hangs, refusedUntilMs: nowMs + refusedMs, keptUntilMs: nowMs + keptMs });
    const [oldest] = this.#byKey.keys();
    if (this.#byKey.size > SUSPECTS_MAX) this.#byKey.delete(oldest!);
  }

  has(save: Save): boolean {
    return this.#byKey.size > 0 && this.#byKey.has(keyOf(tableOf(save), save.ticker));
  }

  /** Why the save is not tried now; null: it is. */
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
