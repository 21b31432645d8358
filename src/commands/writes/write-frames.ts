/** What subscribers get of rows that came as columns, in the names that commands have. */
import type { FormatColumn } from "../../formats/format-columns.ts";
import { JSON_FORM } from "../../formats/json-cells.ts";
import { TextBytes } from "../../formats/text-bytes.ts";
import { type CellWriter, cellWriter } from "../../formats/text-cells.ts";
import { barsFrameOf, realtimeFrameOf } from "../../protocol/frames.ts";
import { type JsonRecord, parseWithDigits, stringifyExact } from "../../protocol/json.ts";
import { extraAsMembers } from "../../storage/extra-json.ts";
import type { ColumnBatch, ColumnData } from "../../storage/model/columns.ts";
import { type KindName, kindOf } from "../../storage/model/kinds.ts";
import type { WrittenSeries } from "./sent-rows.ts";

/** A quote has all of these, and nothing else. */
const QUOTE = [
  ["bid_price", "price"],
  ["bid_size", "size"],
  ["ask_price", "ask_price"],
  ["ask_size", "ask_size"],
] as const;
/** By these a bar tells what it is. */
const STAMPS = ["date", "datetime"];
const END = Buffer.from("}");
const COMMA = Buffer.from(",");

export function frameOf({ kind, part }: WrittenSeries, ticker: string, batch: ColumnBatch): string {
  const out = new TextBytes();
  const { name, type } = kindOf(kind).stamp;
  const stamp = cellWriter({ name, type }, batch.columns.get(name)!, JSON_FORM, out);
  const members = part === "quote" ? quoteMembers(batch, out) : ownMembers(kind, batch, out);
  const head = Buffer.from(`{"${name}":`);
  stamp(0);
  const first = JSON.parse(textOf(out)) as string;
  for (let row = 0; row < batch.rows; row++) {
    if (row > 0) out.put(COMMA);
    out.put(head);
    stamp(row);
    for (const member of members) member(row);
    out.put(END);
  }
  const payload = `[${textOf(out)}]`;
  return kind === "ticks"
    ? realtimeFrameOf(ticker, part!, first, payload)
    : barsFrameOf(ticker, payload, part);
}

function textOf(out: TextBytes): string {
  const bytes = out.take();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8");
}

function quoteMembers({ columns }: ColumnBatch, out: TextBytes): CellWriter[] {
  return QUOTE.map(([shown, name]): CellWriter => {
    const data = columns.get(name);
    return data === undefined ? () => out.text(`,"${shown}":null`) : memberOf({ shown, name }, data, out);
  });
}

/** As they are sent: where all rows lack a column, none has it. */
function ownMembers(kind: KindName, { columns }: ColumnBatch, out: TextBytes): CellWriter[] {
  return kindOf(kind).values.flatMap(({ name, type }): CellWriter[] => {
    const data = columns.get(name);
    if (data === undefined) return [];
    if (type === "json") return [extraMembers(kind, data, out)];
    const member = memberOf({ shown: name, name }, data, out);
    if (name !== "id") return [member];
    return [(row) => (data.nulls?.[row] === 1 ? undefined : member(row))];
  });
}

function memberOf(
  { shown, name }: { shown: string; name: string },
  data: ColumnData,
  out: TextBytes,
): CellWriter {
  const key = Buffer.from(`,"${shown}":`);
  const write = cellWriter(columnOf(name, data), data, JSON_FORM, out);
  return (row) => {
    out.put(key);
    write(row);
  };
}

function columnOf(name: string, { type }: ColumnData): FormatColumn {
  // The text of a count is its digits.
  if (type === "text") return { name, type: name === "id" ? "text" : "digits" };
  return { name, type: type === "int64" ? "int64" : "double" };
}

function extraMembers(kind: KindName, data: ColumnData, out: TextBytes): CellWriter {
  if (data.type !== "text") return () => undefined;
  const { codes, dictionary, nulls } = data;
  const texts = new Map<number, string>();
  return (row) => {
    if (nulls?.[row] === 1) return;
    const code = codes[row]!;
    let text = texts.get(code);
    if (text === undefined) {
      const own = parseWithDigits(dictionary[code]!) as JsonRecord;
      const members = STAMPS.some((name) => name in own) ? { extra: own } : extraAsMembers(kind, own);
      const object = stringifyExact(members);
      text = object === "{}" ? "" : `,${object.slice(1, -1)}`;
      texts.set(code, text);
    }
    out.text(text);
  };
}
