/** The lengths that stored roll-ups have. */
import { CalendarError } from "./contract.ts";
import { parseTimeframe } from "./timeframe.ts";

const DAY_S = 86_400;
const EXPECTED =
  'a whole number of seconds, minutes or hours that divides a day, such as "1min", "5min" or "1hour"';

export interface RollupLength {
  /** As stored bars name it. */
  name: string;
  seconds: number;
}

/**
 * The buckets of such a length are the same on every day in UTC. A day or more isn't rolled up: it
 * is a day of an exchange, and stored daily bars are somebody's own, with averages.
 *
 * @throws CalendarError
 */
export function parseRollupLength(text: string, parameter: string): RollupLength {
  const { unit, count, name } = parseTimeframe(text, parameter);
  if (unit !== "second") throw new CalendarError(parameter, text, `${EXPECTED}; days are of an exchange`);
  if (DAY_S % count !== 0) throw new CalendarError(parameter, text, EXPECTED);
  return { name, seconds: count };
}
