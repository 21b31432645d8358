/**
 * Keeps users' SQL from ending one hub after the other. An engine in the hub's process has
 * functions that can't be stopped, and while the next hub opens the database everybody waits.
 */
import { unavailable } from "../protocol/errors.ts";

/** Ends within this time count once: all statements of a hub meet its end. */
const SAME_END_MS = 300;
const REMEMBERED_MS = 60_000;
/** Ends within REMEMBERED_MS that refuse nothing: a single one may have had another reason. */
const ENDS_FREE = 1;
const REFUSED_MS = 10_000;

export class SqlCaution {
  #ends: number[] = [];

  /** Call when a hub has ended while a user's statement ran in it. */
  hubEnded(): void {
    const now = performance.now();
    this.#ends = this.#ends.filter((at) => now - at < REMEMBERED_MS);
    const last = this.#ends.at(-1);
    if (last === undefined || now - last > SAME_END_MS) this.#ends.push(now);
  }

  /** @throws RequestError 503 for a while after hubs ended repeatedly. */
  admit(): void {
    const now = performance.now();
    const ends = this.#ends.filter((at) => now - at < REMEMBERED_MS);
    const last = ends.at(-1);
    if (last === undefined || ends.length <= ENDS_FREE || now - last > REFUSED_MS) return;
    const leftS = Math.ceil((REFUSED_MS - (now - last)) / 1_000);
    throw unavailable(
      `execute_sql: the process that holds the database ended ${ends.length} times within ${REMEMBERED_MS / 1_000} s while SQL ran in it; SQL is refused for another ${leftS} s`,
    );
  }
}
