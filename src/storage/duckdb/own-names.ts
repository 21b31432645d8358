/**
 * What names mean in the server's own statements. Macros of users can have the names of built-in
 * functions, even of operators, and come first where a connection is left as it is. The server's
 * look into DuckDB's own schema first, and only then among what the file holds.
 *
 * What is created needs its schema before its name then.
 */
import type { DuckDBConnection } from "@duckdb/node-api";

export interface OwnNames {
  /** Of the file, quoted. Statements that name none mean DuckDB's own. */
  database: string;
  /** The schema of the file's tables, for what is created: `"stocks".main`. */
  schema: string;
  /** To run on a connection of the server. */
  begin: string;
  /** To run before a statement of a user's on the same connection. */
  end: string;
}

export async function ownNames(connection: DuckDBConnection): Promise<OwnNames> {
  // The one name that must be whole: the connection is still a user's.
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
