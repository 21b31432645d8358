/** Turns the cells that PostgreSQL sends as text into the JSON of an answer. */
import type { SQL } from "bun";
import { badRequest, RequestError } from "../../protocol/errors.ts";

/** Text is turned into bytes once this much has gathered. */
const PART_CHARS = 64 * 1024;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Types by their fixed numbers in PostgreSQL's catalogue. */
const BOOL = 16;
const BYTEA = 17;
const NUMBERS = new Set([20, 21, 23, 26, 700, 701, 1700]);
const JSONS = new Set([114, 3802]);
const TIMESTAMPS = new Set([1114, 1184]);
/** As the server's session writes it: ISO, in UTC. */
const TIMESTAMP = /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(?:\+00)?$/;

export type Cells = (Uint8Array | null)[];

export interface RowLimits {
  maxRows: number;
  maxBytes: number;
}

interface Column {
  /** Among the cells of a row. */
  index: number;
  /** `"name":`, with a comma in front of all but the first. */
  prefix: string;
  type: number;
}

/**
 * Numbers keep all their digits, what isn't finite becomes null, stamps have six digits of fraction
 * and mean UTC, JSON stays JSON, bytea becomes base64, everything else is text as PostgreSQL writes
 * it. Of columns with the same name the last one is kept.
 */
export class RowEncoder {
  readonly #limits: RowLimits;
  readonly #parts: Uint8Array[] = [];
  #columns: Column[] | null = null;
  #text = "[";
  #rows = 0;
  #bytes = 0;

  constructor(limits: RowLimits) {
    this.#limits = limits;
  }

  get rows(): number {
    return this.#rows;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws RequestError 400 when there are more rows or bytes than allowed. */
  add(rows: Cells[], described: SQL.ResultColumn[]): void {
    this.#columns ??= columnsOf(described);
    for (const cells of rows) {
      // Before it is turned into text, which takes several times as much.
      if (this.#bytes + sizeOf(cells) > this.#limits.maxBytes) throw tooManyBytes(this.#limits.maxBytes);
      if (++this.#rows > this.#limits.maxRows) throw tooManyRows(this.#limits.maxRows);
      let text = this.#rows > 1 ? ",{" : "{";
      for (const { index, prefix, type } of this.#columns)
        text += prefix + encodeCell(cells[index] ?? null, type);
      this.#text += `${text}}`;
      if (this.#text.length >= PART_CHARS) this.#flush();
    }
  }

  finish(): { rows: number; bytes: number; parts: Uint8Array[] } {
    this.#text += "]";
    this.#flush();
    return { rows: this.#rows, bytes: this.#bytes, parts: this.#parts };
  }

  #flush(): void {
    const part = encoder.encode(this.#text);
    this.#text = "";
    this.#bytes += part.length;
    if (this.#bytes > this.#limits.maxBytes) throw tooManyBytes(this.#limits.maxBytes);
    this.#parts.push(part);
  }
}

export function sizeOf(cells: Cells): number {
  let size = 0;
  for (const cell of cells) size += cell?.length ?? 0;
  return size;
}

function columnsOf(described: SQL.ResultColumn[]): Column[] {
  const byName = new Map<string, { index: number; type: number }>();
  for (const [index, { name, type }] of described.entries()) byName.set(name, { index, type });
  return [...byName].map(([name, { index, type }], i) => ({
    index,
    type,
    prefix: `${i === 0 ? "" : ","}${JSON.stringify(name)}:`,
  }));
}

function encodeCell(cell: Uint8Array | null, type: number): string {
  if (cell === null) return "null";
  const text = decoder.decode(cell);
  if (NUMBERS.has(type)) return /^-?\d/.test(text) ? text : "null";
  if (type === BOOL) return text === "t" ? "true" : "false";
  if (JSONS.has(type)) return text;
  if (TIMESTAMPS.has(type)) return JSON.stringify(sixDigits(text));
  if (type === BYTEA && text.startsWith("\\x")) return `"${Uint8Array.fromHex(text.slice(2)).toBase64()}"`;
  return JSON.stringify(text);
}

function sixDigits(text: string): string {
  const [, seconds, fraction = ""] = TIMESTAMP.exec(text) ?? [];
  return seconds === undefined ? text : `${seconds}.${fraction.padEnd(6, "0")}`;
}

function tooManyRows(maxRows: number): RequestError {
  return new RequestError(400, `execute_sql: query returned more than ${maxRows} rows`, {
    hint: "Add a LIMIT or a narrower WHERE, or start the server with a higher --sql-max-rows.",
  });
}

function tooManyBytes(maxBytes: number): RequestError {
  return badRequest(`execute_sql: query returned more than ${Math.floor(maxBytes / 2 ** 20)} MB of JSON`);
}
