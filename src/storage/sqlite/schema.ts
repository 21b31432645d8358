/**
 * The tables, and the one-transaction upgrade of a file that the older Python server wrote.
 *
 * Rows are clustered by key (WITHOUT ROWID), so a range of one ticker is one run of pages. The tick key is
 * ordered ticker, type, timestamp, seq: the last quote is found at once however many trades came after it.
 */
import type { Database } from "bun:sqlite";
import { AVERAGE_COLUMNS } from "../../market/moving-averages.ts";

/** PRAGMA user_version of a file in the shape below; 0 is an empty file or one of the Python server. */
export const SCHEMA_VERSION = 1;

interface TableShape {
  name: string;
  columns: [name: string, declaration: string][];
  key: string[];
}

const PRICE_COLUMNS: [string, string][] = [
  ["open", "REAL"],
  ["high", "REAL"],
  ["low", "REAL"],
  ["close", "REAL"],
  ["volume", "INTEGER"],
];

const TABLES: TableShape[] = [
  {
    name: "daily_prices",
    columns: [
      ["ticker", "TEXT NOT NULL"],
      ["date", "DATE NOT NULL"],
      ...PRICE_COLUMNS,
      ...AVERAGE_COLUMNS.map((name): [string, string] => [name, "REAL"]),
      ["write_timestamp", "DATETIME DEFAULT CURRENT_TIMESTAMP"],
    ],
    key: ["ticker", "date"],
  },
  {
    name: "hourly_prices",
    columns: [
      ["ticker", "TEXT NOT NULL"],
      ["datetime", "DATETIME NOT NULL"],
      ...PRICE_COLUMNS,
      ["write_timestamp", "DATETIME DEFAULT CURRENT_TIMESTAMP"],
    ],
    key: ["ticker", "datetime"],
  },
  {
    name: "realtime_data",
    columns: [
      ["ticker", "TEXT NOT NULL"],
      ["timestamp", "DATETIME NOT NULL"],
      ["type", "TEXT NOT NULL"],
      ["price", "REAL"],
      ["size", "INTEGER"],
      ["ask_price", "REAL"],
      ["ask_size", "INTEGER"],
      ["write_timestamp", "DATETIME DEFAULT CURRENT_TIMESTAMP"],
      ["seq", "INTEGER NOT NULL DEFAULT 0"],
    ],
    key: ["ticker", "type", "timestamp", "seq"],
  },
];

/** See ARCHITECTURE.md "Moving averages": the state before the row of `date`. */
const CHECKPOINTS = `
  CREATE TABLE daily_checkpoints (
    ticker TEXT NOT NULL, date TEXT NOT NULL, closes INTEGER NOT NULL,
    ema_8 REAL NOT NULL, ema_21 REAL NOT NULL, ema_34 REAL NOT NULL, ema_55 REAL NOT NULL, ema_89 REAL NOT NULL,
    PRIMARY KEY (ticker, date)
  ) WITHOUT ROWID`;

const CHECKPOINT_TRIGGERS = [
  `CREATE TRIGGER daily_checkpoints_insert AFTER INSERT ON daily_prices BEGIN
     DELETE FROM daily_checkpoints WHERE ticker = NEW.ticker AND date > NEW.date; END`,
  `CREATE TRIGGER daily_checkpoints_delete AFTER DELETE ON daily_prices BEGIN
     DELETE FROM daily_checkpoints WHERE ticker = OLD.ticker AND date > OLD.date; END`,
  `CREATE TRIGGER daily_checkpoints_update AFTER UPDATE OF ticker, date, close ON daily_prices
   WHEN OLD.close IS NOT NEW.close OR OLD.date IS NOT NEW.date OR OLD.ticker IS NOT NEW.ticker BEGIN
     DELETE FROM daily_checkpoints WHERE ticker = OLD.ticker AND date > OLD.date;
     DELETE FROM daily_checkpoints WHERE ticker = NEW.ticker AND date > NEW.date; END`,
];

/** The file is a SQLite database, but not one that this server can take over. */
export class SchemaError extends Error {
  override name = "SchemaError";
}

/**
 * Brings the file to SCHEMA_VERSION in one transaction: nothing happens, or all of it.
 *
 * @returns what was done, in words for the log; null if nothing was needed.
 * @throws SchemaError a newer version, or a table of ours without its key columns.
 */
export function prepareSchema(db: Database): string | null {
  const version = Number(db.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version);
  if (version === SCHEMA_VERSION) return null;
  if (version > SCHEMA_VERSION) {
    throw new SchemaError(
      `open database: its schema version is ${version}, this server knows up to ${SCHEMA_VERSION}; it was written by a newer server`,
    );
  }
  // Without this, renaming a table would rewrite, and check, the views and triggers that users made on it.
  db.run("PRAGMA legacy_alter_table=ON");
  try {
    db.run("BEGIN IMMEDIATE");
    const upgraded: string[] = [];
    for (const table of TABLES) {
      const existing = columnsOf(db, table.name);
      if (existing.length === 0) db.run(createStatement(table.name, table, []));
      else upgraded.push(rebuild(db, table, existing));
    }
    db.run(CHECKPOINTS);
    for (const trigger of CHECKPOINT_TRIGGERS) db.run(trigger);
    db.run(`PRAGMA user_version=${SCHEMA_VERSION}`);
    db.run("COMMIT");
    return upgraded.length === 0
      ? "created the tables"
      : `upgraded a file of the Python server: ${upgraded.join(", ")}`;
  } catch (error) {
    if (db.inTransaction) db.run("ROLLBACK");
    throw error;
  } finally {
    db.run("PRAGMA legacy_alter_table=OFF");
  }
}

/** What `prepareSchema` would find, and do. */
export type SchemaState =
  | { state: "current" | "empty" }
  | { state: "newer"; version: number }
  /** A file of the Python server. `own` are columns that users added, as table.column. */
  | { state: "old"; rebuilt: string[]; created: string[]; own: string[] }
  | { state: "unusable"; reason: string };

/** Reads only. */
export function inspectSchema(db: Database): SchemaState {
  const version = Number(db.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version);
  if (version > SCHEMA_VERSION) return { state: "newer", version };
  const rebuilt: string[] = [];
  const created: string[] = [];
  const own: string[] = [];
  for (const table of TABLES) {
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
  if (version === 0)
    return rebuilt.length === 0 ? { state: "empty" } : { state: "old", rebuilt, created, own };
  const lost = columnsOf(db, "daily_checkpoints").length === 0 ? [...created, "daily_checkpoints"] : created;
  if (lost.length > 0) return { state: "unusable", reason: `it has no table ${lost.join(", ")}` };
  return { state: "current" };
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

/** Copies every row into a table of the new shape. Columns that users added stay; rows without a key, which no command could ever read, are kept aside. */
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
