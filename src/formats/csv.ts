/**
 * CSV as RFC 4180 has it: a line of names, lines that end in CR LF, quotes where a field needs
 * them. No value is an empty field, an empty text is `""`.
 */
import type { ColumnBatch } from "../storage/model/columns.ts";
import { type Encoder, FormatError } from "./contract.ts";
import type { FormatColumn } from "./format-columns.ts";
import { TextBytes } from "./text-bytes.ts";
import { cellWriter, type TextForm } from "./text-cells.ts";

const LINE_END = "\r\n";
const LINE_END_BYTES = Buffer.from(LINE_END);
const COMMA = Buffer.from(",");
/** Readers may take blanks off a field that has no quotes. */
const NEEDS_QUOTES = /[",\r\n]|^\s|\s$|^$/;

const FORM: TextForm = { null: "", text: fieldOf, json: fieldOf, stampQuote: "" };

export class CsvEncoder implements Encoder {
  readonly #columns: readonly FormatColumn[];
  readonly #out = new TextBytes();
  #head: string;

  constructor(columns: readonly FormatColumn[]) {
    this.#columns = columns;
    this.#head = `${columns.map(({ name }) => fieldOf(name)).join(",")}${LINE_END}`;
  }

  encode({ rows, columns }: ColumnBatch): Uint8Array {
    const out = this.#out;
    out.text(this.#takeHead());
    const cells = this.#columns.map((column) => cellWriter(column, columns.get(column.name)!, FORM, out));
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < cells.length; column++) {
        if (column > 0) out.put(COMMA);
        cells[column]!(row);
      }
      out.put(LINE_END_BYTES);
    }
    return out.take();
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
