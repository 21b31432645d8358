/** Paths of Alpaca's market data API over HTTP, and what each asks for. */

export type RestTable = "bars" | "trades" | "quotes";

/** `symbol` null: many, which the query names. */
export type Endpoint =
  | { kind: "history"; table: RestTable; symbol: string | null }
  | { kind: "latest"; table: RestTable; symbol: string | null }
  | { kind: "snapshots"; symbol: string | null };

/** The second one is that of a client by Alpaca. */
export const REST_PREFIXES: readonly string[] = ["/v2/stocks/", "/v1beta1/stocks/"];

const MANY = /^(bars|trades|quotes)(\/latest)?$/;
/** A symbol may hold a slash. */
const ONE = /^(.+)\/(bars|trades|quotes)(\/latest)?$/s;
const SNAPSHOT = /^(.+)\/snapshot$/s;

/** @param path that begins with one of them. @returns null: there is nothing. */
export function endpointOf(path: string): Endpoint | null {
  const prefix = REST_PREFIXES.find((each) => path.startsWith(each));
  if (prefix === undefined) return null;
  const rest = path.slice(prefix.length);
  const many = MANY.exec(rest);
  if (many !== null) return ofTable(many[1]!, many[2], null);
  if (rest === "snapshots") return { kind: "snapshots", symbol: null };
  const snapshot = SNAPSHOT.exec(rest);
  if (snapshot !== null) return { kind: "snapshots", symbol: snapshot[1]! };
  const one = ONE.exec(rest);
  return one === null ? null : ofTable(one[2]!, one[3], one[1]!);
}

function ofTable(table: string, latest: string | undefined, symbol: string | null): Endpoint {
  return { kind: latest === undefined ? "history" : "latest", table: table as RestTable, symbol };
}
