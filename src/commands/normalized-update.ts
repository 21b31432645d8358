/**
 * Updates told in one shape, whoever wrote them: names as in answers, stamps in UTC, numbers as
 * numbers. What a writer has sent beside the columns is in `extra`.
 */
import { toWire } from "../market/timestamp.ts";
import { RequestError } from "../protocol/errors.ts";
import { parseAllIntegers } from "../protocol/exact-integers.ts";
import { BAR_DELETE, CORPORATE_ACTION, TICK_DELETE, TICKER_RENAME } from "../protocol/frames.ts";
import { foldNames, isObject, type JsonRecord, stringifyExact } from "../protocol/json.ts";
import { extraJson } from "../storage/extra-json.ts";
import { type KindName, kindOf, partName, type SeriesRow, type SeriesValue } from "../storage/model/kinds.ts";
import { BarReader, namesShown } from "./bar-reader.ts";
import { requireInterval } from "./params.ts";
import { readCount, readReal, readValue, requireRecords } from "./records.ts";
import { toSaveActions } from "./save-corporate-actions.ts";
import { shownRecord } from "./shown-rows.ts";
import { idColumnsOf, NO_ALIASES, TickReader, USUAL_STAMP } from "./tick-reader.ts";

/** An integer that JSON.parse might round has so many digits. */
const LONG_INTEGER = /\d{16}/;
const QUOTE_COLUMNS = ["bid_price", "bid_size", "ask_price", "ask_size"] as const;
const EDITS: ReadonlySet<unknown> = new Set([TICK_DELETE, BAR_DELETE, TICKER_RENAME]);
/** Types of ticks that are told by their own name. Others may have any name. */
const NAMED_TICKS = ["trade", "quote"];

export interface NormalizedUpdate {
  type: string;
  /** The members that follow those of every update, in JSON, each with a comma before it. */
  members: string;
}

/**
 * @param frame of an update in the log. One that can't be understood, as an older server or another
 *   program has written it, is told as it is, with the reason.
 */
export function normalizedUpdate(frame: string): NormalizedUpdate {
  const read = (LONG_INTEGER.test(frame) ? parseAllIntegers(frame) : JSON.parse(frame)) as JsonRecord;
  try {
    return normalized(read);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const { data } = read;
    const type = Array.isArray(data) ? "bar" : typeOf(data).type;
    const reason = JSON.stringify(error.message);
    return { type, members: `,"unreadable":${reason},"raw":${stringifyExact(data)}` };
  }
}

function normalized(frame: JsonRecord): NormalizedUpdate {
  const { data, interval, index_col: index, id_col: id } = frame;
  const names = { index: textOrNull(index), id: textOrNull(id) };
  if (Array.isArray(data)) return barsOf(requireRecords(data), textOrNull(interval), names.index);
  const { type, payload, ...members } = data as JsonRecord;
  if (EDITS.has(type)) return { type: String(type), members: `,${stringifyExact(members).slice(1, -1)}` };
  const records = requireRecords(Array.isArray(payload) ? payload : []);
  if (type === "option") return ofRecords("option", records.map(stringifyExact));
  if (type === "financial") return ofRecords("financial", records.map(stringifyExact));
  if (type === CORPORATE_ACTION) return actionsOf(String(frame.symbol), records);
  const { type: named, dataType } = typeOf(data);
  const texts = type === "quote" ? records.map(quoteText) : tickTexts(records, names);
  return ofRecords(named, texts, dataType === null ? "" : `,"data_type":${JSON.stringify(dataType)}`);
}

/** Ticks of any other type are `tick`s, so that no type of a user is taken for another frame. */
function typeOf(data: unknown): { type: string; dataType: string | null } {
  const type = isObject(data) ? String(data.type) : "tick";
  return NAMED_TICKS.includes(type) ? { type, dataType: null } : { type: "tick", dataType: type };
}

function ofRecords(type: string, records: readonly string[], before = ""): NormalizedUpdate {
  return { type, members: `${before},"records":[${records.join(",")}]` };
}

/** A member that the record doesn't bring is left out: a merge keeps what is stored. */
function barsOf(records: JsonRecord[], interval: string | null, index: string | null): NormalizedUpdate {
  const folded = records.map(foldNames);
  const shown = namesShown(folded, interval);
  const kind: KindName | undefined = interval === null ? shown?.kind : requireInterval(interval).kind;
  const stampColumn = index ?? shown?.stampColumn;
  if (kind === undefined || stampColumn === undefined)
    return {
      type: "bar",
      members: `,"unreadable":"no bar has a date or datetime","raw":${stringifyExact(records)}`,
    };
  const reader = new BarReader(kind, stampColumn);
  const texts = folded.map((record, i) => {
    const row = reader.row(record, i);
    return row === null ? null : barText(kind, row, new Set(reader.missingOf(record, row)));
  });
  const length = JSON.stringify(interval ?? partName(kind, null));
  return ofRecords(
    "bar",
    texts.filter((text) => text !== null),
    `,"interval":${length}`,
  );
}

function barText(kind: KindName, row: SeriesRow, missing: ReadonlySet<number>): string {
  const members = kindOf(kind).values.map(({ name, type }, index) => {
    const value = row[index + 1]!;
    if (missing.has(index + 1)) return "";
    return `,"${name}":${type === "json" ? extraJson(value) : numberText(value)}`;
  });
  return `{"timestamp":"${toWire(row[0])}"${members.join("")}}`;
}

function quoteText(record: JsonRecord, i: number): string {
  const [bid, bidSize, ask, askSize] = QUOTE_COLUMNS.map((name, at) =>
    at % 2 === 0 ? readReal(record[name], name, i) : readCount(record[name], name, i),
  );
  const stamp = readValue({ name: USUAL_STAMP, type: "instant" }, record, i);
  return (
    `{"timestamp":"${toWire(String(stamp))}"` +
    `,"bid_price":${numberText(bid!)},"bid_size":${numberText(bidSize!)}` +
    `,"ask_price":${numberText(ask!)},"ask_size":${numberText(askSize!)}}`
  );
}

/** What only some ticks have is left out of the others. */
function tickTexts(records: JsonRecord[], names: { index: string | null; id: string | null }): string[] {
  const folded = records.map(foldNames);
  const index = names.index ?? USUAL_STAMP;
  const reader = new TickReader(index, idColumnsOf(names.id, folded, index), NO_ALIASES);
  const texts: string[] = [];
  for (const [i, record] of folded.entries()) {
    const row = reader.row(record, i);
    if (row === null) continue;
    const [stamp, price, size, askPrice, askSize, id, extra] = row;
    const optional = [
      askPrice === null ? "" : `,"ask_price":${numberText(askPrice)}`,
      askSize === null ? "" : `,"ask_size":${numberText(askSize)}`,
      id === null ? "" : `,"id":${JSON.stringify(id)}`,
      extra === null ? "" : `,"extra":${extraJson(extra)}`,
    ].join("");
    texts.push(
      `{"timestamp":"${toWire(stamp)}","price":${numberText(price)},"size":${numberText(size)}${optional}}`,
    );
  }
  return texts;
}

/** They are told as sent; the save made rows of them in the same way. */
function actionsOf(ticker: string, data: JsonRecord[]): NormalizedUpdate {
  const { save } = toSaveActions({ ticker, data });
  return ofRecords(
    CORPORATE_ACTION,
    save.rows.map((row) => stringifyExact({ ...shownRecord("actions", row), seq: row.at(-1) })),
  );
}

/** A count that is text holds digits. */
function numberText(value: SeriesValue): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function textOrNull(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
