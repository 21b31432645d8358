/** Finds positions of a ticker whose updates are not kept. */
import type { StoredUpdate } from "./update-contract.ts";

export interface Hole {
  from: number;
  to: number;
}

/**
 * The first such positions: trimmed updates, or rows of a copy, which have no content.
 * @param updates from `UpdateReader.after` for `after`.
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
