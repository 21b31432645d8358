/**
 * CSV as RFC 4180 has it: a line of names, lines that end in CR LF, quotes where a field needs
 * them. No value is an empty field, an empty text is `""`.
 */
import type { ColumnBatch } from "../storage/model/columns.ts";
import { type Encoder, FormatError } from "./contract.ts";
import type { FormatColumn } from "./format-columns.ts";
import { type TextForm, textCells } from "./text-cells.ts";

const LINE_END = "\r\n";
/** Readers may take blanks off a field that has no quotes. */
const NEEDS_QUOTES = /[",\r\n]|^\s|\s$|^$/;

const FORM: TextForm = { null: "", text: fieldOf, json: fieldOf, stampQuote: "" };

export class CsvEncoder implements Encoder {
  readonly #columns: readonly FormatColumn[];
  #head: string;

  constructor(columns: readonly FormatColumn[]) {
    this.#columns = columns;
    this.#head = `${columns.map(({ name }) => fieldOf(name)).join(",")}${LINE_END}`;
  }

  encode({ rows, columns }: ColumnBatch): Uint8Array {
    const [first, ...others] = this.#columns.map((column) =>
      textCells(column, columns.get(column.name)!, FORM),
    );
    let text = this.#takeHead();
    for (let row = 0; row < rows; row++) {
      text += first!(row);
      for (const cell of others) text += `,${cell(row)}`;
      text += LINE_END;
    }
    return Buffer.from(text);
  }

  end(): Uint8Array {
    return Buffer.from(this.#takeHead());
  }

  #takeHead(): string {
    const head = this.#head;
    this.#head = "";
    return head;
  }
}

/** @throws FormatError */
function fieldOf(text: string): string {
  if (!text.isWellFormed()) throw new FormatError(`${JSON.stringify(text)} can't be written in UTF-8`);
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
