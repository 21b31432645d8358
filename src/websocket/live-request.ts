/** Reads what a client asks of /ws, in the query and in messages: see docs/live-updates.md. */
import { readEpoch, requireTicker, show } from "../commands/params.ts";
import { readSince } from "../commands/since.ts";
import { type BarsWish, readBarsWish, readTimeframeNames } from "../live-bars/bar-spec.ts";
import { TYPE_LENGTH_MAX } from "../market/tick-names.ts";
import { TickerError } from "../market/ticker.ts";
import { parseBound } from "../market/timestamp.ts";
import { badRequest, RequestError } from "../protocol/errors.ts";
import { isObject, type JsonRecord } from "../protocol/json.ts";
import { namesIn } from "../protocol/name-list.ts";
import type { Since } from "../storage/update-contract.ts";
import { type FrameForm, SENT, SENT_BEATING_ONCE } from "../stream/frame-form.ts";
import type { Start } from "../stream/starting-point.ts";
import { ALL_TICKERS } from "../stream/subscriber.ts";
import { ALL_TYPES, minus, onlyTypes, type TypeFilter } from "../stream/type-filter.ts";
import { DEPTH_MAX, isDeep } from "./json-depth.ts";
import { NORMALIZED } from "./normalized-form.ts";

/** What happens when too much waits for a client. */
export type SlowPolicy = "disconnect" | "conflate" | "gap";

const SLOW_POLICIES: readonly SlowPolicy[] = ["disconnect", "conflate", "gap"];
/** Limit for one message or query, and for one subscription. */
export const TYPES_MAX = 100;
/** Limit for all types of a message together: each answer repeats them for every ticker. */
const TYPES_CHARACTERS_MAX = 2_000;
const SINCE_NAMES_MAX = 100_000;
const DIGITS = /^\d+$/;
const BLANK_BEFORE_OFFSET = /(?<=\d\d:\d\d(?::\d\d(?:\.\d+)?)?) (?=\d\d:?\d\d$)/;

/** Tickers, or all, with the same types and start. */
export interface Wish {
  /** Each once, in the order given; only ALL_TICKERS for all. */
  tickers: string[];
  filter: TypeFilter;
  /** Null: nothing to recover. */
  since: (Start & { kind: "since" }) | null;
  /** The start of tickers that `since` doesn't name. */
  otherwise: Start;
  /** Null: no bars. */
  bars: BarsWish | null;
}

export function startOf({ since, otherwise }: Wish, ticker: string): Start {
  return since !== null && names(since.since, ticker) ? since : otherwise;
}

/**
 * A position is that of the one ticker; a time applies to all tickers. For a subscription to all,
 * tickers that aren't named are new to the client.
 */
function names(since: Since | Map<string, Since>, ticker: string): boolean {
  return !(since instanceof Map) || ticker === ALL_TICKERS || since.has(ticker);
}

/** How a client wants to be told. */
export interface FrameStyle {
  form: FrameForm;
  /** Frames of one turn as one. */
  batch: boolean;
}

export interface Handshake extends FrameStyle {
  slow: SlowPolicy;
  /** The value of `symbol=`, whose client is not told of its subscription; "" if there is none. */
  symbol: string;
  /** Null: it asks for nothing yet. */
  wish: Wish | null;
}

/** @throws RequestError 400 naming the parameter. */
export function readHandshake(query: URLSearchParams): Handshake {
  const head = {
    slow: readSlow(query.get("slow")),
    ...readTelling({
      frames: query.get("frames"),
      heartbeat: query.get("heartbeat"),
      batch: readSwitch(query.get("batch"), "batch"),
    }),
  };
  const symbol = query.get("symbol") ?? "";
  const symbols = query.get("symbols");
  if (symbol !== "" && symbols !== null)
    throw badRequest("symbols: got both symbol and symbols, expected one of them");
  if (symbol === "" && symbols === null) return { ...head, symbol, wish: null };
  if (symbols === "")
    return {
      ...head,
      symbol,
      wish: { tickers: [], filter: ALL_TYPES, since: null, otherwise: { kind: "now" }, bars: null },
    };
  const tickers =
    symbols === null ? [readSymbol(symbol, "symbol")] : readSymbols(namesIn(symbols), "symbols");
  const types = query.get("types");
  const bars = barsOf(barsOfQuery(query), tickers);
  const filter = types === null ? typesBeside(bars) : readTypes(namesIn(types));
  const since = query.get("since");
  const epoch = readEpoch(query.get("epoch"));
  const snapshot = readSwitch(query.get("snapshot"), "snapshot");
  const hasBarsAlone = bars !== null && types === null;
  const plain: Start = hasBarsAlone
    ? { kind: "now" }
    : symbols === null
      ? { kind: "price" }
      : { kind: "snapshot" };
  const withoutSince: Start = snapshot === null ? plain : { kind: snapshot ? "snapshot" : "now" };
  const starts = {
    since: since === null ? null : { kind: "since" as const, since: sinceOfQuery(since, tickers), epoch },
    otherwise: withoutSince,
  };
  return { ...head, symbol, wish: { tickers, filter, bars, ...startsFor(tickers, starts) } };
}

const BARS_PARAMETERS = ["bars", "partial", "source", "calendar", "session"];

/** What `readHandshake` reads. */
export const LIVE_PARAMETERS: readonly string[] = [
  ...["symbol", "symbols", "types", "since", "epoch", "snapshot", "slow", "frames", "heartbeat", "batch"],
  ...BARS_PARAMETERS,
  "empty_bars",
];

function barsOfQuery(query: URLSearchParams): JsonRecord {
  const params: JsonRecord = Object.fromEntries(
    BARS_PARAMETERS.map((name) => [name, query.get(name) ?? undefined]),
  );
  return { ...params, empty_bars: readSwitch(query.get("empty_bars"), "empty_bars") ?? undefined };
}

/** @throws RequestError 400 */
function barsOf(params: JsonRecord, tickers: readonly string[]): BarsWish | null {
  const wish = readBarsWish(params);
  if (wish !== null && tickers[0] === ALL_TICKERS)
    throw badRequest('bars: got them for "*", expected the names of tickers');
  return wish;
}

/** Whoever asks for bars and names no types wants bars alone. */
function typesBeside(bars: BarsWish | null): TypeFilter {
  return bars === null ? ALL_TYPES : onlyTypes([]);
}

/** @throws RequestError 400 */
function readTelling({
  frames,
  heartbeat,
  batch,
}: Record<"frames" | "heartbeat" | "batch", unknown>): FrameStyle {
  const isNormalized = readWord("frames", frames, ["sent", "normalized"]) === "normalized";
  const beat = readWord("heartbeat", heartbeat, ["ticker", "socket"]);
  if (isNormalized && beat === "ticker")
    throw badRequest('heartbeat: got "ticker" with normalized frames, expected "socket"');
  if (batch !== undefined && batch !== null && typeof batch !== "boolean")
    throw badRequest(`batch: got ${show(batch)}, expected true or false`);
  const form = isNormalized ? NORMALIZED : beat === "socket" ? SENT_BEATING_ONCE : SENT;
  return { form, batch: batch === true };
}

function readWord(name: string, value: unknown, words: readonly string[]): string | null {
  if (value === undefined || value === null) return null;
  const word = words.find((each) => each === value);
  if (word !== undefined) return word;
  throw badRequest(`${name}: got ${show(value)}, expected ${words.join(" or ")}`);
}

export type Message =
  /** `telling` null: as before. */
  | { action: "subscribe"; wish: Wish; telling: FrameStyle | null }
  /** `bars`: names of timeframes; null: all of them. */
  | { action: "unsubscribe"; tickers: string[]; filter: TypeFilter; bars: string[] | null }
  | { action: "close" };

export class MessageError extends Error {
  override name = "MessageError";
  constructor(
    readonly code:
      | "bad_json"
      | "bad_message"
      | "unknown_action"
      | "too_many_symbols"
      | "too_many_subscriptions"
      | "not_allowed"
      | "unavailable",
    message: string,
  ) {
    super(message);
  }
}

/** @param received null: a binary message. @throws MessageError */
export function readMessage(received: string | null): Message {
  const message = readJson(received);
  if (!isObject(message))
    throw new MessageError("bad_message", `got ${show(message)}, expected an object with an "action"`);
  try {
    switch (message.action) {
      case "subscribe":
        return readSubscribe(message);
      case "unsubscribe":
        return readUnsubscribe(message);
    }
  } catch (error) {
    if (error instanceof RequestError) throw new MessageError("bad_message", error.message);
    throw error;
  }
  throw new MessageError(
    "unknown_action",
    `action: got ${show(message.action)}, expected "subscribe" or "unsubscribe"`,
  );
}

/** @throws MessageError */
export function readJson(received: string | null): unknown {
  if (received === null) throw new MessageError("bad_message", "got a binary message, expected text in JSON");
  if (isDeep(received))
    throw new MessageError("bad_message", `got JSON deeper than ${DEPTH_MAX} levels, expected an object`);
  try {
    return JSON.parse(received);
  } catch (error) {
    throw new MessageError("bad_json", `not JSON: ${(error as Error).message}`);
  }
}

function readSubscribe(message: JsonRecord): Message {
  const tickers = readSymbols(message.symbols, "symbols");
  const bars = barsOf(message, tickers);
  const filter = message.types === undefined ? typesBeside(bars) : readTypes(message.types);
  const { since, snapshot = bars === null || message.types !== undefined } = message;
  const epoch = readEpoch(message.epoch);
  if (typeof snapshot !== "boolean")
    throw badRequest(`snapshot: got ${show(snapshot)}, expected true or false`);
  const hasSince = since !== undefined && since !== null;
  const starts: Pick<Wish, "since" | "otherwise"> = {
    since: hasSince ? { kind: "since", since: sinceOfMessage(since, tickers), epoch } : null,
    otherwise: { kind: snapshot ? "snapshot" : "now" },
  };
  const { frames, heartbeat, batch } = message;
  const tellsNothing = frames === undefined && heartbeat === undefined && batch === undefined;
  return {
    action: "subscribe",
    wish: { tickers, filter, bars, ...startsFor(tickers, starts) },
    telling: tellsNothing ? null : readTelling({ frames, heartbeat, batch }),
  };
}

/** With `types` or `bars` alone, the others stay. */
function readUnsubscribe({ symbols, types, bars }: JsonRecord): Message {
  if (symbols === undefined && types === undefined && bars === undefined) return { action: "close" };
  return {
    action: "unsubscribe",
    tickers: readSymbols(symbols, "symbols"),
    filter: types === undefined ? (bars === undefined ? ALL_TYPES : onlyTypes([])) : readTypes(types),
    bars: bars === undefined ? (types === undefined ? null : []) : readTimeframeNames(bars),
  };
}

/** A subscription to all begins with positions alone: prices or snapshots may be thousands. */
function startsFor(
  tickers: string[],
  { since, otherwise }: Pick<Wish, "since" | "otherwise">,
): Pick<Wish, "since" | "otherwise"> {
  return { since, otherwise: tickers[0] === ALL_TICKERS ? { kind: "now" } : otherwise };
}

function readSlow(value: string | null): SlowPolicy {
  if (value === null) return "disconnect";
  const policy = SLOW_POLICIES.find((one) => one === value);
  if (policy === undefined)
    throw badRequest(`slow: got ${show(value)}, expected ${SLOW_POLICIES.join(", ")}`);
  return policy;
}

function readSwitch(value: string | null, name: string): boolean | null {
  if (value === null) return null;
  if (value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  throw badRequest(`${name}: got ${show(value)}, expected true or false`);
}

function readSymbols(value: unknown, name: string): string[] {
  const list = typeof value === "string" ? [value] : value;
  if (!Array.isArray(list) || list.length === 0)
    throw badRequest(`${name}: got ${show(value)}, expected a list of tickers, or "*"`);
  if (list.includes("*")) {
    if (list.length > 1)
      throw badRequest(`${name}: got ${show(list)}, expected "*" alone: it stands for all`);
    return [ALL_TICKERS];
  }
  return [...new Set(list.map((symbol) => readSymbol(symbol, name)))];
}

function readSymbol(value: unknown, name: string): string {
  try {
    return requireTicker(value, `${name}: got ${show(value)}, expected a ticker`);
  } catch (error) {
    if (error instanceof TickerError) throw badRequest(`${name}: ${error.message}`);
    throw error;
  }
}

/** "*" with names that begin with "-" means all but those, as `shownTypes` tells them. */
function readTypes(value: unknown): TypeFilter {
  const list = typeof value === "string" ? [value] : value;
  const isUsable =
    Array.isArray(list) &&
    list.length > 0 &&
    list.length <= TYPES_MAX &&
    list.every((type) => typeof type === "string" && type !== "" && type.length <= TYPE_LENGTH_MAX);
  if (!isUsable)
    throw badRequest(
      `types: got ${show(value)}, expected 1 to ${TYPES_MAX} of "quote", "trade", "bar", "option", "financial", "corporate_action" or the data_type of a save, each of at most ${TYPE_LENGTH_MAX} characters`,
    );
  const characters = list.reduce((sum, type) => sum + type.length, 0);
  if (characters > TYPES_CHARACTERS_MAX)
    throw badRequest(`types: got ${characters} characters, expected at most ${TYPES_CHARACTERS_MAX} in all`);
  if (!list.includes("*")) return onlyTypes(list);
  const left = list.filter((type) => type.startsWith("-")).map((type) => type.slice(1));
  return minus(ALL_TYPES, onlyTypes(left));
}

/** A position, a time, or pairs such as `AAPL:17,MSFT:9`. */
function sinceOfQuery(text: string, tickers: string[]): Since | Map<string, Since> {
  if (DIGITS.test(text)) return oneTicker(readSince(text), tickers, text);
  // A query decodes "+" to a blank; before an offset it is turned back.
  const moment = text.replace(BLANK_BEFORE_OFFSET, "+");
  const pairs = namesIn(text).map((pair) => /^(.+):(\d+)$/s.exec(pair));
  if (pairs.some((pair) => pair === null) || isMoment(moment)) return readSince(moment);
  return knownTickers(new Map(pairs.map((pair) => [pair![1]!, readSince(pair![2])])), tickers);
}

/** Refuses names that weren't asked for: a misspelt one would silently begin elsewhere. */
function knownTickers(since: Map<string, Since>, tickers: string[]): Map<string, Since> {
  if (since.size > SINCE_NAMES_MAX)
    throw badRequest(`since: got ${since.size} tickers, expected at most ${SINCE_NAMES_MAX}`);
  if (tickers[0] === ALL_TICKERS) {
    for (const ticker of since.keys()) readSymbol(ticker, "since");
    return since;
  }
  const asked = new Set(tickers);
  for (const ticker of since.keys())
    if (!asked.has(ticker))
      throw badRequest(`since: got a position of ${show(ticker)}, expected one of the tickers asked for`);
  return since;
}

function sinceOfMessage(value: unknown, tickers: string[]): Since | Map<string, Since> {
  if (!isObject(value)) {
    const since = readSince(value, "since");
    return "position" in since ? oneTicker(since, tickers, value) : since;
  }
  const named = Object.entries(value).map(([ticker, since]): [string, Since] => [
    ticker,
    readSince(since, `since.${ticker}`),
  ]);
  return knownTickers(new Map(named), tickers);
}

function oneTicker(since: Since, tickers: string[], value: unknown): Since {
  if (tickers.length === 1 && tickers[0] !== ALL_TICKERS) return since;
  throw badRequest(
    `since: got ${show(value)}, expected a position for each ticker, or a time: positions are those of one ticker`,
  );
}

function isMoment(text: string): boolean {
  try {
    return parseBound(text, "start", "instant") !== null;
  } catch {
    return false;
  }
}
