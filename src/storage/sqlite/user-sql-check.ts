/**
 * Judges users' statements. The authorizer of a connection that only prepares a statement hears of
 * every table, trigger and pragma that it would use. See DESIGN.md "Users' SQL".
 */
import type { Database } from "bun:sqlite";
import { constants as action, DatabaseSync } from "node:sqlite";
import { badRequest } from "../../protocol/errors.ts";
import { refused } from "../sql-answer.ts";
import { StampColumns } from "./stored-stamps.ts";
import { isBookkeeping, isServerTable, isServerTrigger, wouldOwnServerTable } from "./tables.ts";
import type { Statement } from "./user-sql-statement.ts";

/**
 * A `pragma` may leave something in the connection. `maintenance` writes but changes no data, and
 * can't run in a transaction.
 */
export type StatementKind = "query" | "pragma" | "write" | "maintenance";

export interface Checked {
  kind: StatementKind;
  /** Tables that it makes or alters. */
  shapes: string[];
  /** What its names of columns with stamps mean. */
  stamps: StampColumns;
}

const OWN_TABLE = "the table is the server's; its rows may be inserted, updated and deleted";
const OWN_BOOKKEEPING = "the server keeps its books in it";
const ONE_TRANSACTION = "each request is one transaction of its own";
const ONE_DATABASE = "a request may use only the server's own database";

/** With an argument most of these would change something. */
const READS_WITHOUT_ARGUMENT = new Set([
  "application_id",
  "auto_vacuum",
  "busy_timeout",
  "cache_size",
  "collation_list",
  "compile_options",
  "data_version",
  "database_list",
  "encoding",
  "foreign_keys",
  "freelist_count",
  "function_list",
  "journal_mode",
  "journal_size_limit",
  "max_page_count",
  "module_list",
  "page_count",
  "page_size",
  "pragma_list",
  "query_only",
  "schema_version",
  "synchronous",
  "user_version",
]);
/** The argument names what to read. */
const READS_WITH_ARGUMENT = new Set([
  "foreign_key_check",
  "foreign_key_list",
  "index_info",
  "index_list",
  "index_xinfo",
  "integrity_check",
  "quick_check",
  "table_info",
  "table_list",
  "table_xinfo",
]);
const MAINTENANCE_PRAGMAS = new Set(["incremental_vacuum", "optimize", "wal_checkpoint"]);
/** Where there is no index, the authorizer hears nothing of them. */
const WRITING_WORDS = new Set(["ANALYZE", "REINDEX"]);

type Names = [first: string | null, second: string | null, database: string | null, trigger: string | null];
/** @returns why it is refused; null: it isn't. */
type Rule = (names: Names, seen: Seen) => Error | null;

/** What the authorizer has heard of a statement. */
interface Seen {
  writes: boolean;
  pragma: string | null;
  /** Then SQLite changes its own tables, which a user may not. */
  isDefinition: boolean;
  shapes: string[];
  stamps: StampColumns;
  refusal: Error | null;
}

export class StatementCheck {
  readonly #db: DatabaseSync;
  readonly #refresh: { get(): unknown };
  #seen: Seen | null = null;

  /** @throws Error The file can't be opened. */
  constructor(path: string, busyTimeoutMs: number) {
    this.#db = new DatabaseSync(path, {
      readOnly: true,
      enableForeignKeyConstraints: false,
      enableDoubleQuotedStringLiterals: true,
    });
    this.#db.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}; PRAGMA trusted_schema = 0; PRAGMA query_only = 1`);
    this.#refresh = this.#db.prepare("SELECT 1 FROM sqlite_schema LIMIT 1");
    this.#db.setAuthorizer((code, ...names) => this.#authorize(code, names));
  }

  /** @returns null: SQLite can't prepare it. @throws RequestError 400: it is refused. */
  check({ text, firstWord, isExplained }: Statement): Checked | null {
    // Running a statement makes the connection notice a CREATE or DROP. Preparing one doesn't.
    this.#refresh.get();
    const stamps = new StampColumns();
    const seen: Seen = {
      writes: false,
      pragma: null,
      isDefinition: false,
      shapes: [],
      stamps,
      refusal: null,
    };
    this.#seen = seen;
    try {
      this.#db.prepare(text);
    } catch {
      if (seen.refusal === null) return null;
    } finally {
      this.#seen = null;
    }
    if (seen.refusal !== null) throw seen.refusal;
    if (isExplained && seen.pragma !== null)
      throw refused("EXPLAIN PRAGMA", "a pragma may act while it is being explained");
    return { kind: kindOf(seen, firstWord, isExplained), shapes: seen.shapes, stamps };
  }

  close(): void {
    this.#db.close();
  }

  #authorize(code: number, names: Names): number {
    const seen = this.#seen;
    if (seen === null) return action.SQLITE_OK;
    if (WRITES.has(code)) seen.writes = true;
    if (DEFINITIONS.has(code)) seen.isDefinition = true;
    if (USES_COLUMN.has(code)) seen.stamps.add(names[0], names[1]);
    seen.refusal ??= RULES.get(code)?.(names, seen) ?? null;
    return seen.refusal === null ? action.SQLITE_OK : action.SQLITE_DENY;
  }
}

function kindOf({ pragma, writes }: Seen, firstWord: string, isExplained: boolean): StatementKind {
  if (isExplained) return "query";
  if (pragma !== null) return MAINTENANCE_PRAGMAS.has(pragma) ? "maintenance" : "pragma";
  if (firstWord === "VACUUM") return "maintenance";
  return writes || WRITING_WORDS.has(firstWord) ? "write" : "query";
}

const MAKES = [
  action.SQLITE_CREATE_INDEX,
  action.SQLITE_CREATE_TABLE,
  action.SQLITE_CREATE_TRIGGER,
  action.SQLITE_CREATE_VIEW,
  action.SQLITE_CREATE_VTABLE,
];
const MAKES_TEMPORARY = [
  action.SQLITE_CREATE_TEMP_INDEX,
  action.SQLITE_CREATE_TEMP_TABLE,
  action.SQLITE_CREATE_TEMP_TRIGGER,
  action.SQLITE_CREATE_TEMP_VIEW,
];
const DROPS = [
  action.SQLITE_DROP_INDEX,
  action.SQLITE_DROP_TABLE,
  action.SQLITE_DROP_TRIGGER,
  action.SQLITE_DROP_VIEW,
  action.SQLITE_DROP_VTABLE,
  action.SQLITE_DROP_TEMP_INDEX,
  action.SQLITE_DROP_TEMP_TABLE,
  action.SQLITE_DROP_TEMP_TRIGGER,
  action.SQLITE_DROP_TEMP_VIEW,
];
const CHANGES_ROWS = [action.SQLITE_INSERT, action.SQLITE_UPDATE, action.SQLITE_DELETE];
const DEFINITIONS = new Set([
  ...MAKES,
  ...MAKES_TEMPORARY,
  ...DROPS,
  action.SQLITE_ALTER_TABLE,
  action.SQLITE_ANALYZE,
]);
const WRITES = new Set([...DEFINITIONS, ...CHANGES_ROWS, action.SQLITE_REINDEX]);

const USES_COLUMN = new Set([action.SQLITE_READ, action.SQLITE_UPDATE]);

/** By the action that SQLite reports. Actions that are missing here, such as reads, are allowed. */
const RULES = new Map<number, Rule>([
  ...CHANGES_ROWS.map((code): [number, Rule] => [code, changesRows(code)]),
  ...MAKES_TEMPORARY.map((code): [number, Rule] => [code, temporary]),
  [action.SQLITE_CREATE_TABLE, makesTable],
  [action.SQLITE_CREATE_VIEW, ([, , database]) => inTemporary(database)],
  [action.SQLITE_CREATE_INDEX, hangsOn("CREATE INDEX")],
  [action.SQLITE_CREATE_TRIGGER, hangsOn("CREATE TRIGGER")],
  [
    action.SQLITE_CREATE_VTABLE,
    ([name]) =>
      wouldOwnServerTable(name ?? "")
        ? refused(`the name ${name}`, "tables of the server begin with it")
        : null,
  ],
  [action.SQLITE_DROP_TABLE, ([table]) => ownTable("DROP TABLE", table)],
  [action.SQLITE_DROP_VTABLE, ([table]) => ownTable("DROP TABLE", table)],
  [
    action.SQLITE_DROP_TRIGGER,
    ([name]) =>
      isServerTrigger(name ?? "") ? refused(`DROP TRIGGER ${name}`, "the trigger is the server's") : null,
  ],
  [action.SQLITE_ALTER_TABLE, altersTable],
  [action.SQLITE_PRAGMA, pragma],
  [action.SQLITE_TRANSACTION, ([word]) => refused(word ?? "a transaction", ONE_TRANSACTION)],
  [
    action.SQLITE_SAVEPOINT,
    ([word]) => refused(word === "BEGIN" ? "SAVEPOINT" : (word ?? "SAVEPOINT"), ONE_TRANSACTION),
  ],
  [action.SQLITE_ATTACH, () => refused("ATTACH", ONE_DATABASE)],
  [action.SQLITE_DETACH, () => refused("DETACH", ONE_DATABASE)],
  [
    action.SQLITE_FUNCTION,
    ([, name]) =>
      name?.toLowerCase() === "load_extension"
        ? refused("load_extension", "it runs code in the server")
        : null,
  ],
]);

function changesRows(code: number): Rule {
  return ([table, , , trigger], seen) => {
    const name = table ?? "";
    // The server's own triggers keep the checkpoints right, whoever changes a close.
    if (code === action.SQLITE_DELETE && trigger !== null && isServerTrigger(trigger)) return null;
    if (isBookkeeping(name)) return refused(`writing to ${name}`, OWN_BOOKKEEPING);
    if (/^sqlite_/i.test(name) && !seen.isDefinition && !isSchemaTable(name))
      return refused(`writing to ${name}`, "SQLite keeps its books in it");
    return null;
  };
}

/** Every definition writes there. SQLite itself refuses all other writes. */
function isSchemaTable(name: string): boolean {
  return /^sqlite_(temp_)?(master|schema)$/i.test(name);
}

function makesTable([table, , database]: Names, seen: Seen): Error | null {
  if (table !== null) seen.shapes.push(table);
  return inTemporary(database);
}

function altersTable([, table]: Names, seen: Seen): Error | null {
  if (table !== null) seen.shapes.push(table);
  return ownTable("ALTER TABLE", table);
}

function temporary(): Error {
  return refused("CREATE TEMP", "it would be gone with the end of the request");
}

function inTemporary(database: string | null): Error | null {
  return database?.toLowerCase() === "temp" ? temporary() : null;
}

function hangsOn(what: string): Rule {
  return ([, table, database]) => {
    if (inTemporary(database) !== null) return temporary();
    return table !== null && isServerTable(table) ? refused(`${what} on ${table}`, OWN_TABLE) : null;
  };
}

function ownTable(what: string, table: string | null): Error | null {
  if (table === null) return null;
  if (isBookkeeping(table)) return refused(`${what} ${table}`, OWN_BOOKKEEPING);
  if (/^sqlite_/i.test(table)) return refused(`${what} ${table}`, "SQLite keeps its books in it");
  return isServerTable(table) ? refused(`${what} ${table}`, OWN_TABLE) : null;
}

function pragma([pragmaName, argument]: Names, seen: Seen): Error | null {
  const name = (pragmaName ?? "").toLowerCase();
  seen.pragma = name;
  if (MAINTENANCE_PRAGMAS.has(name) || READS_WITH_ARGUMENT.has(name)) return null;
  if (!READS_WITHOUT_ARGUMENT.has(name)) return refused(`PRAGMA ${name}`, "it is not one that only reads");
  if (argument === null) return null;
  return refused(`PRAGMA ${name} with a value`, "settings of the database are the server's");
}

/** @throws RequestError 400 One of the tables refers to a table of the server. */
export function refuseForeignKeys(db: Database, shapes: string[]): void {
  const parents = db.query<{ parent: string }, [string]>(
    'SELECT "table" AS parent FROM pragma_foreign_key_list(?)',
  );
  for (const table of shapes) {
    const parent = parents.all(table).find((row) => isServerTable(row.parent))?.parent;
    if (parent !== undefined)
      throw badRequest(
        `execute_sql: a foreign key of ${table} to ${parent} is not allowed: it would decide about the server's rows`,
      );
  }
}
