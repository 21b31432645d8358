/**
 * A Parquet body as columns, read by hyparquet: 0.5 MB, while DuckDB's library is 70 MB and no
 * worker loads it. What the pages claim to hold is looked at first: a few bytes can claim billions
 * of values.
 */
import { zstdDecompressSync } from "node:zlib";
import type { DecodedArray, FileMetaData, SchemaElement } from "hyparquet";
import { messageOf } from "../protocol/message-of.ts";
import { Dictionary } from "../storage/column-values.ts";
import { dayText } from "../storage/model/stamp-text.ts";
import { turn } from "../time/pauses.ts";
import { boundedTexts, type Spend } from "./arrow-rows.ts";
import { microsOfStamps } from "./read-stamps.ts";
import { ROWS_OF_TURN, type SentCells, type SentTable, SentTableError } from "./sent-table.ts";

/** Of a file, and of the values of a column whose rows have lists. */
const ROWS_MAX = 1_000_000;
const COLUMNS_MAX = 1_000;
/** A double writes a decimal exactly up to here. */
const DECIMAL_MAX = 1e15;
const DECIMAL_SCALE_MAX = 15;

export interface ParquetLimits {
  /** Of all pages once they are unpacked. */
  unpackedBytesMax: number;
}

/** @throws SentTableError */
export async function readParquet(
  bytes: Uint8Array<ArrayBuffer>,
  { unpackedBytesMax }: ParquetLimits,
): Promise<SentTable> {
  try {
    return await read(bytes, unpackedBytesMax);
  } catch (error) {
    if (error instanceof SentTableError) throw error;
    throw new SentTableError(`the body is no Parquet file that can be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

type Hyparquet = typeof import("hyparquet");

async function read(bytes: Uint8Array<ArrayBuffer>, unpackedBytesMax: number): Promise<SentTable> {
  // Loaded when the first request brings it.
  const { parquetMetadata, parquetRead, snappyUncompress } = await import("hyparquet");
  const { buffer, byteOffset, byteLength } = bytes;
  const whole = buffer.slice(byteOffset, byteOffset + byteLength);
  const metadata = parquetMetadata(whole, { geoparquet: false });
  const rows = Number(metadata.num_rows);
  await checkPages(bytes, metadata, unpackedBytesMax);
  const [, ...elements] = metadata.schema;
  const columns = topLevel(elements);
  const file = { byteLength, slice: (start: number, end?: number) => whole.slice(start, end) };
  const compressors = compressorsOf(snappyUncompress);
  const spend = boundedTexts();
  const cells: SentCells[] = [];
  for (const column of columns) {
    const sink = new ColumnSink(column, rows, spend);
    const chunks: { columnData: DecodedArray; rowStart: number }[] = [];
    let start = 0;
    for (const group of metadata.row_groups) {
      const end = start + Number(group.num_rows);
      await parquetRead({
        ...{ file, metadata, compressors, geoparquet: false, parsers: PARSERS },
        ...{ columns: [column.name], rowStart: start, rowEnd: end },
        onChunk: ({ columnData, rowStart }) => void chunks.push({ columnData, rowStart }),
      });
      start = end;
      await turn();
      for (const { columnData, rowStart } of chunks.splice(0)) await sink.add(columnData, rowStart);
    }
    cells.push(sink.cells());
  }
  return {
    rows,
    columns: columns.map(({ name }, index) => ({ name, cells: cells[index]! })),
    tickerOf: null,
    placeOf: () => "",
  };
}

/** Those that are no children of another. */
function topLevel(elements: readonly SchemaElement[]): SchemaElement[] {
  const top: SchemaElement[] = [];
  for (let at = 0; at < elements.length; at = behind(elements, at)) top.push(elements[at]!);
  const twice = top.find(({ name }, index) => top.findIndex((other) => other.name === name) !== index);
  if (twice !== undefined)
    throw new SentTableError(`got two columns ${JSON.stringify(twice.name)}, expected one`);
  return top;
}

function behind(elements: readonly SchemaElement[], at: number): number {
  let next = at + 1;
  for (let child = 0; child < (elements[at]!.num_children ?? 0); child++) next = behind(elements, next);
  return next;
}

/** @throws SentTableError the pages claim more than a request may hold. */
async function checkPages(
  bytes: Uint8Array,
  metadata: FileMetaData,
  unpackedBytesMax: number,
): Promise<void> {
  const { parquetHeader } = await import("hyparquet/src/column.js");
  const rows = Number(metadata.num_rows);
  if (rows > ROWS_MAX) throw new SentTableError(`got ${rows} rows, expected at most ${ROWS_MAX}`);
  if (metadata.schema.length > COLUMNS_MAX)
    throw new SentTableError(`got ${metadata.schema.length} columns, expected at most ${COLUMNS_MAX}`);
  const ofGroups = metadata.row_groups.reduce((sum, { num_rows }) => sum + Number(num_rows), 0);
  if (ofGroups !== rows) throw new SentTableError(`got ${ofGroups} rows, expected ${rows} as its end tells`);
  let unpacked = 0;
  for (const { meta_data: chunk } of metadata.row_groups.flatMap(({ columns }) => columns)) {
    if (chunk === undefined) throw new SentTableError("a column has no description");
    const start = Number(chunk.dictionary_page_offset || chunk.data_page_offset);
    const end = Math.min(start + Number(chunk.total_compressed_size), bytes.length);
    const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, end), offset: start };
    let values = 0;
    while (reader.offset < end) {
      const { data_page_header, data_page_header_v2, dictionary_page_header, ...page } =
        parquetHeader(reader);
      reader.offset += page.compressed_page_size;
      const claimed = data_page_header ?? data_page_header_v2;
      values += claimed?.num_values ?? 0;
      unpacked += page.uncompressed_page_size;
      if (values > ROWS_MAX || (dictionary_page_header?.num_values ?? 0) > ROWS_MAX)
        throw new SentTableError(`a column has more than ${ROWS_MAX} values, expected at most so many`);
      if (!(page.compressed_page_size >= 0 && page.uncompressed_page_size >= 0))
        throw new SentTableError("a page has no size");
      if (unpacked > unpackedBytesMax)
        throw new SentTableError(
          `its columns take more than ${unpackedBytesMax} bytes once they are unpacked, expected at most so many (--max-body-mb)`,
        );
    }
  }
}

function compressorsOf(snappy: Hyparquet["snappyUncompress"]) {
  const sized = (bytes: Uint8Array, length: number): Uint8Array => {
    if (bytes.length !== length) throw new SentTableError("a page has another size than it tells");
    return bytes;
  };
  return {
    SNAPPY(input: Uint8Array, length: number) {
      const output = new Uint8Array(length);
      snappy(input, output);
      return output;
    },
    GZIP: (input: Uint8Array, length: number) => sized(Bun.gunzipSync(input as never), length),
    ZSTD: (input: Uint8Array, length: number) =>
      sized(zstdDecompressSync(input, { maxOutputLength: Math.max(1, length) }), length),
  };
}

const UTF8 = new TextDecoder("utf-8", { fatal: true });
const textOf = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : UTF8.decode(bytes));

/** Stamps stay integers; a date is the text of its day. */
const PARSERS = {
  timestampFromMilliseconds: (millis: bigint) => millis,
  timestampFromMicroseconds: (micros: bigint) => micros,
  timestampFromNanoseconds: (nanos: bigint) => nanos,
  dateFromDays: (days: number | undefined) => (days === undefined ? undefined : dayText(days)),
  stringFromBytes: textOf,
  jsonFromBytes: textOf,
};

type ParquetReading = "double" | "int64" | "instant" | "text" | "decimal" | "values";

/** The values of one column, as the row groups come. */
class ColumnSink {
  readonly #reading: ParquetReading;
  readonly #element: SchemaElement;
  readonly #spend: Spend;
  readonly #rows: number;
  readonly #nulls: Uint8Array;
  #hasNulls = false;
  readonly #doubles: Float64Array;
  readonly #integers: BigInt64Array;
  readonly #texts: Dictionary;
  readonly #values: unknown[] = [];
  #filled = 0;

  constructor(element: SchemaElement, rows: number, spend: Spend) {
    this.#element = element;
    this.#reading = readingOf(element);
    this.#spend = spend;
    this.#rows = rows;
    const isOf = (reading: ParquetReading) => (this.#reading === reading ? rows : 0);
    this.#nulls = new Uint8Array(rows);
    this.#doubles = new Float64Array(isOf("double"));
    this.#integers = new BigInt64Array(isOf("int64") + isOf("instant"));
    this.#texts = new Dictionary(isOf("text"));
  }

  async add(data: DecodedArray, start: number): Promise<void> {
    this.#filled += data.length;
    for (let index = 0; index < data.length; index++) {
      if (index % ROWS_OF_TURN === ROWS_OF_TURN - 1) await turn();
      const value: unknown = data[index];
      const row = start + index;
      if (value === undefined || value === null) {
        this.#nulls[row] = 1;
        this.#hasNulls = true;
      } else this.#set(row, value);
    }
  }

  cells(): SentCells {
    if (this.#filled !== this.#rows)
      throw new SentTableError(
        `${JSON.stringify(this.#element.name)} has ${this.#filled} values, expected ${this.#rows}`,
      );
    const nulls = this.#hasNulls ? this.#nulls : null;
    switch (this.#reading) {
      case "double":
        return { form: "data", data: { type: "double", values: this.#doubles, nulls } };
      case "int64":
        return { form: "data", data: { type: "int64", values: this.#integers, nulls } };
      case "instant": {
        const { unit, isWallClock } = stampOf(this.#element)!;
        const values = microsOfStamps(this.#integers, unit);
        const data = { type: "instant", values, nulls } as const;
        return { form: "data", data, stamps: { areWallClocks: isWallClock, zone: null } };
      }
      case "text":
        return { form: "data", data: { ...this.#texts.data, nulls } };
      default:
        return { form: "values", at: (row) => this.#values[row] ?? null };
    }
  }

  #set(row: number, value: unknown): void {
    switch (this.#reading) {
      case "double":
        this.#doubles[row] = Number(value);
        break;
      case "int64":
      case "instant":
        this.#integers[row] = value as bigint;
        break;
      case "text":
        this.#texts.set(row, this.#spend(String(value)));
        break;
      case "decimal":
        this.#values[row] = decimalOf(Number(value), this.#element);
        break;
      default:
        this.#values[row] = this.#bounded(value);
    }
  }

  #bounded(value: unknown): unknown {
    if (typeof value === "string") this.#spend(value);
    else if (typeof value === "object" && value !== null)
      for (const each of Object.values(value)) this.#bounded(each);
    return value;
  }
}

function readingOf({
  type,
  converted_type,
  logical_type,
  num_children,
  ...element
}: SchemaElement): ParquetReading {
  if (num_children !== undefined || element.repetition_type === "REPEATED") return "values";
  if (converted_type === "DECIMAL") return "decimal";
  if (stampOf({ type, converted_type, logical_type, ...element } as SchemaElement) !== null) return "instant";
  if (type === "DOUBLE" || type === "FLOAT") return "double";
  const isSigned = converted_type === undefined || converted_type === "INT_64";
  if (type === "INT64" && isSigned && !(logical_type?.type === "INTEGER" && !logical_type.isSigned))
    return logical_type === undefined || logical_type.type === "INTEGER" ? "int64" : "values";
  return type === "BYTE_ARRAY" ? "text" : "values";
}

const UNITS = { MILLIS: "ms", MICROS: "us", NANOS: "ns" } as const;

function stampOf({ type, converted_type, logical_type }: SchemaElement): {
  unit: "ms" | "us" | "ns";
  isWallClock: boolean;
} | null {
  if (type === "INT96") return { unit: "ns", isWallClock: false };
  if (logical_type?.type === "TIMESTAMP")
    return { unit: UNITS[logical_type.unit], isWallClock: !logical_type.isAdjustedToUTC };
  if (converted_type === "TIMESTAMP_MILLIS") return { unit: "ms", isWallClock: false };
  if (converted_type === "TIMESTAMP_MICROS") return { unit: "us", isWallClock: false };
  return null;
}

/** The library multiplies by a power of ten, which isn't exact. */
function decimalOf(value: number, { scale = 0 }: SchemaElement): number {
  if (Math.abs(value) < DECIMAL_MAX && scale <= DECIMAL_SCALE_MAX) return Number(value.toFixed(scale));
  throw new SentTableError(`got a decimal that a double doesn't hold, expected at most 15 digits`);
}
