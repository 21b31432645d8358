/** Media types of the formats of answers. */
import type { TableFormat } from "../../market-data/encode-table.ts";
import { ARROW_STREAM, JSON_TYPE, PARQUET } from "../../protocol/media-types.ts";

interface FormatMedia {
  format: TableFormat;
  /** Content-Type of an answer. */
  type: string;
  /** In Accept. `columns` is JSON too, and has to be asked for by name. */
  accepted: readonly string[];
}

export const FORMAT_TYPES: readonly FormatMedia[] = [
  { format: "json", type: `${JSON_TYPE}; charset=utf-8`, accepted: [JSON_TYPE] },
  { format: "columns", type: `${JSON_TYPE}; charset=utf-8`, accepted: [] },
  { format: "ndjson", type: "application/x-ndjson", accepted: ["application/x-ndjson", "application/jsonl"] },
  { format: "csv", type: "text/csv; charset=utf-8", accepted: ["text/csv"] },
  { format: "arrow", type: ARROW_STREAM, accepted: [ARROW_STREAM] },
  { format: "parquet", type: PARQUET, accepted: [PARQUET, "application/x-parquet"] },
];

export function typeOfFormat(format: TableFormat): string {
  return FORMAT_TYPES.find((each) => each.format === format)!.type;
}
