/** Rows of a Parquet file, read by DuckDB in bounded memory. */
import type { DuckDBConnection } from "@duckdb/node-api";
import type { SourceField } from "../../market/csv.ts";
import { messageOf } from "../../protocol/message-of.ts";
import type { SourceRow } from "./csv-rows.ts";
import { SourceError } from "./source.ts";

/** Types that JavaScript holds without loss; all others are read as text with every digit. */
const AS_NUMBER = new Set([
  "FLOAT",
  "DOUBLE",
  "TINYINT",
  "SMALLINT",
  "INTEGER",
  "UTINYINT",
  "USMALLINT",
  "UINTEGER",
]);
const NESTED = /[[(]|^(?:STRUCT|MAP|LIST|UNION)/;
const MEMORY = "1GB";

/** @param path A file on disk: Parquet has its list of columns at its end. @throws SourceError */
export async function parquetRows(
  name: string,
  path: string,
): Promise<{ columns: string[]; batches: AsyncGenerator<SourceRow[]> }> {
  // 70 MB: loaded where it is needed.
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:", { memory_limit: MEMORY });
  const connection = await instance.connect();
  const close = (): void => {
    connection.closeSync();
    instance.closeSync();
  };
  try {
    await connection.run("set autoinstall_known_extensions = false");
    await connection.run("set autoload_known_extensions = false");
    await connection.run("set TimeZone = 'UTC'");
    const columns = await describe(connection, path);
    return {
      columns: columns.map((column) => column.name),
      batches: batches(name, path, connection, columns, close),
    };
  } catch (error) {
    close();
    throw failure(name, error);
  }
}

interface ParquetColumn {
  name: string;
  type: string;
}

async function describe(connection: DuckDBConnection, path: string): Promise<ParquetColumn[]> {
  const result = await connection.runAndReadAll(
    "select column_name, column_type from (describe select * from read_parquet($1, hive_partitioning = false))",
    [literalPath(path)],
  );
  return result.getRowsJS().map(([name, type]) => ({ name: String(name), type: String(type) }));
}

async function* batches(
  name: string,
  path: string,
  connection: DuckDBConnection,
  columns: ParquetColumn[],
  close: () => void,
): AsyncGenerator<SourceRow[]> {
  try {
    const list = columns.map(selected).join(", ");
    const result = await connection.stream(
      `select ${list} from read_parquet($1, hive_partitioning = false)`,
      [literalPath(path)],
    );
    let line = 1;
    for await (const rows of result.yieldRowsJs()) {
      yield rows.map((fields) => ({ line: line++, fields: fields as SourceField[] }));
    }
  } catch (error) {
    if (error instanceof SourceError) throw error;
    throw failure(name, error);
  } finally {
    close();
  }
}

/** DuckDB tells its statement too, and calls a file that was cut off by its missing end. */
function failure(name: string, error: unknown): SourceError {
  const [message = ""] = messageOf(error).split(/\n\s*\n/);
  const isCutOff = /No magic bytes found at end|too small to be a Parquet/i.test(message);
  const fault = isCutOff
    ? "its end is missing, where Parquet has its list of columns: was it copied or downloaded whole?"
    : message;
  return new SourceError(`cannot read ${name} as Parquet: ${fault}`, { cause: error });
}

function selected({ name, type }: ParquetColumn): string {
  const column = `"${name.replaceAll('"', '""')}"`;
  if (AS_NUMBER.has(type)) return column;
  if (NESTED.test(type) && !type.startsWith("DECIMAL")) return `to_json(${column})::varchar`;
  return `${column}::varchar`;
}

/** Signs that would make the path a pattern stand for themselves. */
function literalPath(path: string): string {
  return path.replace(/[*?[]/g, "[$&]");
}
