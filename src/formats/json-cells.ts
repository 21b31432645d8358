/** Cells as JSON, for the formats that are JSON. */
import type { ColumnData } from "../storage/model/columns.ts";
import type { FormatColumn } from "./format-columns.ts";
import { type TextForm, textCells } from "./text-cells.ts";

const FORM: TextForm = { null: "null", text: JSON.stringify, json: jsonOnOneLine, stampQuote: '"' };
/** A number whose text is the same again. */
const INTEGER = /^(?:0|-?[1-9]\d{0,15})$/;

/** Integers of 64 bits have all their digits. */
export function jsonCells(column: FormatColumn, data: ColumnData): (row: number) => string {
  return textCells(column, data, FORM);
}

/** The same, but a text that is an integer which a double holds becomes a number. */
export function jsonNumberCells(column: FormatColumn, data: ColumnData): (row: number) => string {
  return textCells(column, data, NUMBERS);
}

const NUMBERS: TextForm = {
  ...FORM,
  text: (text) => (INTEGER.test(text) && Number.isSafeInteger(Number(text)) ? text : JSON.stringify(text)),
};

/** The value as it was saved. What another program has stored and isn't JSON is a text. */
function jsonOnOneLine(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    return JSON.stringify(text);
  }
  // In JSON, a line can only end between values.
  return text.isWellFormed() ? text.replaceAll(/[\r\n]/g, " ") : JSON.stringify(JSON.parse(text));
}
