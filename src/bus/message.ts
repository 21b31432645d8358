/**
 * The messages of the bus:
 * `{"from":S,"missed":true,"updates":[[ticker,position,type,frame],[ticker,position]]}`. Server
 * `from` dropped updates before this one if `missed`. An update without a frame was too large for
 * the broker; the receiver reads it from the database. A message may have
 * `"feeds":[[ticker,type,interval,rows,saves,stamp]]`; servers of earlier versions pass over it.
 */
import type { BusFeed, BusUpdate, ReceivedUpdate } from "./bus.ts";

export interface BusMessage {
  from: string;
  missed: boolean;
  updates: ReceivedUpdate[];
  feeds: BusFeed[];
}

/** Bytes of a message besides its updates: the server's id alone has 36. */
const ENVELOPE_BYTES = 128;

export interface EntryLimits {
  messageBytesMax: number;
  carriesFrames: boolean;
}

export interface Entry {
  text: string;
  /** In UTF-8, with the comma. */
  bytes: number;
}

/** @returns null for a ticker that is larger than a message. */
export function encodeEntry(
  { ticker, update }: BusUpdate,
  { messageBytesMax, carriesFrames }: EntryLimits,
): Entry | null {
  const bytesMax = messageBytesMax - ENVELOPE_BYTES;
  const { position, type, frame } = update;
  if (carriesFrames && frame.length <= bytesMax) {
    const whole = entryOf(JSON.stringify([ticker, position, type, frame]));
    if (whole.bytes <= bytesMax) return whole;
  }
  const bare = entryOf(asciiJson([ticker, position]));
  return bare.bytes <= bytesMax ? bare : null;
}

/** @returns null where it is larger than a message. */
export function encodeFeed(
  { ticker, type, interval, rows, saves, stamp }: BusFeed,
  { messageBytesMax }: Pick<EntryLimits, "messageBytesMax">,
): Entry | null {
  const entry = entryOf(asciiJson([ticker, type, interval, rows, saves, stamp]));
  return entry.bytes <= messageBytesMax - ENVELOPE_BYTES ? entry : null;
}

/** @returns how many entries from `first` on fit into one message: at least one, if any is left. */
export function countThatFit(entries: readonly Entry[], first: number, messageBytesMax: number): number {
  let bytes = ENVELOPE_BYTES;
  let end = first;
  while (end < entries.length && bytes + entries[end]!.bytes <= messageBytesMax)
    bytes += entries[end++]!.bytes;
  return end - first;
}

export function encodeMessage(from: string, missed: boolean, entries: readonly Entry[]): string {
  const texts = entries.map((entry) => entry.text).join(",");
  return `{"from":${JSON.stringify(from)},${missed ? '"missed":true,' : ""}"updates":[${texts}]}`;
}

export function encodeFeedsMessage(from: string, entries: readonly Entry[]): string {
  const texts = entries.map((entry) => entry.text).join(",");
  return `{"from":${JSON.stringify(from)},"updates":[],"feeds":[${texts}]}`;
}

/** @returns null for a text that no server has written. */
export function decodeMessage(text: string): BusMessage | null {
  const parsed = parse(text);
  if (typeof parsed !== "object" || parsed === null) return null;
  const { from, missed = false, updates, feeds = [] } = parsed as Record<string, unknown>;
  if (typeof from !== "string" || typeof missed !== "boolean") return null;
  if (!Array.isArray(updates) || !Array.isArray(feeds)) return null;
  const received: ReceivedUpdate[] = [];
  for (const entry of updates as unknown[]) {
    const update = Array.isArray(entry) ? decodeEntry(entry) : null;
    if (update === null) return null;
    received.push(update);
  }
  const heard = (feeds as unknown[]).map((entry) => (Array.isArray(entry) ? decodeFeed(entry) : null));
  if (heard.includes(null)) return null;
  return { from, missed, updates: received, feeds: heard as BusFeed[] };
}

function decodeFeed([ticker, type, interval, rows, saves, stamp]: unknown[]): BusFeed | null {
  const isText = (value: unknown): value is string => typeof value === "string";
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
  if (!isText(ticker) || !isText(type) || !isCount(rows) || !isCount(saves)) return null;
  if ((interval !== null && !isText(interval)) || (stamp !== null && !isText(stamp))) return null;
  return { ticker, type, interval, rows, saves, stamp };
}

function decodeEntry(entry: unknown[]): ReceivedUpdate | null {
  const [ticker, position, type, frame] = entry;
  if (typeof ticker !== "string" || typeof position !== "number") return null;
  if (!Number.isSafeInteger(position) || position < 1) return null;
  if (entry.length === 2) return { ticker, position, update: null };
  if (typeof type !== "string" || typeof frame !== "string") return null;
  return { ticker, position, update: { position, type, frame } };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function entryOf(text: string): Entry {
  return { text, bytes: Buffer.byteLength(text) + 1 };
}

/** The encoding of a PostgreSQL database may lack characters of a ticker. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
