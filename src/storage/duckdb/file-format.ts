/**
 * The first bytes of a DuckDB file: a header, then two that checkpoints write in turn, each with a
 * checksum and the number of the checkpoint (duckdb.org/docs/internals/storage).
 */
import type { FileFormat } from "../opened-file.ts";

export const MAGIC = "DUCK";
export const MAGIC_OFFSET = 8;
const HEADERS_AT = [4_096, 8_192];
const HEADERS_END = 12_288;
const ITERATION_OFFSET = 8;

export const DUCKDB_FORMAT: FileFormat = {
  headBytes: HEADERS_END,
  readHead(bytes) {
    if (bytes.toString("latin1", MAGIC_OFFSET, MAGIC_OFFSET + MAGIC.length) !== MAGIC) return null;
    const iterations = HEADERS_AT.map((at) => Number(bytes.readBigUInt64LE(at + ITERATION_OFFSET)));
    // The header's number of blocks gives no bound: a checkpoint cuts off free ones afterwards.
    return { generation: Math.max(...iterations), bytesMin: HEADERS_END };
  },
  headTellsSize: false,
  // Each checkpoint removes the WAL: `DuckDbFile` watches it.
  companions: [],
};
