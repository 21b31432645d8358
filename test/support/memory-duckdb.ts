/** DuckDB in memory, to compare what kernels make with what its SQL makes of the same rows. */
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";

/** A column in a table: `BIGINT` takes whole numbers and BigInts. Null: the row has no value. */
interface TableColumn {
  name: string;
  type: "DOUBLE" | "BIGINT" | "VARCHAR";
  values: readonly (number | bigint | string | null)[];
}

export interface MemoryDuckDb {
  create(table: string, columns: readonly TableColumn[]): Promise<void>;
  /** Rows as arrays; what isn't exact as a number is a BigInt. */
  rows(sql: string): Promise<(number | bigint | string | null)[][]>;
  close(): void;
}

/** One thread: sums of doubles are then in the order of the rows. */
export async function memoryDuckDb(): Promise<MemoryDuckDb> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  return {
    create: (table, columns) => create(connection, table, columns),
    rows: async (sql) => {
      const rows = await (await connection.run(sql)).getRows();
      return rows.map((row) => row.map((cell) => shown(cell)));
    },
    close: () => {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

async function create(
  connection: DuckDBConnection,
  table: string,
  columns: readonly TableColumn[],
): Promise<void> {
  await connection.run(
    `create table ${table} (${columns.map(({ name, type }) => `${name} ${type}`).join(", ")})`,
  );
  const appender = await connection.createAppender(table);
  for (let row = 0; row < columns[0]!.values.length; row++) {
    for (const { type, values } of columns) {
      const value = values[row]!;
      if (value === null) appender.appendNull();
      else if (type === "DOUBLE") appender.appendDouble(value as number);
      else if (type === "BIGINT") appender.appendBigInt(BigInt(value));
      else appender.appendVarchar(value as string);
    }
    appender.endRow();
  }
  appender.closeSync();
}

function shown(cell: unknown): number | bigint | string | null {
  if (typeof cell === "bigint") return Number.isSafeInteger(Number(cell)) ? Number(cell) : cell;
  return cell as number | string | null;
}
