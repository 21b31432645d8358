/**
 * The reads that a worker may leave to the hub, by name. The compiler asks for a line here for each
 * new read of the contract.
 */
import type { StockReader } from "../storage/contract.ts";
import type { UpdateReader } from "../storage/update-contract.ts";

/** How an answer is sent: rows in pieces, updates with their frames attached, a map as entries. */
type Crossing = "rows" | "value" | "map" | "updates";

/** Omits `prices`, which only remote databases have, and `close`. */
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

/** @param args the method's arguments. Reads of rows get the signal after them. */
export function askReader(
  reader: StockReader,
  { name, args }: { name: ReadName; args: unknown[] },
  signal: AbortSignal,
): unknown {
  const owner = name in READS ? reader : reader.updates;
  const method = (owner as unknown as Record<string, (...all: unknown[]) => unknown>)[name]!;
  return method.call(owner, ...args, ...(crossingOf(name) === "rows" ? [signal] : []));
}
