/**
 * Keeps SQL of users from ending one hub after the other: an engine in the hub's process has
 * functions that nothing stops, and each hub that has to end holds up everybody for the time in
 * which the next one opens the database.
 */
import { unavailable } from "../protocol/errors.ts";

/** Ends that are as close as this are one: all statements of a hub meet its end. */
const SAME_END_MS = 300;
const REMEMBERED_MS = 60_000;
/** Within the time for which they are remembered. A single one may have had another reason. */
const ENDS_FREE = 1;
const REFUSED_MS = 10_000;

export class SqlCaution {
  #ends: number[] = [];

  /** A hub has ended while a statement of a user's ran in it. */
  hubEnded(): void {
    const now = performance.now();
    this.#ends = this.#ends.filter((at) => now - at < REMEMBERED_MS);
    const last = this.#ends.at(-1);
    if (last === undefined || now - last > SAME_END_MS) this.#ends.push(now);
  }

  /** @throws RequestError 503 for a while after hubs ended again and again. */
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
