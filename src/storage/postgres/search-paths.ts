/**
 * Where names lead. The server's own sessions look in PostgreSQL's schema first, then only where
 * its tables are, and last among temporary tables: what users make in other schemas, or let a
 * search path lead to later, changes nothing for them.
 */
import { textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { OWN_TABLES } from "./own-tables.ts";
import { identifier } from "./sql-text.ts";

export interface SearchPaths {
  /** As the role, the database or the URL have it. */
  users: string;
  own: string;
  /** Of the server's tables. */
  schema: string;
}

/** Needs the tables. */
export async function findSearchPaths(connection: PostgresConnection): Promise<SearchPaths> {
  const [[setting], found] = await Promise.all([
    connection.run<{ path: string }>("SELECT current_setting('search_path') AS path"),
    connection.run<{ name: string; schema: string }>(
      `SELECT c.relname::text AS name, n.nspname::text AS schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relname = ANY ($1::text[]) AND c.relkind IN ('r', 'p') AND pg_table_is_visible(c.oid) ORDER BY 1`,
      [textArray(OWN_TABLES)],
    ),
  ]);
  const { schema } = found.find(({ name }) => name === "stock_db_schema")!;
  const others = found.map((table) => table.schema).filter((name) => name !== schema);
  // One schema, unless another program's tables of our names come first in the path.
  const schemas = [...new Set([...others, schema])];
  return {
    users: setting!.path,
    own: ["pg_catalog", ...schemas, "pg_temp"].map(identifier).join(", "),
    schema,
  };
}
