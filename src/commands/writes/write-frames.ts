/** What subscribers get of rows that came as columns, in the names that commands have. */
import type { FormatColumn } from "../../formats/format-columns.ts";
import { jsonCells } from "../../formats/json-cells.ts";
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

export function frameOf({ kind, part }: WrittenSeries, ticker: string, batch: ColumnBatch): string {
  const stampName = kindOf(kind).stamp.name;
  const stamp = jsonCells({ name: stampName, type: kindOf(kind).stamp.type }, batch.columns.get(stampName)!);
  const members = part === "quote" ? quoteMembers(batch) : ownMembers(kind, batch);
  const extra = part === "quote" ? () => "" : extraMembers(kind, batch.columns.get("extra"));
  const rows = Array.from({ length: batch.rows }, (_, row) => {
    let text = `{"${stampName}":${stamp(row)}`;
    for (const member of members) text += member(row);
    return `${text}${extra(row)}}`;
  });
  const payload = `[${rows.join(",")}]`;
  if (kind !== "ticks") return barsFrameOf(ticker, payload, part);
  return realtimeFrameOf(ticker, part!, JSON.parse(stamp(0)) as string, payload);
}

/** By these a bar tells what it is. */
const STAMPS = ["date", "datetime"];

type MemberText = (row: number) => string;

function quoteMembers({ columns }: ColumnBatch): MemberText[] {
  return QUOTE.map(([shown, name]): MemberText => {
    const data = columns.get(name);
    if (data === undefined) return () => `,"${shown}":null`;
    const cell = jsonCells(columnOf(name, data), data);
    return (row) => `,"${shown}":${cell(row)}`;
  });
}

/** As they are sent: where all rows lack a column, none has it. */
function ownMembers(kind: KindName, { columns }: ColumnBatch): MemberText[] {
  return kindOf(kind).values.flatMap(({ name, type }): MemberText[] => {
    const data = columns.get(name);
    if (data === undefined || type === "json") return [];
    const cell = jsonCells(columnOf(name, data), data);
    if (name !== "id") return [(row) => `,"${name}":${cell(row)}`];
    return [(row) => (data.nulls?.[row] === 1 ? "" : `,"${name}":${cell(row)}`)];
  });
}

function columnOf(name: string, { type }: ColumnData): FormatColumn {
  // The text of a count is its digits.
  if (type === "text") return { name, type: name === "id" ? "text" : "digits" };
  return { name, type: type === "int64" ? "int64" : "double" };
}

function extraMembers(kind: KindName, data: ColumnData | undefined): MemberText {
  if (data?.type !== "text") return () => "";
  const { codes, dictionary, nulls } = data;
  const texts = new Map<number, string>();
  return (row) => {
    if (nulls?.[row] === 1) return "";
    const code = codes[row]!;
    let text = texts.get(code);
    if (text === undefined) {
      const own = parseWithDigits(dictionary[code]!) as JsonRecord;
      const members = STAMPS.some((name) => name in own) ? { extra: own } : extraAsMembers(kind, own);
      const object = stringifyExact(members);
      text = object === "{}" ? "" : `,${object.slice(1, -1)}`;
      texts.set(code, text);
    }
    return text;
  };
}
