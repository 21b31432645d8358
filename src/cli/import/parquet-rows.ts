/** Rows of a Parquet file, read by DuckDB in bounded memory. */
import type { DuckDBConnection, DuckDBResult } from "@duckdb/node-api";
import type { SourceField } from "../../market/csv.ts";
import { EPOCH_RANGES, type EpochUnit } from "../../market/epoch-unit.ts";
import { messageOf } from "../../protocol/message-of.ts";
import type { SourceRow } from "./csv-rows.ts";
import { type PlainForm, type PlainTicks, STAMP } from "./plain-ticks.ts";
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
const TO_MICROS: Record<EpochUnit, string> = {
  s: " * 1000000",
  ms: " * 1000",
  us: "",
  ns: " // 1000",
};
const STAMP_TYPES = new Set([
  "TIMESTAMP",
  "TIMESTAMP WITH TIME ZONE",
  "TIMESTAMP_S",
  "TIMESTAMP_MS",
  "TIMESTAMP_NS",
]);
const NESTED = /[[(]|^(?:STRUCT|MAP|LIST|UNION)/;
const MEMORY = "1GB";

/** @param path A file on disk: Parquet has its list of columns at its end. @throws SourceError */
export async function parquetRows(
  name: string,
  path: string,
): Promise<{
  columns: string[];
  batches: AsyncGenerator<SourceRow[]>;
  plainTicks(form: PlainForm): Promise<AsyncGenerator<PlainTicks> | null>;
}> {
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
      plainTicks: (form) => plainTicks({ name, path, connection, columns, close }, form),
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

interface OpenParquet {
  name: string;
  path: string;
  connection: DuckDBConnection;
  columns: ParquetColumn[];
  close(): void;
}

/** Null: a column or a value isn't plain, which a look at all of them tells. */
async function plainTicks(
  file: OpenParquet,
  { fields, names, unit }: PlainForm,
): Promise<AsyncGenerator<PlainTicks> | null> {
  const { name, path, connection, columns } = file;
  const stamp = plainStamp(columns[fields.indexOf(STAMP)]!, unit);
  const values = names.map((_, index) => plainNumber(columns[fields.indexOf(index)]!));
  const all = [stamp, ...values];
  if (!all.every((column) => column !== null)) return null;
  const from = "from read_parquet($1, hive_partitioning = false)";
  const params = [literalPath(path)];
  try {
    const isOther = all.map(({ isPlain }) => `(${isPlain}) is not true`).join(" or ");
    const others = await connection.runAndReadAll(`select count(*) ${from} where ${isOther}`, params);
    if (Number(others.getRowsJS()[0]![0]) > 0) return null;
    const list = all.map(({ value }) => `(${value})::double`).join(", ");
    return ticksOf(await connection.stream(`select ${list} ${from}`, params), names, file);
  } catch (error) {
    file.close();
    throw failure(name, error);
  }
}

async function* ticksOf(
  result: DuckDBResult,
  names: PlainForm["names"],
  { name, close }: OpenParquet,
): AsyncGenerator<PlainTicks> {
  let firstLine = 1;
  try {
    for (;;) {
      const chunk = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) return;
      const rows = chunk.rowCount;
      const [micros, ...values] = Array.from({ length: chunk.columnCount }, (_, index) => {
        const vector = chunk.getColumnVector(index);
        const column = new Float64Array(rows);
        for (let row = 0; row < rows; row++) column[row] = vector.getItem(row) as number;
        return column;
      });
      yield { firstLine, rows, micros: micros!, values, names };
      firstLine += rows;
    }
  } catch (error) {
    throw failure(name, error);
  } finally {
    close();
  }
}

interface PlainColumn {
  /** SQL. */
  value: string;
  isPlain: string;
}

/** Microseconds since 1970; null: the type has none. */
function plainStamp({ name, type }: ParquetColumn, unit: EpochUnit | null): PlainColumn | null {
  const column = quoted(name);
  if (unit !== null) {
    const { from, to } = EPOCH_RANGES[unit];
    const value = column + TO_MICROS[unit];
    return type === "BIGINT" ? { value, isPlain: `${column} >= ${from} and ${column} < ${to}` } : null;
  }
  if (!STAMP_TYPES.has(type)) return null;
  return {
    value: type === "TIMESTAMP_NS" ? `epoch_ns(${column}) // 1000` : `epoch_us(${column})`,
    isPlain: `${column} >= '1970-01-01' and ${column} < '2200-01-01'`,
  };
}

function plainNumber({ name, type }: ParquetColumn): PlainColumn | null {
  const column = quoted(name);
  if (type === "DOUBLE" || type === "FLOAT") return { value: column, isPlain: `isfinite(${column})` };
  if (type !== "BIGINT" && !AS_NUMBER.has(type)) return null;
  const end = Number.MAX_SAFE_INTEGER;
  return { value: column, isPlain: `${column} between ${-end} and ${end}` };
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
  const column = quoted(name);
  if (AS_NUMBER.has(type)) return column;
  if (NESTED.test(type) && !type.startsWith("DECIMAL")) return `to_json(${column})::varchar`;
  return `${column}::varchar`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Signs that would make the path a pattern stand for themselves. */
function literalPath(path: string): string {
  return path.replace(/[*?[]/g, "[$&]");
}
