/**
 * Names the server's own tables, functions and operators, and the schemas in which its sessions
 * look for names. DESIGN.md, "Names", says why.
 */
import { TABLE_NAMES } from "../model/kinds.ts";
import { textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { identifier } from "./sql-text.ts";
import { TABLES } from "./table-definitions.ts";

export const OWN_TABLES = [...TABLES.map(({ name }) => name), "stock_db_schema"];
export const BOOKKEEPING = OWN_TABLES.filter((name) => !TABLE_NAMES.includes(name));
/** The sequence of `update_log.id`. */
export const OWN_SEQUENCE = "update_log_id_seq";
/** Trimming finds the oldest updates by it. */
export const TRIM_INDEX = "update_log_id";
/** Only saves that bring an identity have an entry. */
export const REQUEST_INDEX = "update_log_requests";
export const OWN_INDEXES = [TRIM_INDEX, REQUEST_INDEX];

/**
 * The server's statements use these functions and operators of PostgreSQL. A user's one of the same
 * name in the schema of the tables could match better, so a statement names the schema of every
 * function that takes more than one type.
 */
export const SERVER_FUNCTIONS = `unnest count sum max min bool_and row_number string_agg string_to_array
  to_json octet_length length clock_timestamp now extract date_part timezone to_char md5 substr version
  current_setting set_config current_schema current_schemas to_regclass format_type has_table_privilege
  has_schema_privilege pg_has_role quote_ident concat_ws`.split(/\s+/);
export const SERVER_OPERATORS = "= <> < > <= >= + - * / ||".split(" ");

export interface SearchPaths {
  /** The path of the role, the database or the URL. */
  users: string;
  own: string;
  /** The schema of the server's tables. */
  schema: string;
}

/** The tables must exist. */
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
  // Another program's tables of the same names may come earlier in the path.
  const schemas = [...new Set([...others, schema])];
  return {
    users: setting!.path,
    own: ["pg_catalog", ...schemas, "pg_temp"].map(identifier).join(", "),
    schema,
  };
}
