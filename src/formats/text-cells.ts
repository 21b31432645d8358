/** Cells as text, for the formats that are text. */
import { type Zone, zoneOf } from "../market/zone.ts";
import type { ColumnData } from "../storage/model/columns.ts";
import { dayText, Int64Reader, StampTexts } from "../storage/model/stamp-text.ts";
import { FormatError } from "./contract.ts";
import type { FormatColumn } from "./format-columns.ts";

/** How a format writes what isn't a number. */
export interface TextForm {
  null: string;
  text(text: string): string;
  /** Of a JSON value. */
  json(text: string): string;
  /** Around a date or a stamp, which have nothing to be escaped. */
  stampQuote: string;
}

/** What gives the cells of a column, row by row. */
export function textCells(column: FormatColumn, data: ColumnData, form: TextForm): (row: number) => string {
  const cell = valueCells(column, data, form);
  const { nulls } = data;
  if (nulls === null) return cell;
  // Many a column has no value at all, such as the ask price of trades.
  return nulls.includes(0) ? (row) => (nulls[row] === 1 ? form.null : cell(row)) : () => form.null;
}

function valueCells({ type, zone }: FormatColumn, data: ColumnData, form: TextForm): (row: number) => string {
  const { stampQuote: quote } = form;
  switch (data.type) {
    case "double":
      return (row) => {
        const value = data.values[row]!;
        return Number.isFinite(value) ? String(value) : form.null;
      };
    case "int64": {
      const reader = new Int64Reader(data.values);
      return (row) => String(reader.at(row));
    }
    case "date":
      return (row) => `${quote}${dayText(data.values[row]!)}${quote}`;
    case "instant": {
      const texts = stampTexts(data.values, { inMicros: type === "instant", zone, quote });
      return (row) => texts.at(row);
    }
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
        return written[code];
      };
    }
  }
}

/** As ISO 8601 has it: `2024-01-02T09:30:00Z`, or with the offset of a zone. */
function stampTexts(
  values: BigInt64Array,
  { inMicros, zone, quote }: { inMicros: boolean; zone: string | undefined; quote: string },
): StampTexts {
  const affixes = { before: quote, between: "T" };
  if (zone === undefined) return new StampTexts(values, inMicros, { ...affixes, after: `Z${quote}` });
  const found: Zone | null = zoneOf(zone);
  if (found === null) throw new FormatError(`${JSON.stringify(zone)} is no time zone`);
  const offsetAt = (second: number): number => found.offsetAt(second * 1_000) / 1_000;
  return new StampTexts(values, inMicros, { ...affixes, after: quote, offsetAt });
}
