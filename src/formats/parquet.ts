/** Parquet, compressed with zstd. Rows are gathered until there are enough for a row group. */
import { constants, zstdCompressSync } from "node:zlib";
import { ByteWriter, type ColumnSource, ParquetWriter } from "hyparquet-writer";
import type { ColumnBatch, ColumnData } from "../storage/model/columns.ts";
import { type Encoder, type EncoderOptions, FormatError } from "./contract.ts";
import type { FormatColumn, FormatType } from "./format-columns.ts";
import { typedData } from "./typed-columns.ts";

type Schema = ConstructorParameters<typeof ParquetWriter>[0]["schema"];
type GroupColumn = Pick<ColumnSource, "data" | "encoding">;

/** As other writers have it. Memory is bounded by it. */
const ROW_GROUP_ROWS = 122_880;
/** With a checksum of each page, so that every reader tells a page that was damaged. */
const ZSTD = {
  params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 },
};
/** By what readers leave out row groups; bounds of prices tell them little, and cost a third. */
const PRUNED: ReadonlySet<FormatType> = new Set(["name", "date", "second", "instant"]);

export class ParquetEncoder implements Encoder {
  readonly #columns: readonly FormatColumn[];
  readonly #bytes = new ByteWriter();
  readonly #writer: ParquetWriter;
  #gathered: ColumnBatch[] = [];
  readonly #rowGroupRows: number;
  #rows = 0;

  constructor(columns: readonly FormatColumn[], { metadata, rowGroupRows }: EncoderOptions) {
    this.#columns = columns;
    this.#rowGroupRows = rowGroupRows ?? ROW_GROUP_ROWS;
    this.#writer = new ParquetWriter({
      writer: this.#bytes,
      schema: [{ name: "schema", num_children: columns.length }, ...columns.map(elementOf)] as Schema,
      codec: "ZSTD",
      compressors: { ZSTD: (bytes) => zstdCompressSync(bytes, ZSTD) },
      createdBy: "stock-db-server",
      kvMetadata: [...(metadata ?? [])].map(([key, value]) => ({ key, value })),
    });
  }

  encode({ rows, columns }: ColumnBatch): Uint8Array {
    if (rows > 0) {
      const typed = this.#columns.map((column): [string, ColumnData] => [
        column.name,
        typedData(column, columns.get(column.name)!),
      ]);
      this.#gathered.push({ rows, columns: new Map(typed) });
      this.#rows += rows;
      if (this.#rows >= this.#rowGroupRows) this.#writeGroup();
    }
    return this.#taken();
  }

  end(): Uint8Array {
    if (this.#rows > 0) this.#writeGroup();
    this.#writer.finish();
    return this.#taken();
  }

  #writeGroup(): void {
    const columnData = this.#columns.map(({ name, type }) => ({
      name,
      offsetIndex: false,
      statistics: PRUNED.has(type),
      ...gather(
        type,
        this.#gathered.map(({ columns }) => columns.get(name)!),
        this.#rows,
      ),
    }));
    this.#writer.write({ columnData, rowGroupSize: this.#rows });
    this.#gathered = [];
    this.#rows = 0;
  }

  #taken(): Uint8Array {
    const bytes = this.#bytes.getBytes().slice();
    this.#bytes.index = 0; // as the library's own writer of files does when it has written them
    return bytes;
  }
}

function elementOf({ name, type }: FormatColumn): Schema[number] {
  const optional = { name, repetition_type: "OPTIONAL" } as const;
  switch (type) {
    case "double":
      return { ...optional, type: "DOUBLE" };
    case "int64":
      return { ...optional, type: "INT64" };
    case "date":
      return { ...optional, type: "INT32", converted_type: "DATE", logical_type: { type: "DATE" } };
    case "second":
    case "instant":
      return {
        ...optional,
        type: "INT64",
        converted_type: "TIMESTAMP_MICROS",
        logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MICROS" },
      };
    default:
      return { ...optional, type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } };
  }
}

/** The rows of all batches, as the library takes them. */
function gather(type: FormatType, batches: ColumnData[], rows: number): GroupColumn {
  const data: (string | number | bigint | null)[] = new Array(rows);
  let at = 0;
  for (const batch of batches) {
    const { nulls } = batch;
    const { length } = batch.type === "text" ? batch.codes : batch.values;
    if (batch.type === "text") {
      const { codes, dictionary } = batch;
      const wrong = dictionary.find((text) => !text.isWellFormed());
      if (wrong !== undefined) throw new FormatError(`${JSON.stringify(wrong)} can't be written in UTF-8`);
      for (let row = 0; row < length; row++)
        data[at + row] = nulls?.[row] === 1 ? null : dictionary[codes[row]!]!;
    } else {
      const { values } = batch;
      for (let row = 0; row < length; row++) data[at + row] = nulls?.[row] === 1 ? null : values[row]!;
    }
    at += length;
  }
  return type === "name" ? { data, encoding: "RLE_DICTIONARY" } : { data };
}
