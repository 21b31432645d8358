/** Messages that clients of a stream send. */
import type { Credentials } from "../access/credentials.ts";
import { show } from "../commands/params.ts";
import { readTicker, TickerError } from "../market/ticker.ts";
import { isObject, type JsonRecord } from "../protocol/json.ts";
import { ALL_TICKERS } from "../stream/subscriber.ts";
import { MessageError, readJson } from "../websocket/live-request.ts";
import { type Channel, type ChannelNames, channelNamed } from "./channels.ts";
import { MsgpackError, readMsgpack } from "./msgpack-reader.ts";

export type ClientMessage =
  | { action: "auth"; credentials: Credentials }
  | { action: "subscribe" | "unsubscribe"; names: ChannelNames };

/** Codes and texts as Alpaca's own; some clients show the text of the code alone. */
export const ERRORS = {
  400: "invalid syntax",
  401: "not authenticated",
  402: "auth failed",
  403: "already authenticated",
  404: "auth timeout",
  405: "symbol limit exceeded",
  406: "connection limit exceeded",
  407: "slow client",
  409: "insufficient subscription",
  500: "internal error",
} as const;

export class StreamError extends Error {
  override readonly name = "StreamError";
  readonly code: keyof typeof ERRORS;

  /** @param why added to the text of the code. */
  constructor(code: keyof typeof ERRORS, why = "") {
    super(why === "" ? ERRORS[code] : `${ERRORS[code]}: ${why}`);
    this.code = code;
  }
}

/**
 * A received message as text, in which it waits for its turn: that of MessagePack is turned into
 * JSON.
 *
 * @returns null for bytes that are no MessagePack.
 */
export function messageText(received: string | Buffer): string | null {
  if (typeof received === "string") return received;
  try {
    return JSON.stringify(readMsgpack(received));
  } catch (error) {
    if (error instanceof MsgpackError) return null;
    throw error;
  }
}

/** @param text of `messageText`. @throws StreamError */
export function readClientMessage(text: string | null): ClientMessage {
  const message = text === null ? null : parsed(text);
  if (!isObject(message)) throw new StreamError(400, "expected an object with an action");
  switch (message.action) {
    case "auth": {
      const { key = "", secret = "" } = message;
      if (typeof key !== "string" || typeof secret !== "string") throw new StreamError(402);
      // Clients with a token alone send it as the secret of this key.
      return { action: "auth", credentials: { key: key === "oauth" ? "" : key, secret } };
    }
    case "subscribe":
    case "unsubscribe":
      return { action: message.action, names: readNames(message) };
  }
  throw new StreamError(400, `action: got ${show(message.action)}, expected auth, subscribe or unsubscribe`);
}

function parsed(text: string): unknown {
  try {
    return readJson(text);
  } catch (error) {
    if (error instanceof MessageError) throw new StreamError(400, error.message);
    throw error;
  }
}

function readNames(message: JsonRecord): ChannelNames {
  const names = new Map<Channel, string[]>();
  for (const [name, value] of Object.entries(message)) {
    const isEmpty = value === null || (Array.isArray(value) && value.length === 0);
    if (name === "action" || isEmpty) continue;
    const channel = channelNamed(name);
    if (channel === null) throw new StreamError(400, `${name}: there is no such channel here`);
    if (!Array.isArray(value)) throw new StreamError(400, `${name}: got ${show(value)}, expected a list`);
    if (channel !== "follows") names.set(channel, [...new Set(value.map((each) => readSymbol(each, name)))]);
  }
  return names;
}

function readSymbol(value: unknown, channel: string): string {
  if (value === "*") return ALL_TICKERS;
  try {
    const ticker = typeof value === "string" ? readTicker(value) : null;
    if (ticker !== null) return ticker;
  } catch (error) {
    if (!(error instanceof TickerError)) throw error;
  }
  throw new StreamError(400, `${channel}: got ${show(value)}, expected a symbol`);
}
