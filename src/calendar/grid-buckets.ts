import type { Bucket, Grid } from "./contract.ts";

/**
 * Steps through a grid of its own from stretch to stretch.
 *
 * @param gapUntil When to look again, after a moment that lies in no session.
 */
export function* bucketsOf(
  grid: Grid,
  gapUntil: () => number,
  fromMicros: number,
  toMicros: number,
  max: number,
): Generator<Bucket> {
  let given = 0;
  let label = Number.NaN;
  for (let at = fromMicros; at < toMicros && given < max; ) {
    if (!grid.seek(at)) {
      at = gapUntil();
      continue;
    }
    at = grid.until;
    if (grid.start === label) continue;
    label = grid.start;
    given++;
    yield { start: label, end: grid.end };
  }
}
