/**
 * WebSocket frames from the server, as text: `{"symbol":S,"data":D}`. D is a heartbeat, the initial
 * price, the list of saved bars exactly as sent, or a realtime event.
 */

import { badRequest } from "./errors.ts";
import { foldNames, type JsonRecord, stringifyExact } from "./json.ts";

export const SYMBOL_REQUIRED = "Symbol parameter is required";

/** The `data.type` of frames that are no updates. No tick may have one of these. */
const CONTROL_TYPES = new Set([
  ...["heartbeat", "initial_price", "snapshot", "recovery", "gap", "replay_end"],
  ...["feed_stale", "feed_alive", "feeds_left_out"],
]);

/** The `data.type` of updates that are corporate actions. */
export const CORPORATE_ACTION = "corporate_action";
/** The `data.type` of updates that tell of removed and renamed rows. */
export const TICK_DELETE = "tick_delete";
export const BAR_DELETE = "bar_delete";
export const TICKER_RENAME = "ticker_rename";
/** What subscriptions call updates that aren't ticks. */
const OTHER_UPDATES = new Set([
  ...["bar", "option", "financial", CORPORATE_ACTION],
  ...[TICK_DELETE, BAR_DELETE, TICKER_RENAME],
]);
const OF_TICKS = `${TICK_DELETE} `;

/**
 * Whether ticks of this type would look like other frames, or couldn't be subscribed to: `bar` and
 * `*` are words of a subscription, and `-quote` means all but quotes.
 */
export function isReservedType(type: string): boolean {
  return (
    CONTROL_TYPES.has(type) ||
    OTHER_UPDATES.has(type) ||
    type === "*" ||
    type.startsWith("-") ||
    type.startsWith(OF_TICKS)
  );
}

/** What the log calls the removal of ticks, so that subscribers of their type get it. */
export function tickDeleteType(dataType: string): string {
  return OF_TICKS + dataType;
}

/**
 * What an update of removed or renamed rows is called, by its type in the log, and the type of
 * saves of such rows; `of` null: of several types. Null: the update is a save.
 */
export function editOfType(type: string): { name: string; of: string | null } | null {
  if (type === TICKER_RENAME) return { name: type, of: null };
  if (type === BAR_DELETE) return { name: type, of: "bar" };
  if (!type.startsWith(OF_TICKS)) return null;
  const of = type.slice(OF_TICKS.length);
  return { name: TICK_DELETE, of: of === "*" ? null : of };
}

/** The answer to a message that is refused. */
export function errorFrame(code: string, error: string): string {
  return JSON.stringify({ type: "error", code, error });
}

/** Where a ticker stands. A frame has it beside the members that older clients know. */
export interface Position {
  seq: number;
  epoch: string;
}

/** The frame of an update with its position: `{…,"seq":N}`. */
export function positioned(frame: string, seq: number): string {
  return `${frame.slice(0, -1)},"seq":${seq}}`;
}

function placed(frame: string, { seq, epoch }: Position): string {
  return `${frame.slice(0, -1)},"seq":${seq},"epoch":"${epoch}"}`;
}

/**
 * @param position null for a replay, which has none.
 * @param isVerified false: the database hasn't confirmed the position lately.
 */
export function heartbeatFrame(
  symbol: string,
  now: Date,
  position: Position | null,
  isVerified = true,
): string {
  const frame = `{"symbol":${JSON.stringify(symbol)},"data":${heartbeat(now)}${unverified(isVerified)}}`;
  return position === null ? frame : placed(frame, position);
}

function unverified(isVerified: boolean): string {
  return isVerified ? "" : ',"unverified":true';
}

/**
 * For subscribers to all tickers. @param positions of those that moved since the heartbeat before.
 */
export function allHeartbeatFrame(
  now: Date,
  positions: Iterable<[string, number]>,
  epoch: string,
  isVerified: boolean,
): string {
  const moved = [...positions].map(([ticker, seq]) => `${JSON.stringify(ticker)}:${seq}`).join(",");
  return `{"symbol":"*","data":${heartbeat(now)}${unverified(isVerified)},"positions":{${moved}},"epoch":"${epoch}"}`;
}

function heartbeat(now: Date): string {
  return `{"type":"heartbeat","timestamp":"${now.toISOString()}"}`;
}

/** The epoch stands at its end, so that a server in front takes it for no update. */
export function feedFrame(symbol: string, data: object, epoch: string): string {
  return `{"symbol":${JSON.stringify(symbol)},"data":${JSON.stringify(data)},"epoch":"${epoch}"}`;
}

/** To subscribers to all tickers: of so many feeds nothing was told. */
export function feedsLeftOutFrame(leftOut: { stale: number; alive: number }, epoch: string): string {
  return feedFrame("*", { type: "feeds_left_out", ...leftOut }, epoch);
}

export function initialPriceFrame(symbol: string, price: number, now: Date, position: Position): string {
  const timestamp = now.toISOString();
  const data = {
    type: "initial_price",
    event_type: "initial_price_update",
    timestamp,
    payload: [{ price, timestamp }],
  };
  return placed(JSON.stringify({ symbol, data }), position);
}

/** @param snapshot an object in JSON, of the moment of the position. */
export function snapshotFrame(symbol: string, snapshot: string, position: Position): string {
  return placed(
    `{"symbol":${JSON.stringify(symbol)},"data":{"type":"snapshot",${snapshot.slice(1)}}`,
    position,
  );
}

/** The updates from `from` to `to` follow; none when `to` is less. */
export function recoveredFrame(symbol: string, from: number, to: number, epoch: string): string {
  const data = JSON.stringify({ type: "recovery", recovered: true, from, to });
  return placed(`{"symbol":${JSON.stringify(symbol)},"data":${data}}`, { seq: from - 1, epoch });
}

/** Why updates can't be given from where the client asked for them. */
export interface NotRecovered {
  code: "epoch_changed" | "not_kept" | "position_ahead";
  reason: string;
}

export function notRecoveredFrame(
  symbol: string,
  { code, reason }: NotRecovered,
  snapshot: string,
  position: Position,
): string {
  const start = JSON.stringify({ type: "recovery", recovered: false, code, reason }).slice(0, -1);
  const data = `${start},"snapshot":${snapshot}}`;
  return placed(`{"symbol":${JSON.stringify(symbol)},"data":${data}}`, position);
}

/** `slow`: dropped, as the client chose. `not_kept`: the rows have no content that can be told. */
export type GapReason = "slow" | "not_kept";

export function gapFrame(symbol: string, from: number, to: number, reason: GapReason): string {
  return positioned(JSON.stringify({ symbol, data: { type: "gap", from, to, reason } }), to);
}

/** Names that the records of a frame don't tell by themselves, in lower case. */
export interface ToldNames {
  /** The member with the stamp, where it isn't the usual one. */
  index_col?: string;
  /** The member with the id, where the save named one. */
  id_col?: string;
}

/** @param interval the length of the bars; null: daily or hourly, told by the name of the stamp. */
export function barsFrame(
  symbol: string,
  records: unknown[],
  interval: string | null = null,
  names: ToldNames = {},
): string {
  return encodeRecords({ symbol, data: records, ...(interval === null ? {} : { interval }), ...names });
}

/** The same of bars whose payload is text already. */
export function barsFrameOf(symbol: string, payload: string, interval: string | null): string {
  const length = interval === null ? "" : `,"interval":${JSON.stringify(interval)}`;
  return `{"symbol":${JSON.stringify(symbol)},"data":${payload}${length}}`;
}

/**
 * Quotes get the names of a quote (`bid_price`, `bid_size`); every other type is told as sent.
 *
 * @param records As sent, at least one; names may be written in any case.
 * @param stampColumn The member that holds a record's stamp, in lower case.
 */
export function realtimeFrame(
  symbol: string,
  type: string,
  records: JsonRecord[],
  stampColumn: string,
  names: ToldNames = {},
): string {
  const payload =
    type === "quote" ? records.map((record) => quoteOf(foldNames(record), stampColumn)) : records;
  const timestamp = foldNames(records[0]!)[stampColumn] ?? null;
  return encodeRecords({
    symbol,
    data: { type, timestamp, event_type: `${type}_update`, payload },
    ...names,
  });
}

/** The same of ticks whose payload is text already. @param timestamp of the first. */
export function realtimeFrameOf(symbol: string, type: string, timestamp: string, payload: string): string {
  const head = JSON.stringify({ type, timestamp, event_type: `${type}_update` });
  return `{"symbol":${JSON.stringify(symbol)},"data":${head.slice(0, -1)},"payload":${payload}}}`;
}

/** @param payload what of each row is known, as answers show it. */
export function snapshotsFrame(
  symbol: string,
  type: string,
  timestamp: string,
  payload: JsonRecord[],
): string {
  return encodeRecords({ symbol, data: { type, timestamp, event_type: `${type}_update`, payload } });
}

function quoteOf(record: JsonRecord, stampColumn: string): JsonRecord {
  return {
    timestamp: record[stampColumn] ?? null,
    bid_price: record.price ?? record.bid_price ?? null,
    bid_size: record.size ?? record.bid_size ?? null,
    ask_price: record.ask_price ?? null,
    ask_size: record.ask_size ?? null,
  };
}

/** Which rows were to be removed, inclusive as it was asked for; null: unbounded. */
interface RemovedRange {
  start: string | null;
  end: string | null;
  ids?: readonly string[];
  removed: number;
}

export function ticksRemovedFrame(symbol: string, dataType: string, range: RemovedRange): string {
  return JSON.stringify({ symbol, data: { type: TICK_DELETE, data_type: dataType, ...range } });
}

export function barsRemovedFrame(symbol: string, interval: string, range: RemovedRange): string {
  return JSON.stringify({ symbol, data: { type: BAR_DELETE, interval, ...range } });
}

export function tickerRenamedFrame(
  symbol: string,
  of: { old: string; new: string; renamed: number },
): string {
  return JSON.stringify({ symbol, data: { type: TICKER_RENAME, ...of } });
}

/** The replacer of stringifyExact is slow, and a bigint among the records is rare. */
function encodeRecords(frame: unknown): string {
  try {
    return JSON.stringify(frame);
  } catch {
    return encodeExact(frame);
  }
}

function encodeExact(frame: unknown): string {
  try {
    return stringifyExact(frame);
  } catch (error) {
    // A text can be parsed and still be nested too deeply to be written again.
    if (error instanceof RangeError) throw badRequest("data: a value is nested too deeply");
    throw error;
  }
}

/**
 * Whether a stored frame is a JSON object, or "" when it isn't kept. Answers contain it as it is,
 * with a member added at the end, and other programs may have changed it. The check takes 0.25 µs
 * for one tick, and reading it 0.55 µs.
 */
export function isFrame(stored: unknown): boolean {
  if (typeof stored !== "string") return false;
  if (stored === "") return true;
  if (!stored.startsWith('{"') || !stored.endsWith("}")) return false;
  try {
    JSON.parse(stored);
    return true;
  } catch {
    return false;
  }
}
