/** DuckDB's own way into a file: COPY, from its table and in the order of a walk. */
import { DuckDBInstance } from "@duckdb/node-api";

const THREADS = 2;

export async function openDuckDbCopy(file: string) {
  const instance = await DuckDBInstance.create(file, { access_mode: "READ_ONLY", threads: String(THREADS) });
  const connection = await instance.connect();
  return {
    /** @param to its ending says the format. @returns the rows. */
    async run(to: string): Promise<number> {
      const format = to.endsWith(".parquet") ? "FORMAT parquet, COMPRESSION zstd" : "FORMAT csv, HEADER";
      const copied = await connection.runAndReadAll(
        `COPY (SELECT ticker, timestamp, type, price, size, ask_price, ask_size, id, extra, seq
               FROM realtime_data
               ORDER BY ticker, type, timestamp, seq) TO '${to}' (${format})`,
      );
      return Number(copied.getRows()[0]![0]);
    },
    close(): void {
      connection.closeSync();
      instance.closeSync();
    },
  };
}
