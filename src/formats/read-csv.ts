/**
 * CSV as RFC 4180 has it, read into places of fields: no object for a row, and no text for a field
 * that is read as a number once.
 */
import { turn } from "../time/pauses.ts";
import { ROWS_OF_TURN, type SentTable, SentTableError } from "./sent-table.ts";

const QUOTE = 34;
const COMMA = 44;
const NEWLINE = 10;
const RETURN = 13;
const FIRST_FIELDS = 4_096;
const SHOWN_LENGTH_MAX = 60;

/** @param text with a line of names. @throws SentTableError */
export async function readCsv(text: string): Promise<SentTable> {
  const reader = new CsvReader(text.startsWith("\ufeff") ? text.slice(1) : text);
  const names = reader.readHeader();
  while (reader.readRows(ROWS_OF_TURN)) await turn();
  const { rows } = reader;
  return {
    rows,
    columns: names.map((name, index) => ({
      name,
      cells: { form: "fields", at: (row) => reader.field(row, index) },
    })),
    tickerOf: null,
    placeOf: (row) => ` (line ${reader.lineOf(row)})`,
  };
}

class CsvReader {
  readonly #text: string;
  #at = 0;
  #line = 1;
  #width = 0;
  rows = 0;
  /** Of each field; of one in quotes, what is between them, and the end is negative. */
  #starts = new Int32Array(FIRST_FIELDS);
  #ends = new Int32Array(FIRST_FIELDS);
  #lines = new Int32Array(FIRST_FIELDS);
  #fields = 0;

  constructor(text: string) {
    this.#text = text;
  }

  readHeader(): string[] {
    if (!this.#readRow()) throw new SentTableError("got no line, expected one with the names of columns");
    const names = Array.from({ length: this.#fields }, (_, index) => (this.field(0, index) ?? "").trim());
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined)
      throw new SentTableError(`got two columns ${JSON.stringify(twice)}, expected one`);
    const [only = ""] = names;
    if (names.length === 1 && /[;\t|]/.test(only))
      throw new SentTableError(
        `got the line of names ${JSON.stringify(only.slice(0, SHOWN_LENGTH_MAX))}, expected commas between them`,
      );
    this.#width = names.length;
    this.#fields = 0;
    this.rows = 0;
    return names;
  }

  /** @returns whether there are more. */
  readRows(count: number): boolean {
    for (let read = 0; read < count; read++) if (!this.#readRow()) return false;
    return true;
  }

  /** Null: it is empty, without quotes. */
  field(row: number, column: number): string | null {
    const index = row * this.#width + column;
    const start = this.#starts[index]!;
    const end = this.#ends[index]!;
    if (end < 0) {
      const inQuotes = this.#text.slice(start, -end);
      return inQuotes.includes('"') ? inQuotes.replaceAll('""', '"') : inQuotes;
    }
    return start === end ? null : this.#text.slice(start, end);
  }

  lineOf(row: number): number {
    return this.#lines[row]!;
  }

  /** @returns false: there is none. */
  #readRow(): boolean {
    const text = this.#text;
    while (this.#passEmptyLine());
    if (this.#at >= text.length) return false;
    const first = this.#fields;
    const line = this.#line;
    for (;;) {
      this.#readField();
      const sign = text.charCodeAt(this.#at);
      if (sign === COMMA) {
        this.#at++;
        continue;
      }
      this.#passLineEnd();
      break;
    }
    const fields = this.#fields - first;
    if (this.#width > 0 && fields !== this.#width)
      throw new SentTableError(
        `row ${this.rows + 1} (line ${line}): got ${fields} fields, expected ${this.#width} as in the line of names`,
      );
    if (this.rows === this.#lines.length) this.#lines = longer(this.#lines);
    this.#lines[this.rows++] = line;
    return true;
  }

  #readField(): void {
    const text = this.#text;
    if (this.#fields === this.#starts.length) {
      this.#starts = longer(this.#starts);
      this.#ends = longer(this.#ends);
    }
    const start = this.#at;
    if (text.charCodeAt(start) === QUOTE) {
      this.#readQuoted(start + 1);
      return;
    }
    let at = start;
    for (;;) {
      const sign = text.charCodeAt(at);
      // The end of the text is NaN.
      if (sign === COMMA || sign === NEWLINE || sign === RETURN || !(sign >= 0)) break;
      at++;
    }
    this.#add(start, at);
    this.#at = at;
  }

  #readQuoted(start: number): void {
    const text = this.#text;
    let end = text.indexOf('"', start);
    while (end >= 0 && text.charCodeAt(end + 1) === QUOTE) end = text.indexOf('"', end + 2);
    if (end < 0)
      throw new SentTableError(`row ${this.rows + 1} (line ${this.#line}): a quote is never closed`);
    const after = text.charCodeAt(end + 1);
    if (after !== COMMA && after !== NEWLINE && after !== RETURN && after >= 0)
      throw new SentTableError(
        `row ${this.rows + 1} (line ${this.#line}): expected a comma or the end of the line after a closing quote`,
      );
    for (let at = text.indexOf("\n", start); at >= 0 && at < end; at = text.indexOf("\n", at + 1))
      this.#line++;
    this.#add(start, -end);
    this.#at = end + 1;
  }

  #add(start: number, end: number): void {
    this.#starts[this.#fields] = start;
    this.#ends[this.#fields++] = end;
  }

  #passLineEnd(): void {
    if (this.#text.charCodeAt(this.#at) === RETURN) this.#at++;
    if (this.#text.charCodeAt(this.#at) === NEWLINE) this.#at++;
    this.#line++;
  }

  #passEmptyLine(): boolean {
    const sign = this.#text.charCodeAt(this.#at);
    if (sign !== NEWLINE && sign !== RETURN) return false;
    this.#passLineEnd();
    return true;
  }
}

function longer(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(array.length * 2);
  grown.set(array);
  return grown;
}
