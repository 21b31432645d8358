/**
 * Finds what gets in the way of the server's own tables: at the start, and in the transaction of
 * each user's statement.
 */
import { TABLE_NAMES } from "../model/kinds.ts";
import { BOOKKEEPING_TABLES, texts } from "./schema.ts";
import type { Session } from "./session.ts";

const OWN = texts([...TABLE_NAMES, ...BOOKKEEPING_TABLES]);

/**
 * What the catalog says of the server's tables: a row for each shape, comment, index and reference.
 * The oid tells a table from another one of the same shape.
 */
const OBJECTS_SQL = `SELECT table_name, 'shape', concat_ws(' ', table_oid, sql, comment, tags::VARCHAR) FROM duckdb_tables()
    WHERE schema_name = 'main' AND NOT internal AND table_name IN (${OWN})
  UNION ALL SELECT table_name, 'comment on ' || column_name, comment FROM duckdb_columns()
    WHERE schema_name = 'main' AND NOT internal AND comment IS NOT NULL AND table_name IN (${OWN})
  UNION ALL SELECT table_name, 'index ' || index_name, concat_ws(' ', sql, comment) FROM duckdb_indexes()
    WHERE schema_name = 'main' AND table_name IN (${OWN})
  UNION ALL SELECT referenced_table, 'reference of ' || table_name, constraint_text FROM duckdb_constraints()
    WHERE constraint_type = 'FOREIGN KEY' AND (referenced_table IN (${OWN}) OR table_name IN (${OWN}))
  ORDER BY ALL`;

/** Words such as `coalesce`, which the parser reads itself, count too. */
const BUILT_IN_SQL = `SELECT lower(function_name) FROM duckdb_functions() WHERE internal
  UNION SELECT lower(keyword_name) FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'`;
const MACROS_SQL = `SELECT DISTINCT lower(function_name) AS name FROM duckdb_functions()
  WHERE NOT internal AND schema_name = 'main' ORDER BY name`;
/** A name without one is an operator. */
const LETTER = /[\p{L}_]/u;
/** The same for every file. Listing them takes as long as a small save. */
let builtIn: Promise<Set<string>> | null = null;

export interface OwnObject {
  table: string;
  /** `shape`, or another object, such as `index by_close`. */
  what: string;
  definition: string;
}

export async function ownObjects(session: Session): Promise<OwnObject[]> {
  const rows = await session.rows(OBJECTS_SQL);
  return rows.map(([table, what, definition]) => ({
    table: String(table),
    what: String(what),
    definition: String(definition),
  }));
}

/** Users' macros with the name of something built in, in lower case. */
export async function shadowingMacros(session: Session): Promise<string[]> {
  const macros = (await session.rows(MACROS_SQL)).map(([name]) => String(name));
  if (macros.length === 0) return [];
  builtIn ??= session.rows(BUILT_IN_SQL).then((rows) => new Set(rows.map(([name]) => String(name))));
  const listing = builtIn;
  listing.catch(() => {
    if (builtIn === listing) builtIn = null; // it was stopped: the next one lists them again
  });
  const names = await listing;
  return macros.filter((name) => names.has(name) || !LETTER.test(name));
}

/** Describes foreign objects that the server ignores or that make it refuse rows; null: none. */
export async function describeForeign(session: Session): Promise<string | null> {
  const macros = await shadowingMacros(session);
  const objects = (await ownObjects(session)).filter(({ what }) => what !== "shape");
  const found: string[] = [];
  if (macros.length > 0) {
    found.push(`macros with names of built-in functions, which only SQL of users sees: ${macros.join(", ")}`);
  }
  if (objects.length > 0) {
    found.push(
      `on the server's own tables: ${objects.map(({ table, what }) => `${what} of ${table}`).join(", ")}`,
    );
  }
  return found.length === 0 ? null : found.join("; ");
}
