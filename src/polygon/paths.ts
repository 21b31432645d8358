/** Paths of Polygon's market data API over HTTP, and what each asks for. */

type TickTable = "trades" | "quotes";

export type PolygonEndpoint =
  | { kind: "bars"; ticker: string; multiplier: string; unit: string; from: string; to: string }
  | { kind: "previous"; ticker: string }
  | { kind: "grouped"; date: string }
  | { kind: "ticks"; table: TickTable; ticker: string }
  | { kind: "last"; table: TickTable; ticker: string };

export const POLYGON_PREFIXES: readonly string[] = ["/v2/aggs/", "/v2/last/", "/v3/trades/", "/v3/quotes/"];

/** A ticker may hold a slash. */
const BARS = /^\/v2\/aggs\/ticker\/(.+)\/range\/([^/]*)\/([^/]*)\/([^/]*)\/([^/]*)$/s;
const PREVIOUS = /^\/v2\/aggs\/ticker\/(.+)\/prev$/s;
const GROUPED = /^\/v2\/aggs\/grouped\/locale\/us\/market\/stocks\/([^/]+)$/;
const TICKS = /^\/v3\/(trades|quotes)\/(.+)$/s;
const LAST = /^\/v2\/last\/(trade|nbbo)\/(.+)$/s;

/** @param path decoded. @returns null: there is nothing. */
export function endpointOf(path: string): PolygonEndpoint | null {
  const bars = BARS.exec(path);
  if (bars !== null) {
    const [, ticker, multiplier, unit, from, to] = bars as unknown as string[];
    return { kind: "bars", ticker: ticker!, multiplier: multiplier!, unit: unit!, from: from!, to: to! };
  }
  const previous = PREVIOUS.exec(path);
  if (previous !== null) return { kind: "previous", ticker: previous[1]! };
  const grouped = GROUPED.exec(path);
  if (grouped !== null) return { kind: "grouped", date: grouped[1]! };
  const ticks = TICKS.exec(path);
  if (ticks !== null) return { kind: "ticks", table: ticks[1] as TickTable, ticker: ticks[2]! };
  const last = LAST.exec(path);
  if (last === null) return null;
  return { kind: "last", table: last[1] === "trade" ? "trades" : "quotes", ticker: last[2]! };
}
