/** A DuckDB file as other programs change it. */
import { DuckDBInstance } from "@duckdb/node-api";

/** While no server has it open. */
export async function changeDuckDbFile(path: string, ...statements: string[]): Promise<void> {
  const instance = await DuckDBInstance.create(path);
  try {
    const connection = await instance.connect();
    for (const statement of statements) await connection.run(statement);
    connection.closeSync();
  } finally {
    instance.closeSync();
  }
}
