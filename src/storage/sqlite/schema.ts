/**
 * The tables, and the one-transaction upgrade of a file of an earlier version or of the older
 * Python server.
 *
 * Rows are clustered by key (WITHOUT ROWID), so a range of one ticker is one run of pages. The tick
 * key is ordered ticker, type, timestamp, seq: the last quote is found at once however many trades
 * came after it.
 */
import type { Database } from "bun:sqlite";
import type { PlainSchemaState } from "../file-diagnosis.ts";
import {
  ADDED_KINDS,
  type ColumnType,
  KIND_NAMES,
  keyColumns,
  kindOf,
  kindsAfter,
  type RowKind,
  tableColumns,
} from "../model/kinds.ts";

/** The version that has the first three kinds of rows. */
const BASE_VERSION = 3;
/**
 * PRAGMA user_version of a file in the shape below; 0 is an empty file or one of the Python server,
 * 1 one without an update log, 2 one without times of positions.
 */
export const SCHEMA_VERSION = BASE_VERSION + ADDED_KINDS;
/** The first that has an update log. */
const UPDATE_LOG_VERSION = 2;

const DECLARATIONS: Record<ColumnType, string> = {
  text: "TEXT",
  double: "REAL",
  count: "INTEGER",
  json: "TEXT",
  date: "DATE NOT NULL",
  second: "DATETIME NOT NULL",
  instant: "DATETIME NOT NULL",
};

interface TableShape {
  name: string;
  columns: [name: string, declaration: string][];
  key: string[];
}

export const CHECKPOINTS_TABLE = "daily_checkpoints";

const TABLES: TableShape[] = KIND_NAMES.map((name) => shapeOf(kindOf(name)));

function shapeOf(kind: RowKind): TableShape {
  const declarations = new Map<string, string>([
    ["ticker", "TEXT NOT NULL"],
    [kind.stamp.name, DECLARATIONS[kind.stamp.type]],
    ...(kind.part === null ? [] : [[kind.part, "TEXT NOT NULL"] as const]),
    ...kind.values.map(({ name, type }) => [name, DECLARATIONS[type]] as const),
    ...kind.computed.map((name) => [name, "REAL"] as const),
    ["write_timestamp", "DATETIME DEFAULT CURRENT_TIMESTAMP"],
    ["seq", "INTEGER NOT NULL DEFAULT 0"],
  ]);
  return {
    name: kind.table,
    columns: tableColumns(kind).map((column) => [column, declarations.get(column)!]),
    key: keyColumns(kind),
  };
}

/** See ARCHITECTURE.md "Moving averages": the state before the row of `date`. */
const CHECKPOINTS = `
  CREATE TABLE daily_checkpoints (
    ticker TEXT NOT NULL, date TEXT NOT NULL, closes INTEGER NOT NULL,
    ema_8 REAL NOT NULL, ema_21 REAL NOT NULL, ema_34 REAL NOT NULL, ema_55 REAL NOT NULL, ema_89 REAL NOT NULL,
    PRIMARY KEY (ticker, date)
  ) WITHOUT ROWID`;

/** By name; the text is what the file must hold of them. */
export const CHECKPOINT_TRIGGERS: Readonly<Record<string, string>> = {
  daily_checkpoints_insert: `CREATE TRIGGER daily_checkpoints_insert AFTER INSERT ON daily_prices BEGIN
     DELETE FROM daily_checkpoints WHERE ticker = NEW.ticker AND date > NEW.date; END`,
  daily_checkpoints_delete: `CREATE TRIGGER daily_checkpoints_delete AFTER DELETE ON daily_prices BEGIN
     DELETE FROM daily_checkpoints WHERE ticker = OLD.ticker AND date > OLD.date; END`,
  daily_checkpoints_update: `CREATE TRIGGER daily_checkpoints_update AFTER UPDATE OF ticker, date, close ON daily_prices
   WHEN OLD.close IS NOT NEW.close OR OLD.date IS NOT NEW.date OR OLD.ticker IS NOT NEW.ticker BEGIN
     DELETE FROM daily_checkpoints WHERE ticker = OLD.ticker AND date > OLD.date;
     DELETE FROM daily_checkpoints WHERE ticker = NEW.ticker AND date > NEW.date; END`,
};

/**
 * See ARCHITECTURE.md "Updates and positions". An id is the one before it and the size of the row:
 * the log's newest id counts what has ever been logged. The frame comes last, so that a walk over
 * the rows before it reads none of its pages.
 */
const UPDATE_LOG: Record<string, string> = {
  update_log: `CREATE TABLE update_log (
    id INTEGER PRIMARY KEY, ticker TEXT NOT NULL, seq INTEGER NOT NULL, type TEXT NOT NULL,
    saved_at INTEGER NOT NULL, save_id TEXT, frame TEXT NOT NULL
  )`,
  update_log_index: `CREATE TABLE update_log_index (
    ticker TEXT NOT NULL, seq INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (ticker, seq)
  ) WITHOUT ROWID`,
  // The newest of each ticker among what is indexed; outlives its updates.
  update_positions: `CREATE TABLE update_positions (
    ticker TEXT NOT NULL PRIMARY KEY, seq INTEGER NOT NULL, saved_at INTEGER NOT NULL
  ) WITHOUT ROWID`,
  // One row. What comes after id indexed_to is in no index yet.
  update_log_state: `CREATE TABLE update_log_state (
    id INTEGER PRIMARY KEY CHECK (id = 1), epoch TEXT NOT NULL, indexed_to INTEGER NOT NULL
  )`,
};

/** Columns that the server reads or writes, by table. */
export const SERVER_TABLE_SHAPES: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(TABLES.map(({ name, columns }) => [name, columns.map(([column]) => column)])),
  [CHECKPOINTS_TABLE]: ["ticker", "date", "closes", "ema_8", "ema_21", "ema_34", "ema_55", "ema_89"],
  update_log: ["id", "ticker", "seq", "type", "saved_at", "save_id", "frame"],
  update_log_index: ["ticker", "seq", "id"],
  update_positions: ["ticker", "seq", "saved_at"],
  update_log_state: ["id", "epoch", "indexed_to"],
};

export const UPDATE_LOG_TABLES: readonly string[] = Object.keys(UPDATE_LOG);

/** The file is a SQLite database, but not one that this server can take over. */
export class SchemaError extends Error {
  override name = "SchemaError";
}

/**
 * Brings the file to SCHEMA_VERSION in one transaction: nothing happens, or all of it.
 *
 * @returns what was done, in words for the log; null if nothing was needed.
 * @throws SchemaError a newer version, a table of ours without its key columns, or a table of the
 *   user's with a name that we need.
 */
export function prepareSchema(db: Database): string | null {
  const version = Number(db.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version);
  if (version === SCHEMA_VERSION) return null;
  if (version > SCHEMA_VERSION) {
    throw new SchemaError(
      `open database: its schema version is ${version}, this server knows up to ${SCHEMA_VERSION}; it was written by a newer server`,
    );
  }
  // Without this, renaming a table would rewrite, and check, the views and triggers that users made
  // on it.
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
  for (const table of added) db.run(createStatement(table.name, table, []));
  if (added.length > 0) done.push(`added ${names.join(", ")}`);
  return `upgraded a file of version ${version}: ${done.join(", ")}`;
}

function createOrTakeOver(db: Database): string {
  const upgraded: string[] = [];
  for (const table of TABLES) {
    const existing = columnsOf(db, table.name);
    if (existing.length === 0) db.run(createStatement(table.name, table, []));
    else upgraded.push(rebuild(db, table, existing));
  }
  db.run(CHECKPOINTS);
  for (const trigger of Object.values(CHECKPOINT_TRIGGERS)) db.run(trigger);
  return upgraded.length === 0
    ? "created the tables"
    : `upgraded a file of the Python server: ${upgraded.join(", ")}`;
}

function addUpdateLog(db: Database): void {
  refuseTaken(db, UPDATE_LOG_TABLES);
  for (const statement of Object.values(UPDATE_LOG)) db.run(statement);
  db.run("INSERT INTO update_log_state (id, epoch, indexed_to) VALUES (1, ?, 0)", [crypto.randomUUID()]);
}

/**
 * When an update was saved that is no longer in the log nobody knows: not after the newest that is.
 */
function addPositionTimes(db: Database): void {
  db.run("ALTER TABLE update_positions ADD COLUMN saved_at INTEGER NOT NULL DEFAULT 0");
  db.run(
    "UPDATE update_positions SET saved_at = coalesce((SELECT saved_at FROM update_log ORDER BY id DESC LIMIT 1), ?)",
    [Date.now()],
  );
}

/** What `prepareSchema` would find, and do. */
export type SchemaState =
  | PlainSchemaState
  /** A file of the Python server. `own` are columns that users added, as table.column. */
  | { state: "old"; rebuilt: string[]; created: string[]; own: string[] }
  /** Of an earlier version of this server: nothing is rewritten. */
  | { state: "behind"; version: number };

/** Reads only. */
export function inspectSchema(db: Database): SchemaState {
  const version = Number(db.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version);
  if (version > SCHEMA_VERSION) return { state: "newer", version };
  const rebuilt: string[] = [];
  const created: string[] = [];
  const own: string[] = [];
  // What a later version adds is not there yet, and its names must be free.
  const later = version === 0 ? [] : kindsAfter(version - BASE_VERSION).map(({ table }) => table);
  for (const table of TABLES.filter(({ name }) => !later.includes(name))) {
    const existing = columnsOf(db, table.name);
    if (existing.length === 0) {
      created.push(table.name);
      continue;
    }
    rebuilt.push(table.name);
    const names = new Set(existing.map((column) => column.name.toLowerCase()));
    const needed = version === 0 ? keyOf(table, names) : table.columns.map(([column]) => column);
    const missing = needed.filter((column) => !names.has(column));
    if (missing.length > 0)
      return { state: "unusable", reason: `table ${table.name} has no column ${missing.join(", ")}` };
    for (const column of extraColumns(table, existing)) own.push(`${table.name}.${column.name}`);
  }
  const taken = namesTaken(db, [...later, ...(version < UPDATE_LOG_VERSION ? UPDATE_LOG_TABLES : [])]);
  if (taken.length > 0) return { state: "unusable", reason: nameIsTaken(taken) };
  if (version === 0)
    return rebuilt.length === 0 ? { state: "empty" } : { state: "old", rebuilt, created, own };
  const needed = [CHECKPOINTS_TABLE, ...(version < UPDATE_LOG_VERSION ? [] : Object.keys(UPDATE_LOG))];
  const lost = [...created, ...needed.filter((table) => columnsOf(db, table).length === 0)];
  if (lost.length > 0) return { state: "unusable", reason: `it has no table ${lost.join(", ")}` };
  return version === SCHEMA_VERSION ? { state: "current" } : { state: "behind", version };
}

/** @throws SchemaError something has one of the names, whatever it is. */
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

/** Of a table that the Python server made, which knew no `seq`. */
function keyOf(table: TableShape, names: Set<string>): string[] {
  return table.key.filter((column) => column !== "seq" || names.has("seq"));
}

function extraColumns(table: TableShape, existing: ColumnInfo[]): ColumnInfo[] {
  const known = new Set(table.columns.map(([column]) => column));
  return existing.filter((column) => !known.has(column.name.toLowerCase()));
}

function createStatement(name: string, table: TableShape, extra: ColumnInfo[]): string {
  const columns = [
    ...table.columns.map(([column, declaration]) => `${column} ${declaration}`),
    ...extra.map((column) => `${quote(column.name)} ${column.type}`),
    `PRIMARY KEY (${table.key.join(", ")})`,
  ];
  return `CREATE TABLE ${name} (${columns.join(", ")}) WITHOUT ROWID`;
}

/**
 * Copies every row into a table of the new shape. Columns that users added stay; rows without a
 * key, which no command could ever read, are kept aside.
 */
function rebuild(db: Database, table: TableShape, existing: ColumnInfo[]): string {
  const names = new Set(existing.map((column) => column.name.toLowerCase()));
  const known = table.columns.map(([column]) => column);
  const keyInOld = keyOf(table, names);
  const missing = keyInOld.filter((column) => !names.has(column));
  if (missing.length > 0) {
    throw new SchemaError(
      `open database: table ${table.name} has no column ${missing.join(", ")}; expected ${known.join(", ")}`,
    );
  }
  const extra = extraColumns(table, existing);
  const owned = db
    .query<{ sql: string }, [string]>(
      "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL",
    )
    .all(table.name);
  const fresh = `new_${table.name}`;
  db.run(createStatement(fresh, table, extra));
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

function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}
