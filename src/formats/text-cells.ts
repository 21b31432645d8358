/** Cells as text, for the formats that are text. */
import { type Zone, zoneOf } from "../market/zone.ts";
import type { ColumnData } from "../storage/model/columns.ts";
import { dayText, Int64Reader, StampTexts } from "../storage/model/stamp-text.ts";
import { FormatError } from "./contract.ts";
import type { FormatColumn } from "./format-columns.ts";
import type { TextBytes } from "./text-bytes.ts";

const MICROS = 1_000_000;
const DAY_S = 86_400;

/** How a format writes what isn't a number. */
export interface TextForm {
  null: string;
  text(text: string): string;
  /** Of a JSON value. */
  json(text: string): string;
  /** Around a date or a stamp, which have nothing to be escaped. */
  stampQuote: string;
}

/** Writes the cell of a row. */
export type CellWriter = (row: number) => void;

/** What writes the cells of a column, row by row. */
export function cellWriter(
  column: FormatColumn,
  data: ColumnData,
  form: TextForm,
  out: TextBytes,
): CellWriter {
  const write = valueWriter(column, data, form, out);
  const { nulls } = data;
  if (nulls === null) return write;
  return (row) => {
    if (nulls[row] === 1) out.text(form.null);
    else write(row);
  };
}

function valueWriter(
  { type, zone }: FormatColumn,
  data: ColumnData,
  form: TextForm,
  out: TextBytes,
): CellWriter {
  const { stampQuote: quote } = form;
  switch (data.type) {
    case "double":
      return (row) => {
        const value = data.values[row]!;
        if (Number.isFinite(value)) out.number(value);
        else out.text(form.null);
      };
    case "int64": {
      const reader = new Int64Reader(data.values);
      return (row) => {
        const value = reader.at(row);
        if (typeof value === "number") out.number(value);
        else out.text(String(value));
      };
    }
    case "date":
      return (row) => out.text(`${quote}${dayText(data.values[row]!)}${quote}`);
    case "instant":
      return zone === undefined
        ? utcWriter(data.values, { inMicros: type === "instant", quote }, out)
        : zonedWriter(data.values, { inMicros: type === "instant", quote, zone }, out);
    case "text": {
      const write =
        type === "json"
          ? form.json
          : type === "name" || type === "text"
            ? form.text
            : (digits: string) => digits;
      const written: string[] = [];
      return (row) => {
        const code = data.codes[row]!;
        written[code] ??= write(data.dictionary[code]!);
        out.text(written[code]);
      };
    }
  }
}

interface StampStyle {
  inMicros: boolean;
  quote: string;
}

/** `2024-01-02T14:30:00.123456Z`. Rows next to each other mostly share a day. */
function utcWriter(values: BigInt64Array, { inMicros, quote }: StampStyle, out: TextBytes): CellWriter {
  const reader = new Int64Reader(values);
  const texts = new StampTexts(values, inMicros, { before: quote, between: "T", after: `Z${quote}` });
  const end = Buffer.from(`Z${quote}`);
  let day = Number.NaN;
  let begin = end;
  return (row) => {
    const micros = reader.at(row);
    if (typeof micros === "bigint") {
      out.text(texts.at(row));
      return;
    }
    const second = Math.floor(micros / MICROS);
    const own = Math.floor(second / DAY_S);
    if (own !== day) {
      day = own;
      begin = Buffer.from(`${quote}${dayText(day)}T`);
    }
    out.put(begin);
    out.time(second - day * DAY_S);
    if (inMicros) out.fraction(micros - second * MICROS);
    out.put(end);
  };
}

/** The same with the offset of a zone. */
function zonedWriter(
  values: BigInt64Array,
  { inMicros, quote, zone }: StampStyle & { zone: string },
  out: TextBytes,
): CellWriter {
  const found: Zone | null = zoneOf(zone);
  if (found === null) throw new FormatError(`${JSON.stringify(zone)} is no time zone`);
  const offsetAt = (second: number): number => found.offsetAt(second * 1_000) / 1_000;
  const affixes = { before: quote, between: "T", after: quote, offsetAt };
  const texts = new StampTexts(values, inMicros, affixes);
  return (row) => out.text(texts.at(row));
}
