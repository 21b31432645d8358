/** Removes what a check has saved of its ticker, and what that has left in the update log. */

/** Each takes the ticker as its one parameter. @param parameter as the engine writes it. */
export function checkRemovals(parameter: "?" | "$1"): string[] {
  return [
    `DELETE FROM realtime_data WHERE ticker = ${parameter}`,
    `DELETE FROM update_log WHERE ticker = ${parameter}`,
    `DELETE FROM update_positions WHERE ticker = ${parameter}`,
  ];
}
