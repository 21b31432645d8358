/** Cells as text, for the formats that are text. */
import type { ColumnData } from "../storage/model/columns.ts";
import { dayText, Int64Reader, StampTexts } from "../storage/model/stamp-text.ts";
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
export function textCells({ type }: FormatColumn, data: ColumnData, form: TextForm): (row: number) => string {
  const cell = valueCells(type, data, form);
  const { nulls } = data;
  if (nulls === null) return cell;
  // Many a column has no value at all, such as the ask price of trades.
  return nulls.includes(0) ? (row) => (nulls[row] === 1 ? form.null : cell(row)) : () => form.null;
}

function valueCells(type: FormatColumn["type"], data: ColumnData, form: TextForm): (row: number) => string {
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
      const texts = new StampTexts(data.values, type === "instant", {
        before: quote,
        between: "T",
        after: `Z${quote}`,
      });
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
