/** The first bytes of a DuckDB file: a header, and two that checkpoints write in turn. */
import type { FileFormat } from "../opened-file.ts";

const MAGIC = "DUCK";
const MAGIC_OFFSET = 8;
const HEADERS_AT = [4_096, 8_192];
const HEADERS_END = 12_288;
/** After the checksum: how many checkpoints there were. */
const ITERATION_OFFSET = 8;

export const DUCKDB_FORMAT: FileFormat = {
  headBytes: HEADERS_END,
  readHead(bytes) {
    if (bytes.toString("latin1", MAGIC_OFFSET, MAGIC_OFFSET + MAGIC.length) !== MAGIC) return null;
    const iterations = HEADERS_AT.map((at) => Number(bytes.readBigUInt64LE(at + ITERATION_OFFSET)));
    // The number of blocks is written before a checkpoint cuts those off that are free.
    return { generation: Math.max(...iterations), bytesMin: HEADERS_END };
  },
  // The WAL goes with each checkpoint, see `DuckDbFile.checkPresent`.
  companions: [],
};
