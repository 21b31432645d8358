/** Rows of a file of the archive as columns, read by DuckDB in bounded memory. */
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import { unavailable } from "../../protocol/errors.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { BatchBuilder } from "../duckdb/column-batch.ts";
import type { ColumnBatch, ColumnQuery } from "../model/columns.ts";
import { type KindName, kindOf, type RowKind } from "../model/kinds.ts";

/** Eight of DuckDB's vectors. */
const BATCH_ROWS = 16_384;
const VECTOR_ROWS = 2_048;
/** The rows of one file are sorted in it, where they are wanted from the newest back. */
const MEMORY = "256MB";

export interface FileRows extends Pick<ColumnQuery, "columns" | "order" | "signal"> {
  path: string;
  kind: KindName;
  ticker: string;
  part: string | null;
  /** Inclusive, in the stored form of the kind's stamp; null: unbounded. */
  from: string | null;
  to: string | null;
}

export class ParquetReader {
  #instance: Promise<DuckDBInstance> | null = null;

  /** In order of stamp and `seq`. @throws RequestError 503: the file can't be read. */
  async *rows(of: FileRows): AsyncGenerator<ColumnBatch> {
    const { path, kind, columns, ticker, part, signal } = of;
    const series = { ticker, part: part ?? "" };
    let connection: DuckDBConnection | null = null;
    try {
      connection = await (await this.#opened()).connect();
      await connection.run("SET TimeZone = 'UTC'");
      const { counting, sql, params } = statementOf(of);
      const [[count]] = (await connection.runAndReadAll(counting, params)).getRows() as [[bigint]];
      const result = await connection.stream(sql, params);
      let builder = new BatchBuilder({ kind, columns }, BATCH_ROWS);
      let given = 0n;
      for (;;) {
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk.rowCount === 0) break;
        signal?.throwIfAborted();
        builder.add(chunk, [{ ...series, rows: chunk.rowCount }]);
        given += BigInt(chunk.rowCount);
        if (builder.rows + VECTOR_ROWS <= BATCH_ROWS) continue;
        yield builder.finish();
        builder = new BatchBuilder({ kind, columns }, BATCH_ROWS);
      }
      // A stream that fails half way ends as if it were complete.
      if (given !== count) throw new Error(`${given} of ${count} rows could be read`);
      if (builder.rows > 0) yield builder.finish();
    } catch (error) {
      signal?.throwIfAborted();
      throw unavailable(`archive: ${path} can't be read`, messageOf(error).split(/\n\s*\n/)[0]!);
    } finally {
      connection?.closeSync();
    }
  }

  async close(): Promise<void> {
    const instance = this.#instance;
    this.#instance = null;
    (await instance)?.closeSync();
  }

  #opened(): Promise<DuckDBInstance> {
    this.#instance ??= DuckDBInstance.create(":memory:", {
      memory_limit: MEMORY,
      threads: "1",
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
    });
    return this.#instance;
  }
}

function statementOf({ path, kind: name, columns, from, to, order }: FileRows): {
  counting: string;
  sql: string;
  params: string[];
} {
  const kind = kindOf(name);
  const stamp = `"${kind.stamp.name}"`;
  const params = [literalPath(path)];
  const bounds = [
    ...(from === null ? [] : [`${stamp} >= $${params.push(`${from}+00`)}::TIMESTAMPTZ`]),
    ...(to === null ? [] : [`${stamp} <= $${params.push(`${to}+00`)}::TIMESTAMPTZ`]),
  ];
  const read = columns.filter((column) => column !== "ticker" && column !== kind.part);
  const where = bounds.length === 0 ? "" : `WHERE ${bounds.join(" AND ")}`;
  // A file has its rows in order.
  const sorted = order === "descending" ? `ORDER BY ${stamp} DESC${kind.hasSeq ? ", seq DESC" : ""}` : "";
  const list = read.length === 0 ? "true" : read.map((column) => cellSql(column, kind)).join(", ");
  const rows = `read_parquet($1, hive_partitioning = false) ${where}`;
  return {
    counting: `SELECT count(*) FROM ${rows}`,
    sql: `SELECT ${list} FROM ${rows} ${sorted}`,
    params,
  };
}

/** Counts have the type that holds those of the file. */
function cellSql(column: string, { stamp, values }: RowKind): string {
  const cell = `"${column}"`;
  if (column === stamp.name) return `${cell}::TIMESTAMP`;
  switch (values.find(({ name }) => name === column)?.type) {
    case "instant":
    case "second":
      return `${cell}::TIMESTAMP`;
    case "date":
      return `${cell}::DATE`;
    default:
      return cell;
  }
}

/** Signs that would make the path a pattern stand for themselves. */
function literalPath(path: string): string {
  return path.replace(/[*?[]/g, "[$&]");
}
