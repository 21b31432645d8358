/** Where updates of a ticker can't be told any more. */
import type { StoredUpdate } from "./update-contract.ts";

export interface Hole {
  from: number;
  to: number;
}

/**
 * The first positions whose content is not kept: trimmed away, or rows of a copy, which have none.
 *
 * @param updates that `UpdateReader.after` has given for `after`.
 * @param newest a position that exists.
 */
export function firstHole(after: number, updates: readonly StoredUpdate[], newest: number): Hole | null {
  if (updates.length === 0) return after < newest ? { from: after + 1, to: newest } : null;
  let told = after;
  let last = after;
  for (const { position, frame } of updates) {
    if (frame !== "") {
      // It ends a hole, or there is none before it.
      last = position - 1;
      if (last > told) break;
      told = position;
    }
    last = position;
  }
  return last > told ? { from: told + 1, to: last } : null;
}
