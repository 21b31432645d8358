/**
 * What is removed of the ticker of a check, in one transaction: what a check has saved, and what
 * that has left in the log.
 */

/** Each takes the ticker as its one parameter. @param parameter as the engine writes it. */
export function checkRemovals(parameter: "?" | "$1"): string[] {
  return [
    `DELETE FROM realtime_data WHERE ticker = ${parameter}`,
    `DELETE FROM update_log WHERE ticker = ${parameter}`,
    `DELETE FROM update_positions WHERE ticker = ${parameter}`,
  ];
}
