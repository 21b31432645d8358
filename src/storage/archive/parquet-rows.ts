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
const MEMORY = "256MB";
/** Rows that are sorted at once, where they are wanted from the newest back. */
const SORTED_ROWS = 65_536;

export interface FileRows extends Pick<ColumnQuery, "columns" | "order" | "signal"> {
  path: string;
  kind: KindName;
  ticker: string;
  part: string | null;
  /** Inclusive, in the stored form of the kind's stamp; null: unbounded. */
  from: string | null;
  to: string | null;
  /** Exclusive, as `from`; absent: unbounded. */
  before?: string | null;
}

export class ParquetReader {
  #instance: Promise<DuckDBInstance> | null = null;

  /** In order of stamp and `seq`. @throws RequestError 503: the file can't be read. */
  async *rows(of: FileRows): AsyncGenerator<ColumnBatch> {
    const { path, signal } = of;
    let connection: DuckDBConnection | null = null;
    try {
      connection = await (await this.#opened()).connect();
      await connection.run("SET TimeZone = 'UTC'");
      const windows = of.order === "descending" ? await windowsBack(connection, of) : [of];
      for (const window of windows) yield* rowsIn(connection, window);
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
      // Nothing is sorted that doesn't fit; the files of other processes may lie in its own place.
      temp_directory: "",
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
    });
    return this.#instance;
  }
}

async function* rowsIn(connection: DuckDBConnection, of: FileRows): AsyncGenerator<ColumnBatch> {
  const { kind, columns, ticker, part, signal } = of;
  const series = { ticker, part: part ?? "" };
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
}

/**
 * The newest rows first, in spans that are sorted one by one: each begins where a row group does,
 * whose first stamp the file tells.
 */
async function windowsBack(connection: DuckDBConnection, of: FileRows): Promise<FileRows[]> {
  const { stamp } = kindOf(of.kind);
  const found = await connection.runAndReadAll(
    `SELECT strftime(stats_min_value::TIMESTAMPTZ::TIMESTAMP, '%Y-%m-%d %H:%M:%S.%f'), row_group_num_rows
     FROM parquet_metadata($1) WHERE path_in_schema = $2 ORDER BY row_group_id DESC`,
    [literalPath(of.path), stamp.name],
  );
  const windows: FileRows[] = [];
  /** The window ends before it; null: it has no end of its own. */
  let end: string | null = null;
  let rows = 0;
  const groups = found.getRows().map(([first, count]) => [first, Number(count)] as const);
  for (const [index, [first, count]] of groups.entries()) {
    rows += count;
    const isLast = index === groups.length - 1;
    const begin = isLast || first === null ? null : String(first);
    if (!isLast && (rows < SORTED_ROWS || begin === null || begin === end)) continue;
    windows.push({ ...of, from: later(of.from, begin), before: end });
    end = begin;
    rows = 0;
  }
  return windows;
}

function later(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return a ?? b;
  return a > b ? a : b;
}

function statementOf({ path, kind: name, columns, from, to, before = null, order }: FileRows): {
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
    ...(before === null ? [] : [`${stamp} < $${params.push(`${before}+00`)}::TIMESTAMPTZ`]),
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
