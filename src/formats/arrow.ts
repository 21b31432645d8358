/**
 * Arrow IPC, as a file or as a stream. Names are dictionaries. One that comes later than in front
 * is told by a delta, which not every reader knows.
 */
import {
  type Data,
  DataType,
  DateDay,
  Dictionary,
  Field,
  Float64,
  Int32,
  Int64,
  makeData,
  RecordBatch,
  RecordBatchFileWriter,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  TimestampMicrosecond,
  Utf8,
  Vector,
} from "apache-arrow";
import type { ColumnBatch, ColumnData, TextColumn } from "../storage/model/columns.ts";
import { type Encoder, FormatError } from "./contract.ts";
import type { FormatColumn, FormatType } from "./format-columns.ts";
import { typedData } from "./typed-columns.ts";

interface ArrowOptions {
  isFile: boolean;
  names: ReadonlyMap<string, readonly string[]>;
  /** Of the schema. */
  metadata?: ReadonlyMap<string, string>;
}

const UTC = "UTC";

export class ArrowEncoder implements Encoder {
  readonly #columns: readonly FormatColumn[];
  readonly #names: Map<string, NameDictionary>;
  readonly #schema: Schema;
  readonly #writer: RecordBatchFileWriter | RecordBatchStreamWriter;
  readonly #pieces: Uint8Array[] = [];
  #isBegun = false;

  constructor(columns: readonly FormatColumn[], { isFile, names, metadata }: ArrowOptions) {
    const named = columns.filter(({ type }) => type === "name");
    this.#columns = columns;
    this.#names = new Map(named.map(({ name }) => [name, new NameDictionary(names.get(name) ?? [])]));
    this.#schema = new Schema(
      columns.map(
        ({ name, type, zone }) => new Field(name, this.#names.get(name)?.type ?? typeOf(type, zone), true),
      ),
      new Map(metadata),
    );
    this.#writer = new (isFile ? CollectingFile : CollectingStream)(this.#pieces);
  }

  encode(batch: ColumnBatch): Uint8Array {
    if (batch.rows > 0) this.#write(batch);
    return this.#taken();
  }

  end(): Uint8Array {
    // A schema with no rows needs a batch to be written with.
    if (!this.#isBegun) this.#write({ rows: 0, columns: emptyColumns(this.#columns) });
    this.#writer.finish();
    return this.#taken();
  }

  #write({ rows, columns }: ColumnBatch): void {
    this.#isBegun = true;
    const children = this.#columns.map((column) => {
      const data = typedData(column, columns.get(column.name)!);
      const names = this.#names.get(column.name);
      return names === undefined ? dataOf(column, data, rows) : names.dataOf(data as TextColumn, rows);
    });
    const type = new Struct(this.#schema.fields);
    this.#writer.write(
      new RecordBatch(this.#schema, makeData({ type, length: rows, nullCount: 0, children })),
    );
  }

  #taken(): Uint8Array {
    const bytes = Buffer.concat(this.#pieces);
    this.#pieces.length = 0;
    return bytes;
  }
}

/** The writers of the library, whose bytes are taken as they come. */
class CollectingFile extends RecordBatchFileWriter {
  readonly #pieces: Uint8Array[];

  constructor(pieces: Uint8Array[]) {
    super();
    this.#pieces = pieces;
  }

  protected override _write(chunk: ArrayBufferView): this {
    if (this._started) this._position += collect(this.#pieces, chunk);
    return this;
  }
}

class CollectingStream extends RecordBatchStreamWriter {
  readonly #pieces: Uint8Array[];

  constructor(pieces: Uint8Array[]) {
    super();
    this.#pieces = pieces;
  }

  protected override _write(chunk: ArrayBufferView): this {
    if (this._started) this._position += collect(this.#pieces, chunk);
    return this;
  }
}

function collect(pieces: Uint8Array[], { buffer, byteOffset, byteLength }: ArrayBufferView): number {
  if (byteLength > 0) pieces.push(new Uint8Array(buffer, byteOffset, byteLength));
  return byteLength;
}

/** The texts of a column over all batches, in the chunks in which they were told. */
class NameDictionary {
  readonly type = new Dictionary(new Utf8(), new Int32(), null, false);
  readonly #codes = new Map<string, number>();
  readonly #chunks: Data<Utf8>[] = [];
  #vector = new Vector<Utf8>([utf8Data([])]);

  constructor(names: readonly string[]) {
    for (const name of names) this.#codes.set(name, this.#codes.size);
    if (names.length > 0) this.#add([...this.#codes.keys()]);
  }

  dataOf({ codes, dictionary, nulls }: TextColumn, rows: number): Data {
    const added: string[] = [];
    const places = dictionary.map((name) => {
      let place = this.#codes.get(name);
      if (place === undefined) {
        place = this.#codes.size;
        this.#codes.set(name, place);
        added.push(name);
      }
      return place;
    });
    if (added.length > 0) this.#add(added);
    const data = new Int32Array(rows);
    // A loop takes a tenth of the time that `from` takes.
    for (let row = 0; row < rows; row++) data[row] = places[codes[row]!] ?? 0;
    return makeData({ type: this.type, length: rows, ...validity(nulls), data, dictionary: this.#vector });
  }

  #add(names: string[]): void {
    this.#chunks.push(utf8Data(names));
    this.#vector = new Vector([...this.#chunks]);
  }
}

function typeOf(type: FormatType, zone = UTC): DataType {
  switch (type) {
    case "double":
      return new Float64();
    case "int64":
      return new Int64();
    case "date":
      return new DateDay();
    case "second":
    case "instant":
      return new TimestampMicrosecond(zone);
    default:
      return new Utf8();
  }
}

function dataOf({ name, type, zone }: FormatColumn, data: ColumnData, length: number): Data {
  if (data.type === "text") {
    return textData(data, length);
  }
  const arrow = typeOf(type, zone);
  if (DataType.isUtf8(arrow)) throw new FormatError(`${name} has values of ${data.type} for ${type}`);
  return makeData({ type: arrow, length, ...validity(data.nulls), data: data.values } as never);
}

/** @throws FormatError */
function utf8Data(texts: readonly string[]): Data<Utf8> {
  const { valueOffsets, data } = encodeTexts(texts);
  return makeData({ type: new Utf8(), length: texts.length, nullCount: 0, valueOffsets, data });
}

/** @throws FormatError */
function encodeTexts(texts: readonly string[]): { valueOffsets: Int32Array; data: Buffer } {
  const wrong = texts.find((text) => !text.isWellFormed());
  if (wrong !== undefined) throw new FormatError(`${JSON.stringify(wrong)} can't be written in UTF-8`);
  const data = Buffer.from(texts.join(""));
  const valueOffsets = new Int32Array(texts.length + 1);
  for (let at = 0; at < texts.length; at++)
    valueOffsets[at + 1] = valueOffsets[at]! + Buffer.byteLength(texts[at]!);
  return { valueOffsets, data };
}

/** Each text of the dictionary is encoded once. @throws FormatError */
function textData({ codes, dictionary, nulls }: TextColumn, rows: number): Data<Utf8> {
  const ofDictionary = encodeTexts(dictionary);
  const starts = ofDictionary.valueOffsets;
  const valueOffsets = new Int32Array(rows + 1);
  // Most feeds have some column without a value.
  if (ofDictionary.data.length === 0)
    return makeData({
      type: new Utf8(),
      length: rows,
      ...validity(nulls),
      valueOffsets,
      data: ofDictionary.data,
    });
  // Ids are all different: the bytes of the dictionary are those of the rows then.
  let isDictionary = rows === dictionary.length;
  for (let row = 0; row < rows; row++) {
    const isNull = nulls?.[row] === 1;
    const code = codes[row]!;
    isDictionary &&= !isNull && code === row;
    valueOffsets[row + 1] = valueOffsets[row]! + (isNull ? 0 : starts[code + 1]! - starts[code]!);
  }
  const data = isDictionary ? ofDictionary.data : Buffer.allocUnsafe(valueOffsets[rows]!);
  if (!isDictionary) {
    for (let row = 0; row < rows; row++) {
      let to = valueOffsets[row]!;
      const end = valueOffsets[row + 1]!;
      if (to === end) continue;
      for (let from = starts[codes[row]!]!; to < end; ) data[to++] = ofDictionary.data[from++]!;
    }
  }
  return makeData({ type: new Utf8(), length: rows, ...validity(nulls), valueOffsets, data });
}

/** A bit is set where there is a value. */
function validity(nulls: Uint8Array | null): { nullCount: number; nullBitmap?: Uint8Array } {
  if (nulls === null) return { nullCount: 0 };
  const nullBitmap = new Uint8Array(Math.ceil(nulls.length / 8));
  let nullCount = 0;
  for (let row = 0; row < nulls.length; row++) {
    if (nulls[row] === 1) nullCount++;
    else nullBitmap[row >> 3]! |= 1 << (row & 7);
  }
  return nullCount === 0 ? { nullCount } : { nullCount, nullBitmap };
}

function emptyColumns(columns: readonly FormatColumn[]): Map<string, ColumnData> {
  const nulls = null;
  return new Map(
    columns.map(({ name, type }): [string, ColumnData] => {
      if (type === "double") return [name, { type, values: new Float64Array(0), nulls }];
      if (type === "date") return [name, { type, values: new Int32Array(0), nulls }];
      if (type === "int64") return [name, { type, values: new BigInt64Array(0), nulls }];
      if (type === "second" || type === "instant")
        return [name, { type: "instant", values: new BigInt64Array(0), nulls }];
      return [name, { type: "text", codes: new Int32Array(0), dictionary: [], nulls }];
    }),
  );
}
