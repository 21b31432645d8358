/** Makes the tables, and upgrades files of earlier versions and of the older Python server. */
import type { Database } from "bun:sqlite";
import { FORGET_COARSE_AVERAGES_SQL } from "../daily-series.ts";
import type { PlainSchemaState } from "../file-diagnosis.ts";
import {
  ADDITIONS_MADE,
  ADDITIONS_OF_SAVE_COUNTS,
  columnsAfter,
  KINDS,
  kindsAfter,
  tablesAfter,
} from "../model/kinds.ts";
import {
  CHECKPOINT_TRIGGERS,
  CHECKPOINTS,
  DATA_TABLES,
  declarationOf,
  NOTES,
  quote,
  REQUEST_INDEX,
  SAVE_COUNT_COLUMNS,
  type ServerTable,
  shapeOf,
  UPDATE_LOG,
} from "./tables.ts";

/** This version has the first three kinds of rows. */
const BASE_VERSION = 3;
/**
 * PRAGMA user_version. 0: empty or of the Python server; 1: no update log; 2: no times of
 * positions.
 */
export const SCHEMA_VERSION = BASE_VERSION + ADDITIONS_MADE;
const UPDATE_LOG_VERSION = 2;
const SAVE_COUNTS_VERSION = BASE_VERSION + ADDITIONS_OF_SAVE_COUNTS;

const UPDATE_LOG_NAMES = UPDATE_LOG.map(({ name }) => name);

/** The file is a SQLite database that this server can't take over. */
export class SchemaError extends Error {
  override name = "SchemaError";
}

/**
 * Brings the file to SCHEMA_VERSION in one transaction. @returns what was done, for the log, or
 * null.
 * @throws SchemaError The file is newer, lacks key columns, or uses a name that the server needs.
 */
export function prepareSchema(db: Database): string | null {
  const version = versionOf(db);
  if (version === SCHEMA_VERSION) return null;
  if (version > SCHEMA_VERSION) {
    throw new SchemaError(
      `open database: its schema version is ${version}, this server knows up to ${SCHEMA_VERSION}; it was written by a newer server`,
    );
  }
  // Otherwise a RENAME would rewrite, and check, the views and triggers of users.
  db.run("PRAGMA legacy_alter_table=ON");
  try {
    db.run("BEGIN IMMEDIATE");
    const done = bringUp(db, version);
    db.run(`PRAGMA user_version=${SCHEMA_VERSION}`);
    db.run("COMMIT");
    return done;
  } catch (error) {
    if (db.inTransaction) db.run("ROLLBACK");
    throw error;
  } finally {
    db.run("PRAGMA legacy_alter_table=OFF");
  }
}

function bringUp(db: Database, version: number): string {
  if (version === 0) {
    const done = createOrTakeOver(db);
    addUpdateLog(db);
    addTables(db, 0);
    return done;
  }
  const done: string[] = [];
  if (version < UPDATE_LOG_VERSION) {
    addUpdateLog(db);
    done.push("added the update log");
  } else if (version < BASE_VERSION) {
    addPositionTimes(db);
    done.push("positions have their times");
  }
  const added = kindsAfter(version - BASE_VERSION).map(shapeOf);
  const names = added.map(({ name }) => name);
  refuseTaken(db, names);
  for (const table of added) db.run(createStatement(table));
  if (names.includes(KINDS.actions.table)) db.run(FORGET_COARSE_AVERAGES_SQL);
  if (added.length > 0) done.push(`added ${names.join(", ")}`);
  done.push(...addTables(db, version - BASE_VERSION), ...addColumns(db, version));
  return `upgraded a file of version ${version}: ${done.join(", ")}`;
}

function createOrTakeOver(db: Database): string {
  const upgraded: string[] = [];
  for (const table of DATA_TABLES) {
    const existing = columnsOf(db, table.name);
    if (existing.length === 0) db.run(createStatement(table));
    else upgraded.push(rebuild(db, table, existing));
  }
  db.run(createStatement(CHECKPOINTS));
  for (const trigger of Object.values(CHECKPOINT_TRIGGERS)) db.run(trigger);
  return upgraded.length === 0
    ? "created the tables"
    : `upgraded a file of the Python server: ${upgraded.join(", ")}`;
}

/** Of bookkeeping. @param made additions that the file has. */
function addTables(db: Database, made: number): string[] {
  const names = tablesAfter(made);
  refuseTaken(db, names);
  for (const table of [NOTES].filter(({ name }) => names.includes(name))) db.run(createStatement(table));
  return names.map((name) => `added ${name}`);
}

/** A column of that name that a user added becomes the server's. */
function addColumns(db: Database, version: number): string[] {
  const done: string[] = [];
  const add = (table: string, column: string, declaration: string): void => {
    if (namesOf(db, table).has(column)) return;
    db.run(`ALTER TABLE ${table} ADD COLUMN ${quote(column)} ${declaration}`);
    done.push(`added ${table}.${column}`);
  };
  for (const { kind, columns } of columnsAfter(version - BASE_VERSION))
    for (const { name, type } of columns) add(kind.table, name, declarationOf(type));
  if (version < SAVE_COUNTS_VERSION) {
    for (const column of SAVE_COUNT_COLUMNS) add("update_log", column, "TEXT");
    db.run(REQUEST_INDEX.sql);
  }
  return done;
}

function addUpdateLog(db: Database): void {
  refuseTaken(db, UPDATE_LOG_NAMES);
  for (const table of UPDATE_LOG) db.run(createStatement(table));
  db.run(REQUEST_INDEX.sql);
  db.run("INSERT INTO update_log_state (id, epoch, indexed_to) VALUES (1, ?, 0)", [crypto.randomUUID()]);
}

/**
 * The time of an update that has left the log is unknown. The newest in the log is not before it.
 */
function addPositionTimes(db: Database): void {
  db.run("ALTER TABLE update_positions ADD COLUMN saved_at INTEGER NOT NULL DEFAULT 0");
  db.run(
    "UPDATE update_positions SET saved_at = coalesce((SELECT saved_at FROM update_log ORDER BY id DESC LIMIT 1), ?)",
    [Date.now()],
  );
}

/** What `prepareSchema` would find. */
export type SchemaState =
  | PlainSchemaState
  /** From the Python server. `own` are columns that users added, as table.column. */
  | { state: "old"; rebuilt: string[]; created: string[]; own: string[] }
  /** From an earlier version of this server: no row is rewritten. */
  | { state: "behind"; version: number };

/** Reads only. */
export function inspectSchema(db: Database): SchemaState {
  const version = versionOf(db);
  if (version > SCHEMA_VERSION) return { state: "newer", version };
  const rebuilt: string[] = [];
  const created: string[] = [];
  const own: string[] = [];
  // The file has no tables of later versions yet, and their names must be free.
  const later = version === 0 ? [] : kindsAfter(version - BASE_VERSION).map(({ table }) => table);
  const books = version === 0 ? tablesAfter(0) : tablesAfter(version - BASE_VERSION);
  for (const table of DATA_TABLES.filter(({ name }) => !later.includes(name))) {
    const existing = columnsOf(db, table.name);
    if (existing.length === 0) {
      created.push(table.name);
      continue;
    }
    rebuilt.push(table.name);
    const names = namesOf(db, table.name);
    const needed = version === 0 ? keyOf(table, names) : columnsOfVersion(table, version);
    const missing = needed.filter((column) => !names.has(column));
    if (missing.length > 0)
      return { state: "unusable", reason: `table ${table.name} has no column ${missing.join(", ")}` };
    for (const column of extraColumns(table, existing)) own.push(`${table.name}.${column.name}`);
  }
  const taken = namesTaken(db, [
    ...later,
    ...books,
    ...(version < UPDATE_LOG_VERSION ? UPDATE_LOG_NAMES : []),
  ]);
  if (taken.length > 0) return { state: "unusable", reason: nameIsTaken(taken) };
  if (version === 0)
    return rebuilt.length === 0 ? { state: "empty" } : { state: "old", rebuilt, created, own };
  const needed = [CHECKPOINTS, ...(version < UPDATE_LOG_VERSION ? [] : UPDATE_LOG), NOTES].flatMap(
    ({ name }) => (books.includes(name) ? [] : [name]),
  );
  const lost = [...created, ...needed.filter((table) => columnsOf(db, table).length === 0)];
  if (lost.length > 0) return { state: "unusable", reason: `it has no table ${lost.join(", ")}` };
  return version === SCHEMA_VERSION ? { state: "current" } : { state: "behind", version };
}

function versionOf(db: Database): number {
  return Number(db.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version);
}

/** @throws SchemaError */
function refuseTaken(db: Database, names: readonly string[]): void {
  const taken = namesTaken(db, names);
  if (taken.length > 0) throw new SchemaError(`open database: ${nameIsTaken(taken)}`);
}

function namesTaken(db: Database, names: readonly string[]): string[] {
  const taken = db.query<{ name: string }, []>("SELECT name FROM sqlite_master").all();
  const lower = new Set(taken.map(({ name }) => name.toLowerCase()));
  return names.filter((name) => lower.has(name));
}

function nameIsTaken(names: string[]): string {
  return `the server needs the name ${names.join(", ")} for a table of its own, and something else has it; rename that`;
}

interface ColumnInfo {
  name: string;
  type: string;
}

function columnsOf(db: Database, table: string): ColumnInfo[] {
  return db.query<ColumnInfo, [string]>("SELECT name, type FROM pragma_table_info(?)").all(table);
}

/** In lower case. */
function namesOf(db: Database, table: string): Set<string> {
  return new Set(columnsOf(db, table).map((column) => column.name.toLowerCase()));
}

function columnsOfVersion({ name: table, columns }: ServerTable, version: number): string[] {
  const later = columnsAfter(version - BASE_VERSION).find(({ kind }) => kind.table === table);
  const isLater = (column: string): boolean => later?.columns.some(({ name }) => name === column) === true;
  return [...columns.keys()].filter((column) => !isLater(column));
}

/** The Python server knew no `seq`. */
function keyOf(table: ServerTable, names: Set<string>): string[] {
  return table.key.filter((column) => column !== "seq" || names.has("seq"));
}

function extraColumns(table: ServerTable, existing: ColumnInfo[]): ColumnInfo[] {
  return existing.filter((column) => !table.columns.has(column.name.toLowerCase()));
}

function createStatement(table: ServerTable, name = table.name, extra: ColumnInfo[] = []): string {
  const { key } = table;
  const columns = [
    ...Array.from(table.columns, ([column, declaration]) => `${column} ${declaration}`),
    ...extra.map((column) => `${quote(column.name)} ${column.type}`),
    ...(key.length === 0 ? [] : [`PRIMARY KEY (${key.join(", ")})`]),
  ];
  return `CREATE TABLE ${name} (${columns.join(", ")})${key.length === 0 ? "" : " WITHOUT ROWID"}`;
}

/**
 * Copies every row into a table of the new shape, with the columns that users added. Rows without a
 * key, which no command could read, go into a table of their own.
 */
function rebuild(db: Database, table: ServerTable, existing: ColumnInfo[]): string {
  const names = new Set(existing.map((column) => column.name.toLowerCase()));
  const keyInOld = keyOf(table, names);
  const missing = keyInOld.filter((column) => !names.has(column));
  if (missing.length > 0) {
    throw new SchemaError(
      `open database: table ${table.name} has no column ${missing.join(", ")}; expected ${[...table.columns.keys()].join(", ")}`,
    );
  }
  const extra = extraColumns(table, existing);
  const owned = db
    .query<{ sql: string }, [string]>(
      "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL",
    )
    .all(table.name);
  const fresh = `new_${table.name}`;
  db.run(createStatement(table, fresh, extra));
  const copied = existing.map((column) => quote(column.name)).join(", ");
  const keyed = keyInOld.map((column) => `${column} IS NOT NULL`).join(" AND ");
  const order = keyInOld.join(", ");
  db.run(
    `INSERT INTO ${fresh} (${copied}) SELECT ${copied} FROM ${table.name} WHERE ${keyed} ORDER BY ${order}`,
  );
  const count = (from: string): number =>
    Number(db.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${from}`).get()?.n);
  const rows = count(fresh);
  const unkeyed = count(`${table.name} WHERE NOT (${keyed})`);
  if (unkeyed > 0) {
    db.run(`CREATE TABLE unkeyed_${table.name} AS SELECT * FROM ${table.name} WHERE NOT (${keyed})`);
  }
  db.run(`DROP TABLE ${table.name}`);
  db.run(`ALTER TABLE ${fresh} RENAME TO ${table.name}`);
  for (const { sql } of owned) db.run(sql);
  return `${table.name} ${rows} rows${unkeyed > 0 ? ` (${unkeyed} without a key kept in unkeyed_${table.name})` : ""}`;
}
