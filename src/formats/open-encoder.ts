/** The formats in which rows leave; each is loaded where it is used. */
import type { Encoder, EncoderOptions } from "./contract.ts";
import type { FormatColumn } from "./format-columns.ts";

/** `arrows` is Arrow's stream, for a reader that can't look back; `arrow` is its file. */
export const FORMATS = ["csv", "ndjson", "arrow", "arrows", "parquet"] as const;
export type Format = (typeof FORMATS)[number];

/**
 * @param columns in their order in the file; each batch must have them.
 * @param names texts of columns of the type `name` that are known before the first row: readers of
 *   Arrow want them in front.
 */
export async function openEncoder(
  format: Format,
  columns: readonly FormatColumn[],
  names: ReadonlyMap<string, readonly string[]> = new Map(),
  options: EncoderOptions = {},
): Promise<Encoder> {
  switch (format) {
    case "csv":
      return new (await import("./csv.ts")).CsvEncoder(columns);
    case "ndjson":
      return new (await import("./ndjson.ts")).NdjsonEncoder(columns);
    case "arrow":
    case "arrows":
      return new (await import("./arrow.ts")).ArrowEncoder(columns, {
        isFile: format === "arrow",
        names,
        ...options,
      });
    case "parquet":
      return new (await import("./parquet.ts")).ParquetEncoder(columns, options);
  }
}
