/**
 * How a bar tells that a roll-up has made it: by its `extra`. A bar without the mark is somebody's
 * own, and no roll-up touches it.
 */

/** As it is stored. */
export const ROLLUP_MARK = '{"rollup":true}';

/** @param extra as it is stored. */
export function isMadeByRollup(extra: unknown): boolean {
  return extra === ROLLUP_MARK;
}
