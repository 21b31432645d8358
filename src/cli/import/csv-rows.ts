/** Splits text into rows of fields, with line numbers. */
import type { SourceField } from "../../market/csv.ts";
import type { PlainTickLines, PlainTicks } from "./plain-ticks.ts";
import { SourceError } from "./source.ts";

export interface SourceRow {
  /** Where the row begins; the first is line 1. */
  line: number;
  fields: SourceField[];
  /** Indexes of fields that are an empty text, in quotes: without them there is nothing. */
  empties?: number[];
  /** What the row has beside the columns of its file: members of JSON that came up late. */
  more?: Record<string, SourceField>;
}

/** A longer row means that a quote was never closed. */
const ROW_CHARS_MAX = 65_536;
const UTF16 = { le: [0xff, 0xfe], be: [0xfe, 0xff] };

/** Rows, or ticks that were read as columns. */
export type RowPiece = SourceRow[] | PlainTicks;

/**
 * Reads every row; skips empty lines. Fields may be quoted. Blanks around quotes are dropped,
 * others are left to the reader of the field.
 *
 * @throws SourceError quotes hide where rows end. The rows before that place come first.
 */
export function csvRows(
  name: string,
  chunks: AsyncIterable<Uint8Array>,
  separator: string,
  encoding: TextEncoding,
): AsyncGenerator<SourceRow[]> {
  const pieces = csvPieces(name, chunks, { separator, encoding, plain: null });
  return pieces as AsyncGenerator<SourceRow[]>;
}

/** As `csvRows`. @param plain reads the lines that it can. */
export async function* csvPieces(
  name: string,
  chunks: AsyncIterable<Uint8Array>,
  { separator, encoding, plain }: { separator: string; encoding: TextEncoding; plain: PlainTickLines | null },
): AsyncGenerator<RowPiece> {
  const splitter = new RowSplitter(name, separator, plain);
  for await (const text of textOf(name, chunks, encoding)) {
    yield* splitter.push(text, false);
    splitter.throwIfBroken();
  }
  yield* splitter.push("", true);
  splitter.throwIfBroken();
}

/** @param encoding As `encodingOf` tells it. @throws SourceError Not of that encoding. */
export async function* textOf(
  name: string,
  chunks: AsyncIterable<Uint8Array>,
  encoding: TextEncoding,
): AsyncGenerator<string> {
  // A sign that can't be read could make two tickers the same.
  const decoder = new TextDecoder(encoding, { fatal: true });
  try {
    for await (const chunk of chunks) {
      const text = decoder.decode(chunk, { stream: true });
      if (text !== "") yield text;
    }
    const rest = decoder.decode();
    if (rest !== "") yield rest;
  } catch (error) {
    if (error instanceof TypeError)
      throw new SourceError(`${name}: expected text in ${encoding}; --encoding names another`);
    throw error;
  }
}

export const TEXT_ENCODINGS = ["utf-8", "utf-16le", "utf-16be", "windows-1252"] as const;
export type TextEncoding = (typeof TEXT_ENCODINGS)[number];

/** By its mark, or by the bytes of its beginning, which may end within a sign. */
export function encodingOf(head: Uint8Array): TextEncoding {
  if (UTF16.le.every((byte, index) => head[index] === byte)) return "utf-16le";
  if (UTF16.be.every((byte, index) => head[index] === byte)) return "utf-16be";
  const unmarked = utf16WithoutMark(head);
  if (unmarked !== null) return unmarked;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(head, { stream: true });
    return "utf-8";
  } catch {
    return "windows-1252";
  }
}

/** Every other byte of Latin letters and digits is 0 there, and no other text has zeros. */
function utf16WithoutMark(head: Uint8Array): TextEncoding | null {
  const zeros = [0, 0];
  for (const [index, byte] of head.entries()) if (byte === 0) zeros[index % 2]!++;
  const [even = 0, odd = 0] = zeros;
  const enough = head.length / 4;
  if (odd > enough && even === 0) return "utf-16le";
  return even > enough && odd === 0 ? "utf-16be" : null;
}

class RowSplitter {
  readonly #name: string;
  readonly #separator: string;
  #rest = "";
  #line = 1;
  #broken: SourceError | null = null;
  readonly #plain: PlainTickLines | null;

  constructor(name: string, separator: string, plain: PlainTickLines | null) {
    this.#name = name;
    this.#separator = separator;
    this.#plain = plain;
  }

  throwIfBroken(): void {
    if (this.#broken !== null) throw this.#broken;
  }

  /** Hands out the rows that are complete. */
  *push(chunk: string, isLast: boolean): Generator<RowPiece> {
    let rows: SourceRow[] = [];
    const text = this.#rest + chunk;
    const quotes = new NextSign(text, '"');
    const returns = new NextSign(text, "\r");
    let at = 0;
    while (this.#broken === null && at < text.length) {
      const plainEnd = this.#plain?.isOn ? this.#plain.read(text, at) : at;
      if (plainEnd > at) {
        if (rows.length > 0) yield rows;
        rows = [];
        const ticks = this.#plain!.take(this.#line);
        this.#line += ticks.rows;
        yield ticks;
        at = plainEnd;
        continue;
      }
      const end = endOfLine(text, at, returns.from(at), isLast);
      if (end === null) break;
      if (quotes.from(at) >= end.at) {
        this.#addPlain(rows, text.slice(at, end.at));
        this.#line++;
        at = end.next;
        continue;
      }
      const record = this.#readQuoted(text, at, isLast);
      if (record === null) break;
      const { fields, empties } = record;
      if (!isBlank(fields))
        rows.push({ line: this.#line, fields, ...(empties.length > 0 ? { empties } : {}) });
      this.#line += record.lines;
      at = record.next;
    }
    this.#rest = text.slice(at);
    if (this.#rest.length > ROW_CHARS_MAX)
      this.#fail(`a row has more than ${ROW_CHARS_MAX} characters: is a quote never closed?`);
    if (rows.length > 0) yield rows;
  }

  #addPlain(rows: SourceRow[], line: string): void {
    const fields: string[] = line.split(this.#separator);
    if (fields[0] === "" ? !isBlank(fields) : fields.length > 1 || line.trim() !== "")
      rows.push({ line: this.#line, fields });
  }

  /** @returns null when the row goes on in the next chunk, or is broken. */
  #readQuoted(
    text: string,
    start: number,
    isLast: boolean,
  ): { fields: string[]; empties: number[]; lines: number; next: number } | null {
    const fields: string[] = [];
    const empties: number[] = [];
    let lines = 1;
    let at = start;
    for (;;) {
      let from = at;
      while (text[from] === " ") from++;
      let end: number;
      if (text[from] === '"') {
        const quoted = this.#closeQuote(text, from + 1, isLast);
        if (quoted === null) return null;
        if (quoted.value === "") empties.push(fields.length);
        fields.push(quoted.value);
        for (let i = quoted.value.indexOf("\n"); i >= 0; i = quoted.value.indexOf("\n", i + 1)) lines++;
        end = quoted.next;
      } else {
        end = at;
        while (end < text.length && text[end] !== this.#separator && text[end] !== "\n" && text[end] !== "\r")
          end++;
        fields.push(text.slice(at, end));
      }
      if (end >= text.length) return isLast ? { fields, empties, lines, next: end } : null;
      if (text[end] === this.#separator) {
        at = end + 1;
        continue;
      }
      if (text[end] === "\n") return { fields, empties, lines, next: end + 1 };
      if (end === text.length - 1 && !isLast) return null;
      return { fields, empties, lines, next: text[end + 1] === "\n" ? end + 2 : end + 1 };
    }
  }

  /** @returns the value, and where the separator or the end of the line stands. */
  #closeQuote(text: string, start: number, isLast: boolean): { value: string; next: number } | null {
    let at = text.indexOf('"', start);
    while (at >= 0 && text[at + 1] === '"') at = text.indexOf('"', at + 2);
    if (at < 0 || (at === text.length - 1 && !isLast)) {
      if (isLast) this.#fail("a quote is never closed");
      return null;
    }
    const value = text.slice(start, at).replaceAll('""', '"');
    let next = at + 1;
    while (text[next] === " ") next++;
    const after = text[next];
    if (after !== undefined && after !== this.#separator && after !== "\n" && after !== "\r") {
      this.#fail(
        `expected ${this.#separator === "\t" ? "a tab" : this.#separator} or the end of the line after a closing quote`,
      );
      return null;
    }
    return { value, next };
  }

  #fail(message: string): void {
    this.#broken ??= new SourceError(`${this.#name}:${this.#line}: ${message}`);
  }
}

/** Where a sign comes next. Looked for once, and not again from each line. */
class NextSign {
  readonly #text: string;
  readonly #sign: string;
  #at = -1;

  constructor(text: string, sign: string) {
    this.#text = text;
    this.#sign = sign;
  }

  /** @returns Infinity when there is none. */
  from(at: number): number {
    if (this.#at < at) {
      const found = this.#text.indexOf(this.#sign, at);
      this.#at = found < 0 ? Number.POSITIVE_INFINITY : found;
    }
    return this.#at;
  }
}

/**
 * @param carriage Where the next carriage return stands.
 * @returns null when the line goes on in the next chunk.
 */
function endOfLine(
  text: string,
  at: number,
  carriage: number,
  isLast: boolean,
): { at: number; next: number } | null {
  const newline = text.indexOf("\n", at);
  if (carriage < (newline < 0 ? text.length : newline)) {
    if (carriage === newline - 1) return { at: carriage, next: newline + 1 };
    // A line feed may follow in the next chunk.
    if (carriage === text.length - 1 && !isLast) return null;
    return { at: carriage, next: carriage + 1 };
  }
  if (newline >= 0) return { at: newline, next: newline + 1 };
  return isLast ? { at: text.length, next: text.length } : null;
}

function isBlank(fields: string[]): boolean {
  return fields.every((field) => field.trim() === "");
}
