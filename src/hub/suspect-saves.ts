/**
 * Saves that a hub has hung or died at, by ticker and kind of row. Such a save is sent to the next
 * hub after all others and in a transaction of its own, so that nobody else waits for it; the
 * second hub that hangs at it is the last: from then on saves of the ticker and kind are refused
 * for a time, as each would hold up everybody's for --liveness-timeout again.
 */
import type { Save } from "../storage/contract.ts";
import { KINDS, type KindName } from "../storage/model/kinds.ts";
import { type Backoff, backoffMs } from "../time/pauses.ts";
import type { WriterState } from "./writer-note.ts";

/** Hubs that may hang at saves of one ticker and kind before these are refused. */
const HANGS_MAX = 2;
/** Refused for so long after the last of them, and twice as long after each further one. */
const REFUSED: Backoff = { firstMs: 60_000, maxMs: 3_600_000 };
/**
 * That a hub hung is remembered for so long, whatever is stored meanwhile: some saves of a ticker
 * may be well.
 */
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
    const key = keyOf(state);
    const hangs = (this.#byKey.get(key)?.hangs ?? 0) + (hung ? 1 : 0);
    const further = hangs - HANGS_MAX;
    const refusedMs = further < 0 ? 0 : backoffMs(REFUSED, further);
    this.#byKey.delete(key);
    const keptMs = hangs === 0 ? 0 : Math.max(HANGS_KEPT_MS, 2 * refusedMs);
    this.#byKey.set(key, { hangs, refusedUntilMs: nowMs + refusedMs, keptUntilMs: nowMs + keptMs });
    const [oldest] = this.#byKey.keys();
    if (this.#byKey.size > SUSPECTS_MAX) this.#byKey.delete(oldest!);
  }

  get isEmpty(): boolean {
    return this.#byKey.size === 0;
  }

  has(save: Save): boolean {
    return this.#byKey.size > 0 && this.#byKey.has(keyOf(save));
  }

  /** Why the save is not tried now; null: it is. */
  refusal(save: Save, nowMs: number): { reason: string; retryAfterS: number } | null {
    if (this.#byKey.size === 0) return null;
    const suspicion = this.#byKey.get(keyOf(save));
    if (suspicion === undefined || suspicion.hangs < HANGS_MAX) return null;
    const leftMs = suspicion.refusedUntilMs - nowMs;
    if (leftMs <= 0) return null;
    return {
      reason: `the database's writer hung ${suspicion.hangs} times while it stored ${KINDS[save.kind].label} of ${save.ticker}`,
      retryAfterS: Math.ceil(leftMs / 1_000),
    };
  }

  answered(save: Save, nowMs: number): void {
    if (this.#byKey.size === 0) return;
    const key = keyOf(save);
    const suspicion = this.#byKey.get(key);
    if (suspicion !== undefined && nowMs >= suspicion.keptUntilMs) this.#byKey.delete(key);
  }
}

function keyOf({ kind, ticker }: { kind: KindName; ticker: string }): string {
  return `${kind} ${ticker}`;
}
