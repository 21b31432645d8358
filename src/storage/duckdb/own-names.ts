/**
 * Fixes what names mean in the server's own statements. Users' macros can have names of built-in
 * functions and operators, and come first by default. The server's connections look into DuckDB's
 * own schema first. So a statement that creates an object must name its schema.
 */
import type { DuckDBConnection } from "@duckdb/node-api";

export interface OwnNames {
  /** The file's database, quoted. The default would be DuckDB's own. */
  database: string;
  /** The schema of the file's tables: `"stocks".main`. */
  schema: string;
  /** Gives a connection the server's names. */
  begin: string;
  /** Gives it a user's names again. */
  end: string;
}

export async function ownNames(connection: DuckDBConnection): Promise<OwnNames> {
  // The connection still has a user's names, so this one is qualified.
  const result = await connection.run("SELECT system.main.current_database()");
  const [row] = await result.getRows();
  const database = `"${String(row![0]).replaceAll('"', '""')}"`;
  const schema = `${database}.main`;
  return {
    database,
    schema,
    begin: `SET search_path = ${quoted(`system.main,${schema}`)}`,
    end: `SET search_path = ${quoted(schema)}`,
  };
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
