/** What a format is: an encoder makes bytes of batches of columns, a decoder is the reader's. */
import type { ColumnBatch } from "../storage/model/columns.ts";

export interface Encoder {
  /** The bytes so far. There may be none: some formats gather rows first. */
  encode(batch: ColumnBatch): Uint8Array;
  /** What is behind the last row. A file without it isn't whole. */
  end(): Uint8Array;
}

export interface EncoderOptions {
  /** Of the schema of Arrow and of the file of Parquet. */
  metadata?: ReadonlyMap<string, string>;
  /** Of Parquet: smaller ones take less of a turn. */
  rowGroupRows?: number;
}

/** A value for which the format, or the type of its column, has no place. */
export class FormatError extends Error {
  override name = "FormatError";
}
