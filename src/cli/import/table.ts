/** Opens a source as rows, whatever its format: told by its first bytes, as names may lie. */
import { arrowRows } from "./arrow-rows.ts";
import { csvRows, encodingOf, type SourceRow, type TextEncoding } from "./csv-rows.ts";
import { SEPARATOR_NAMES, separatorOf } from "./dialect.ts";
import { ndjsonRows } from "./ndjson-rows.ts";
import { parquetRows } from "./parquet-rows.ts";
import type { PlainForm, PlainTicks } from "./plain-ticks.ts";
import { removeSpooled, type Source, spool } from "./source.ts";

type RowUnit = "line" | "row" | "object";

export interface SourceTable {
  source: Source;
  /** Such as "CSV with semicolons". */
  format: string;
  /** Null: it is no text. */
  text: { separator: string; encoding: TextEncoding; linesAbove: number } | null;
  /** What `line` of a row counts. */
  counts: RowUnit;
  /** null: the first row may have them. */
  columns: string[] | null;
  batches: AsyncGenerator<SourceRow[]>;
  /** The rows as columns, instead of `batches`; null: some of them aren't plain. */
  plainTicks?: (form: PlainForm) => Promise<AsyncGenerator<PlainTicks> | null>;
}

/** @returns for messages: where a row stands. */
export function placeOf({ source, counts }: Pick<SourceTable, "source" | "counts">, line: number): string {
  return counts === "line" ? `${source.name}:${line}` : `${source.name}, ${counts} ${line}`;
}

export interface TableOptions {
  skipLines: number;
  /** null: to be seen. */
  separator: string | null;
  /** Absent: to be seen. */
  encoding?: TextEncoding | null;
}

/** The first line of a file for Excel. */
const TELLS_SEPARATOR = /^\ufeff?sep=(.)\r?\n/i;
/** Objects whose members are the columns. A pipe may be slow. */
const SAMPLE_ROWS = { file: 1_000, pipe: 100 };
/** Enough text to see what separates its fields. */
const HEAD_BYTES = 65_536;

/** @throws SourceError */
export async function openTable(source: Source, options: TableOptions): Promise<SourceTable> {
  const chunks = source.bytes();
  const head = await peek(chunks);
  const all = join(head, chunks);
  const magic = Buffer.from(head[0]?.subarray(0, 6) ?? []).toString("latin1");
  if (magic.startsWith("PAR1")) {
    const path = await spoolIfNeeded(source, all);
    const { columns, batches, plainTicks } = await parquetRows(source.name, path);
    const rows = {
      columns,
      batches: withoutSpooled(batches, path),
      async plainTicks(form: PlainForm) {
        const ticks = await plainTicks(form);
        return ticks === null ? null : withoutSpooled(ticks, path);
      },
    };
    return { source, format: "Parquet", text: null, counts: "row", ...rows };
  }
  if (magic === "ARROW1" || magic.startsWith("\xff\xff\xff\xff")) {
    const counts = "row";
    return { source, format: "Arrow", text: null, counts, ...(await arrowRows(source.name, all)) };
  }
  const bytes = Buffer.concat(head);
  const encoding = options.encoding ?? encodingOf(bytes);
  const text = new TextDecoder(encoding).decode(bytes);
  const start = text.trimStart()[0];
  if (options.skipLines === 0 && (start === "{" || start === "[")) {
    const isList = start === "[";
    const rows = await ndjsonRows(source.name, all, {
      isList,
      encoding,
      sampleRows: source.repeatable ? SAMPLE_ROWS.file : SAMPLE_ROWS.pipe,
    });
    const [format, counts] = isList ? (["JSON", "object"] as const) : (["NDJSON", "line"] as const);
    return { source, format, text: null, counts, ...rows };
  }
  const told = options.skipLines === 0 ? TELLS_SEPARATOR.exec(text) : null;
  const linesAbove = told === null ? options.skipLines : 1;
  const separator = options.separator ?? told?.[1] ?? separatorOf(skipLines(text, linesAbove));
  const batches = afterLine(csvRows(source.name, all, separator, encoding), linesAbove);
  const name = SEPARATOR_NAMES[separator] ?? JSON.stringify(separator);
  const described = encoding === "utf-8" ? "text" : `text in ${encoding}`;
  const format = `${described}, fields separated by ${name}`;
  const read = { separator, encoding, linesAbove };
  return { source, format, text: read, counts: "line", columns: null, batches };
}

async function* withoutSpooled<B>(batches: AsyncGenerator<B>, path: string): AsyncGenerator<B> {
  try {
    yield* batches;
  } finally {
    removeSpooled(path);
  }
}

/** Drops the first lines of a file. */
async function* afterLine(batches: AsyncGenerator<SourceRow[]>, lines: number): AsyncGenerator<SourceRow[]> {
  try {
    for await (const rows of batches) {
      const left = lines === 0 || rows[0]!.line > lines ? rows : rows.filter(({ line }) => line > lines);
      if (left.length > 0) yield left;
    }
  } finally {
    await batches.return(undefined);
  }
}

function skipLines(text: string, lines: number): string {
  let at = 0;
  for (let line = 0; line < lines && at >= 0; line++) at = text.indexOf("\n", at) + 1 || -1;
  return at < 0 ? "" : text.slice(at);
}

/** Parquet is read from a file on disk that is packed by nothing. */
async function spoolIfNeeded(source: Source, chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const isPlainFile = source.repeatable && source.plainPath !== null;
  if (!isPlainFile || (await isPacked(source.plainPath!))) return await spool(chunks);
  return source.plainPath!;
}

async function isPacked(path: string): Promise<boolean> {
  return (await Bun.file(path).slice(0, 4).text()) !== "PAR1";
}

async function peek(chunks: AsyncGenerator<Uint8Array>): Promise<Uint8Array[]> {
  const head: Uint8Array[] = [];
  let bytes = 0;
  // Of a pipe no more is waited for than the first lines.
  while (bytes < HEAD_BYTES && newlines(head) < 2) {
    const next = await chunks.next();
    if (next.done) break;
    head.push(next.value);
    bytes += next.value.length;
  }
  return head;
}

function newlines(head: Uint8Array[]): number {
  return head.reduce(
    (count, chunk) => count + chunk.reduce((sum, byte) => (byte === 10 ? sum + 1 : sum), 0),
    0,
  );
}

async function* join(head: Uint8Array[], rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* head;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}
