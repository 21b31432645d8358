/**
 * The messages of the bus:
 * `{"from":S,"missed":true,"updates":[[ticker,position,type,frame],[ticker,position]]}`. Server
 * `from` dropped updates before this one if `missed`. An update without a frame was too large for
 * the broker; the receiver reads it from the database.
 */
import type { BusUpdate, ReceivedUpdate } from "./bus.ts";

export interface BusMessage {
  from: string;
  missed: boolean;
  updates: ReceivedUpdate[];
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

/** @returns null for a text that no server has written. */
export function decodeMessage(text: string): BusMessage | null {
  const parsed = parse(text);
  if (typeof parsed !== "object" || parsed === null) return null;
  const { from, missed = false, updates } = parsed as Record<string, unknown>;
  if (typeof from !== "string" || typeof missed !== "boolean" || !Array.isArray(updates)) return null;
  const received: ReceivedUpdate[] = [];
  for (const entry of updates as unknown[]) {
    const update = Array.isArray(entry) ? decodeEntry(entry) : null;
    if (update === null) return null;
    received.push(update);
  }
  return { from, missed, updates: received };
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
