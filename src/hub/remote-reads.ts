/**
 * The reads that a worker may leave to the hub, by name. The compiler asks for a line here for each
 * new read of the contract.
 */
import type { StockReader } from "../storage/contract.ts";
import type { UpdateReader } from "../storage/update-contract.ts";

export const OF_UPDATES = "updates.";

/**
 * How an answer is sent: rows and columns in pieces, updates with their frames attached, a map as
 * entries.
 */
type Crossing = "rows" | "columns" | "value" | "map" | "updates";

/** A method of the reader, or one of `reader.updates`, some of which have the same names. */
export type ReadName =
  | Exclude<keyof StockReader, "updates" | "prices" | "close">
  | `${typeof OF_UPDATES}${keyof UpdateReader}`;

/** Omits `prices`, which only remote databases have, and `close`. */
const READS: Record<ReadName, Crossing> = {
  rows: "rows",
  newest: "rows",
  newestOfParts: "rows",
  columns: "columns",
  latestPrice: "value",
  previousClose: "value",
  openingPrice: "value",
  dailyVolume: "value",
  tickers: "value",
  parts: "value",
  notes: "value",
  sizeBytes: "value",
  probe: "value",
  pool: "value",
  "updates.epoch": "value",
  "updates.positions": "map",
  "updates.newest": "value",
  "updates.snapshot": "value",
  "updates.keptSinceMs": "value",
  "updates.logBytes": "value",
  "updates.after": "updates",
};

export const READ_NAMES = Object.keys(READS) as ReadName[];

export function isReadName(name: unknown): name is ReadName {
  return typeof name === "string" && Object.hasOwn(READS, name);
}

export function crossingOf(name: ReadName): Crossing {
  return READS[name];
}

/** @param args the method's arguments. Reads of rows get the signal after them. */
export function askReader(
  reader: StockReader,
  { name, args }: { name: ReadName; args: unknown[] },
  signal: AbortSignal,
): unknown {
  const isOfUpdates = name.startsWith(OF_UPDATES);
  const owner = isOfUpdates ? reader.updates : reader;
  const methods = owner as unknown as Record<string, (...all: unknown[]) => unknown>;
  const method = methods[isOfUpdates ? name.slice(OF_UPDATES.length) : name]!;
  return method.call(owner, ...args, ...(crossingOf(name) === "rows" ? [signal] : []));
}
