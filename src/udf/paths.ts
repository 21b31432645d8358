/** Paths of TradingView's data feed (UDF), and what each asks for. */

export const UDF_PREFIX = "/udf/";

const ENDPOINTS = ["config", "time", "symbols", "search", "history", "quotes"] as const;
type UdfEndpoint = (typeof ENDPOINTS)[number];

export interface UdfPath {
  endpoint: UdfEndpoint;
  /** Of the address of the feed, `/udf/XNYS`; null: every hour counts, in UTC. */
  calendar: string | null;
}

/** @param path decoded. @returns null: there is nothing. */
export function readUdfPath(path: string): UdfPath | null {
  const [first = "", second, ...more] = path.slice(UDF_PREFIX.length).split("/");
  const name = second ?? first;
  const endpoint = ENDPOINTS.find((each) => each === name);
  if (endpoint === undefined || more.length > 0) return null;
  return { endpoint, calendar: second === undefined ? null : first };
}
