/**
 * The reads that a worker may leave to the hub, derived from the contract of readers: each is asked
 * for by its name and its arguments. A read that is new there has one line here, which the compiler
 * asks for.
 */
import type { StockReader } from "../storage/contract.ts";
import type { UpdateReader } from "../storage/update-contract.ts";

/**
 * How an answer crosses: rows in pieces, updates with their frames beside them, a map as its
 * entries.
 */
type Crossing = "rows" | "value" | "map" | "updates";

/** `prices` is for a database that is far away, and nobody closes the hub's reader. */
export const READS = {
  rows: "rows",
  newest: "rows",
  latestPrice: "value",
  previousClose: "value",
  openingPrice: "value",
  dailyVolume: "value",
  tickers: "value",
  parts: "value",
  sizeBytes: "value",
  probe: "value",
  pool: "value",
} as const satisfies Record<Exclude<keyof StockReader, "updates" | "prices" | "close">, Crossing>;

export const UPDATE_READS = {
  epoch: "value",
  positions: "map",
  newest: "value",
  snapshot: "value",
  after: "updates",
} as const satisfies Record<keyof UpdateReader, Crossing>;

export type ReadName = keyof typeof READS | keyof typeof UPDATE_READS;

export function isReadName(name: unknown): name is ReadName {
  return typeof name === "string" && (Object.hasOwn(READS, name) || Object.hasOwn(UPDATE_READS, name));
}

export function crossingOf(name: ReadName): Crossing {
  return name in READS ? READS[name as keyof typeof READS] : UPDATE_READS[name as keyof typeof UPDATE_READS];
}

/**
 * @param args of the method of that name. A signal comes after them: a read that knows none leaves
 *   it alone.
 */
export function askReader(
  reader: StockReader,
  { name, args }: { name: ReadName; args: unknown[] },
  signal: AbortSignal,
): unknown {
  const owner = name in READS ? reader : reader.updates;
  const method = (owner as unknown as Record<string, (...all: unknown[]) => unknown>)[name]!;
  return method.call(owner, ...args, ...(crossingOf(name) === "rows" ? [signal] : []));
}
