/** A JSON object a line. Integers of 64 bits have all their digits. */
import type { ColumnBatch } from "../storage/model/columns.ts";
import type { Encoder } from "./contract.ts";
import type { FormatColumn } from "./format-columns.ts";
import { type TextForm, textCells } from "./text-cells.ts";

const FORM: TextForm = { null: "null", text: JSON.stringify, json: jsonOnOneLine, stampQuote: '"' };

export class NdjsonEncoder implements Encoder {
  readonly #columns: readonly FormatColumn[];
  /** What stands before each value of a row. */
  readonly #keys: string[];

  constructor(columns: readonly FormatColumn[]) {
    this.#columns = columns;
    this.#keys = columns.map(({ name }, index) => `${index === 0 ? "{" : ","}${JSON.stringify(name)}:`);
  }

  encode({ rows, columns }: ColumnBatch): Uint8Array {
    const cells = this.#columns.map((column) => textCells(column, columns.get(column.name)!, FORM));
    const keys = this.#keys;
    let text = "";
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < cells.length; column++) text += keys[column]! + cells[column]!(row);
      text += "}\n";
    }
    return Buffer.from(text);
  }

  end(): Uint8Array {
    return new Uint8Array(0);
  }
}

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
