/**
 * Reads frames of the upstream's WebSocket. Updates may have megabytes: only their beginning and
 * end are parsed, and the text between goes on unchanged.
 */
import { TICK_DELETE, tickDeleteType } from "../../protocol/frames.ts";
import { isObject } from "../../protocol/json.ts";
import type { Update } from "../update-contract.ts";

export type UpstreamFrame =
  | { kind: "update"; ticker: string; update: Update }
  /** The ticker has new positions without content. */
  | { kind: "gap"; ticker: string }
  /** Answers a message. A new ticker is in force only with its first frame. */
  | { kind: "subscription"; epoch: string | null }
  | { kind: "error"; code: string; error: string }
  /** Proves that the subscription to the ticker, or to "*", is in force. */
  | { kind: "heartbeat"; ticker: string; epoch: string }
  | { kind: "other" }
  | { kind: "garbage" };

const POSITION = /,"seq":(\d{1,16})\}$/;
const POSITION_LENGTH_MAX = ',"seq":9007199254740993}'.length;
const EPOCH = /"epoch":"([\w-]{1,64})"[,}]/;
const LAST_EPOCH = /,"epoch":"([\w-]{1,64})"\}$/;
const LAST_EPOCH_LENGTH_MAX = 80;
const SYMBOL = '{"symbol":"';
const DATA = ',"data":';
const TYPED = '{"type":"';
const GAP = ',"from":';
const DATA_TYPE = ',"data_type":"';

const GARBAGE: UpstreamFrame = { kind: "garbage" };

/** @returns null if an older server sent it: it has neither position nor epoch. */
export function readUpstreamFrame(text: string): UpstreamFrame | null {
  try {
    return text.startsWith(SYMBOL) ? readFrame(text) : readReply(text);
  } catch (error) {
    if (error instanceof SyntaxError) return GARBAGE;
    throw error;
  }
}

/** @throws SyntaxError */
function readFrame(text: string): UpstreamFrame | null {
  const position = POSITION.exec(text.slice(-POSITION_LENGTH_MAX));
  if (position === null) {
    const epoch = LAST_EPOCH.exec(text.slice(-LAST_EPOCH_LENGTH_MAX))?.[1];
    const ticker = readText(text, SYMBOL.length - 1)?.value;
    if (ticker === undefined) return GARBAGE;
    return epoch === undefined ? older(text) : { kind: "heartbeat", ticker, epoch };
  }
  const symbol = readText(text, SYMBOL.length - 1);
  const seq = Number(position[1]);
  if (symbol === null || !text.startsWith(DATA, symbol.end) || !Number.isSafeInteger(seq)) return GARBAGE;
  const ticker = symbol.value;
  const dataAt = symbol.end + DATA.length;
  let type = "bar";
  if (text[dataAt] !== "[") {
    const name = text.startsWith(TYPED, dataAt) ? readText(text, dataAt + TYPED.length - 1) : null;
    if (name === null) return GARBAGE;
    // Users may name a type of ticks "gap"; such an update goes on with a timestamp.
    if (name.value === "gap" && text.startsWith(GAP, name.end)) return { kind: "gap", ticker };
    type = typeInLog(name.value, text, name.end);
  }
  const frame = `${text.slice(0, -position[0].length)}}`;
  return { kind: "update", ticker, update: { position: seq, type, frame } };
}

/** Of a removal of ticks, their type follows. @param end of the name. */
function typeInLog(name: string, text: string, end: number): string {
  if (name !== TICK_DELETE || !text.startsWith(DATA_TYPE, end)) return name;
  const of = readText(text, end + DATA_TYPE.length - 1);
  return of === null ? name : tickDeleteType(of.value);
}

/** @returns null if it is JSON, as an older server sends. @throws SyntaxError */
function older(text: string): UpstreamFrame | null {
  return isObject(JSON.parse(text)) ? null : GARBAGE;
}

/** Only the beginning of a subscription is read: its tickers may be many. */
function readReply(text: string): UpstreamFrame | null {
  if (text.startsWith('{"type":"subscription"')) {
    return { kind: "subscription", epoch: EPOCH.exec(text.slice(0, 160))?.[1] ?? null };
  }
  if (text.startsWith('{"type":"error"')) {
    const reply: unknown = JSON.parse(text);
    const { code, error } = isObject(reply) ? reply : {};
    return { kind: "error", code: String(code), error: String(error) };
  }
  return text.startsWith('{"type":"') ? { kind: "other" } : older(text);
}

/** @param at index of the opening quote. */
function readText(text: string, at: number): { value: string; end: number } | null {
  for (let end = text.indexOf('"', at + 1); end > 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text[end - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) {
      return { value: JSON.parse(text.slice(at, end + 1)) as string, end: end + 1 };
    }
  }
  return null;
}
