/** Rows that a request brings as an Arrow stream or file (IPC), uncompressed. */
import type { DataType, RecordBatch, Vector } from "apache-arrow";
import { parseAllIntegers } from "../protocol/exact-integers.ts";
import { messageOf } from "../protocol/message-of.ts";
import { arrowCells } from "./arrow-cells.ts";
import { ArrowError } from "./arrow-error.ts";

/**
 * Each row has a stamp, and its values take room. A header that claims more is wrong, or wants to
 * fill the memory: columns without a value have no bytes at all.
 */
const ROW_BYTES_MIN = 4;
const CELLS_PER_BYTE_MAX = 1;
/** Characters of all texts: a dictionary may have one of them in each row. */
const TEXT_CHARS_MAX = 64 * 1024 * 1024;

/** How a stream and a file end. Without it the rest may be missing. */
const ENDS = [Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]), Buffer.from("ARROW1")];

export interface ArrowRows {
  /** All of it. */
  bytes: Uint8Array<ArrayBuffer>;
  rows: number;
  /** As sent, each once, whatever the case. */
  names: string[];
  batches: RecordBatch[];
  types: typeof DataType;
  /** A stream of the batch alone. */
  streamOf(batch: RecordBatch): Uint8Array<ArrayBuffer>;
}

/** @throws ArrowError */
export async function readArrow(bytes: Uint8Array<ArrayBuffer>): Promise<ArrowRows> {
  // 120 ms and some MB: loaded when the first request brings it.
  const { DataType, RecordBatchReader, RecordBatchStreamWriter } = await import("apache-arrow");
  let names: string[];
  const batches: RecordBatch[] = [];
  let rows = 0;
  try {
    const reader = RecordBatchReader.from(bytes);
    reader.open();
    if (reader.schema == null) throw new ArrowError("the body is no Arrow stream: it has no schema");
    names = reader.schema.fields.map(({ name }) => String(name ?? ""));
    for (const batch of reader) {
      rows += batch.numRows;
      if (isTooLong(rows, names.length, bytes.length)) break;
      if (batch.numRows > 0) batches.push(batch);
    }
  } catch (error) {
    throw error instanceof ArrowError ? error : unreadable(error);
  }
  if (!ENDS.some((end) => end.equals(bytes.subarray(-end.length))))
    throw new ArrowError("the body is an Arrow stream without its end: expected all of it");
  if (isTooLong(rows, names.length, bytes.length))
    throw new ArrowError(
      `got ${rows} rows of ${names.length} columns in ${bytes.length} bytes, expected at least a byte for each value`,
    );
  const twice = names.find((name, index) => indexOfName(names, name) !== index);
  if (twice !== undefined)
    throw new ArrowError(`got two columns ${JSON.stringify(twice)}, expected one: case makes no difference`);
  const streamOf = (batch: RecordBatch): Uint8Array<ArrayBuffer> =>
    new Uint8Array(RecordBatchStreamWriter.writeAll([batch]).toUint8Array(true));
  return { bytes, rows, names, batches, types: DataType, streamOf };
}

/** Each batch as if it had come alone. */
export function arrowParts(arrow: ArrowRows): ArrowRows[] {
  return arrow.batches.map((batch) => {
    let bytes: Uint8Array<ArrayBuffer> | null = null;
    return {
      ...arrow,
      rows: batch.numRows,
      batches: [batch],
      get bytes() {
        bytes ??= arrow.streamOf(batch);
        return bytes;
      },
    };
  });
}

function isTooLong(rows: number, columns: number, bytes: number): boolean {
  return rows * ROW_BYTES_MIN > bytes || rows * columns > bytes * CELLS_PER_BYTE_MAX;
}

function indexOfName(names: readonly string[], name: string): number {
  return names.findIndex((other) => other.toLowerCase() === name.toLowerCase());
}

export function unreadable(error: unknown): ArrowError {
  const message = messageOf(error);
  const hint = /codec|compress/i.test(message) ? ": send it uncompressed, or with Content-Encoding" : "";
  return new ArrowError(`the body is no Arrow stream that can be read: ${message}${hint}`, { cause: error });
}

/** Counts the text, and gives it back. @throws ArrowError there are too many. */
export type Spend = (text: string) => string;

/** A record for each row. @throws ArrowError */
export function recordsOf(arrow: ArrowRows): Record<string, unknown>[] {
  try {
    return read(arrow);
  } catch (error) {
    // What the header says isn't what the bytes are.
    throw error instanceof ArrowError ? error : unreadable(error);
  }
}

function read({ names, batches, types }: ArrowRows): Record<string, unknown>[] {
  const records: Record<string, unknown>[] = [];
  const spend = boundedTexts();
  for (const batch of batches) {
    const cells = names.map((_, index) => valuesOf(batch.getChildAt(index)!, types, spend));
    for (let row = 0; row < batch.numRows; row++) {
      const entries = names.map((name, index): [string, unknown] => [name, cells[index]!(row)]);
      records.push(Object.fromEntries(entries));
    }
  }
  return records;
}

export function boundedTexts(): Spend {
  let chars = 0;
  return (text) => {
    chars += text.length;
    if (chars <= TEXT_CHARS_MAX) return text;
    throw new ArrowError(`got more than ${TEXT_CHARS_MAX} characters of text in the rows`);
  };
}

/** As JSON would bring them: integers as numbers, also those beyond a double, lists as lists. */
export function valuesOf(vector: Vector, types: typeof DataType, spend: Spend): (row: number) => unknown {
  const isBytes = [types.isBinary, types.isBinaryView, types.isLargeBinary, types.isFixedSizeBinary].some(
    (is) => is(vector.type),
  );
  if (isBytes) throw new ArrowError("got a column of binary values, expected texts, numbers or stamps");
  if (types.isBool(vector.type)) return (row) => vector.get(row) as boolean | null;
  const cell = arrowCells(vector, types);
  const fromText = isNested(vector.type, types)
    ? parseAllIntegers
    : types.isInt(vector.type)
      ? integerOf
      : (text: string) => text;
  return (row) => {
    const value = cell(row);
    return typeof value === "string" ? fromText(spend(value)) : value;
  };
}

function integerOf(text: string): number | bigint {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
}

function isNested(type: DataType, types: typeof DataType): boolean {
  return [types.isList, types.isFixedSizeList, types.isStruct, types.isMap].some((is) => is(type));
}
