/**
 * Which names are the server's own, and where names lead. The server's own sessions look in
 * PostgreSQL's schema first, then only where its tables are, and last among temporary tables: what
 * users make in other schemas, or let a search path lead to later, changes nothing for them.
 */
import { TABLE_NAMES } from "../model/kinds.ts";
import { textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { identifier } from "./sql-text.ts";
import { TABLES } from "./table-definitions.ts";

export const OWN_TABLES = [...TABLES.map(({ name }) => name), "stock_db_schema"];
/** Users may change rows of the other tables. */
export const BOOKKEEPING = OWN_TABLES.filter((name) => !TABLE_NAMES.includes(name));
/** Of the column `update_log.id`. */
export const OWN_SEQUENCE = "update_log_id_seq";

/**
 * The names that the server's own statements use of PostgreSQL: a function or an operator of such a
 * name, made by a user in the schema of the tables, could come in between. So the statements name
 * the schema of a function that takes more than one type. Where PostgreSQL has one for exactly
 * these types, as for operators, its own wins, since its schema is looked at first; unnest of
 * several arrays is always its own.
 */
export const SERVER_FUNCTIONS = `unnest count sum max min bool_and row_number string_agg string_to_array
  to_json octet_length length clock_timestamp now extract date_part timezone to_char md5 substr version
  current_setting set_config current_schema current_schemas to_regclass format_type has_table_privilege
  has_schema_privilege pg_has_role quote_ident concat_ws`.split(/\s+/);
export const SERVER_OPERATORS = "= <> < > <= >= + - * / ||".split(" ");

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
      `SELECT c.relname::text AS name, n.nspname::text AS schema
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relname = ANY ($1::text[]) AND c.relkind IN ('r', 'p')
         AND pg_table_is_visible(c.oid) ORDER BY 1`,
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
