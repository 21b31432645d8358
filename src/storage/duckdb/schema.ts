/**
 * The tables, and the one-transaction upgrade of a file of an earlier version, or one that the
 * older Python server wrote.
 *
 * No primary keys: DuckDB's indexes of several columns are used for neither ranges nor joins, take
 * up to 120 bytes of memory a row, and make a bulk save twice as long. Ranges and look-ups go by
 * the smallest and largest values that DuckDB keeps of every 122,880 rows, and it is the writer,
 * the only one there is, that stores no key twice.
 */
import type { PlainSchemaState } from "../file-diagnosis.ts";
import {
  ADDED_KINDS,
  type ColumnType,
  countColumns,
  KIND_NAMES,
  keyColumns,
  kindOf,
  kindsAfter,
  type RowKind,
  TABLE_NAMES,
  tableColumns,
} from "../model/kinds.ts";
import { converted, findMisfit, WIDE_TYPES } from "./count-columns.ts";
import type { Session } from "./session.ts";

/** The version that has the first three kinds of rows. */
const BASE_VERSION = 2;
/** In `stock_db_schema`; a file without that table is empty or one of the Python server. */
export const SCHEMA_VERSION = BASE_VERSION + ADDED_KINDS;

type DeclaredColumn = [name: string, declaration: string];

interface TableShape {
  name: string;
  columns: DeclaredColumn[];
  stamp: string;
  /** Expression of the stamp of an old row, null if it has none. */
  readStamp(column: string): string;
  key: string[];
}

const COUNT_COLUMNS = new Set(KIND_NAMES.flatMap((name) => countColumns(kindOf(name))));
const DECLARATIONS: Record<ColumnType, string> = {
  text: "VARCHAR",
  double: "DOUBLE",
  count: "BIGINT",
  json: "VARCHAR",
  date: "DATE NOT NULL",
  second: "TIMESTAMP NOT NULL",
  instant: "TIMESTAMP NOT NULL",
};
/**
 * Without a default, although users insert rows too (inserted-keys.ts): with one of the current
 * time DuckDB plans each INSERT anew, three times the work of a small save.
 */
const WRITE_TIMESTAMP: DeclaredColumn = ["write_timestamp", "TIMESTAMP"];

const asTimestamp = (column: string): string => `TRY_CAST(${column} AS TIMESTAMP)`;

export const TABLES: TableShape[] = KIND_NAMES.map((name) => shapeOf(kindOf(name)));

function shapeOf(kind: RowKind): TableShape {
  const declarations = new Map<string, string>([
    ["ticker", "VARCHAR NOT NULL"],
    [kind.stamp.name, DECLARATIONS[kind.stamp.type]],
    ...(kind.part === null ? [] : [[kind.part, "VARCHAR NOT NULL"] as const]),
    ...kind.values.map(({ name, type }) => [name, DECLARATIONS[type]] as const),
    ...kind.computed.map((name) => [name, "DOUBLE"] as const),
    WRITE_TIMESTAMP,
    ["seq", "BIGINT NOT NULL DEFAULT 0"],
  ]);
  return {
    name: kind.table,
    columns: tableColumns(kind).map((column) => [column, declarations.get(column)!]),
    stamp: kind.stamp.name,
    readStamp: kind.stamp.type === "date" ? (column) => `${asTimestamp(column)}::DATE` : asTimestamp,
    key: keyColumns(kind),
  };
}

/** See daily-averages.ts: the state before the row of `date`. */
const CHECKPOINTS = `daily_checkpoints (
    ticker VARCHAR NOT NULL, date DATE NOT NULL, closes BIGINT NOT NULL,
    emas DOUBLE[] NOT NULL, recent DOUBLE[] NOT NULL, closes_hash UBIGINT)`;

/**
 * See update-log.ts. Without an index, and in order of commits. `size` is that of the frame, in
 * UTF-16 units; `saved_at` in ms since 1970.
 */
const UPDATE_TABLES = [
  `update_log (
    id BIGINT NOT NULL, ticker VARCHAR NOT NULL, seq BIGINT NOT NULL, type VARCHAR NOT NULL, saved_at BIGINT NOT NULL,
    save_id VARCHAR, size BIGINT NOT NULL, frame VARCHAR NOT NULL)`,
  "update_positions (ticker VARCHAR NOT NULL, seq BIGINT NOT NULL, saved_at BIGINT NOT NULL)",
  "update_epoch (epoch VARCHAR NOT NULL)",
];

/** Rows of these are the server's alone. */
export const BOOKKEEPING_TABLES = [
  "daily_checkpoints",
  "stock_db_schema",
  "update_log",
  "update_positions",
  "update_epoch",
] as const;

/** The file is a DuckDB database, but not one that this server can take over. */
class SchemaError extends Error {
  override name = "SchemaError";
}

/**
 * Brings the file to SCHEMA_VERSION in one transaction: nothing happens, or all of it.
 *
 * @param schema where tables are created, see own-names.ts.
 * @returns what was done, in words for the log; null if nothing was needed.
 * @throws SchemaError a newer version, a table of ours without its key columns, or one that another
 *   program has taken away.
 */
export async function prepareSchema(session: Session, schema: string): Promise<string | null> {
  const version = await versionOf(session);
  if (version === SCHEMA_VERSION) {
    const lack = await lackOf(session);
    if (lack === null) return null;
    throw new SchemaError(`open database: ${lack}; put back a copy of the file`);
  }
  if (version > SCHEMA_VERSION) {
    throw new SchemaError(
      `open database: its schema version is ${version}, this server knows up to ${SCHEMA_VERSION}; it was written by a newer server`,
    );
  }
  await session.run("BEGIN TRANSACTION");
  try {
    if (version > 0) {
      const done = await bringUp(session, schema, version);
      await session.run("UPDATE stock_db_schema SET version = $1", [SCHEMA_VERSION]);
      await session.run("COMMIT");
      return done;
    }
    await addUpdateLog(session, schema);
    const upgraded: string[] = [];
    for (const table of TABLES) {
      const existing = await columnsOf(session, table.name);
      if (existing.length === 0)
        await session.connection.run(createStatement(`${schema}.${table.name}`, table.columns));
      else upgraded.push(await rebuild(session, { schema, table, existing }));
    }
    await session.connection.run(`CREATE TABLE ${schema}.${CHECKPOINTS}`);
    await session.connection.run(`CREATE TABLE ${schema}.stock_db_schema (version INTEGER NOT NULL)`);
    await session.connection.run(`INSERT INTO stock_db_schema VALUES (${SCHEMA_VERSION})`);
    await session.run("COMMIT");
    return upgraded.length === 0
      ? "created the tables"
      : `upgraded a file of the Python server: ${upgraded.join(", ")}`;
  } catch (error) {
    await session.run("ROLLBACK");
    throw error;
  }
}

/** Of a file of an earlier version. @throws SchemaError something else has a name that it needs. */
async function bringUp(session: Session, schema: string, version: number): Promise<string> {
  const done: string[] = [];
  if (version < BASE_VERSION) {
    await addUpdateLog(session, schema);
    await dropDefaults(session);
    done.push("the log of updates");
  }
  for (const table of kindsAfter(version - BASE_VERSION).map(shapeOf)) {
    if ((await columnsOf(session, table.name)).length > 0)
      throw new SchemaError(
        `open database: the server needs the name ${table.name} for a table of its own, and something else has it; rename that`,
      );
    await session.connection.run(createStatement(`${schema}.${table.name}`, table.columns));
    done.push(table.name);
  }
  return `added ${done.join(", ")}`;
}

async function addUpdateLog(session: Session, schema: string): Promise<void> {
  for (const table of UPDATE_TABLES) await session.connection.run(`CREATE TABLE ${schema}.${table}`);
}

/** A table with an index can't be altered; it keeps its default, and its saves take longer. */
async function dropDefaults(session: Session): Promise<void> {
  for (const table of TABLE_NAMES) {
    const indexes = await session.rows(
      "SELECT 1 FROM duckdb_indexes() WHERE schema_name = 'main' AND table_name = $1",
      [table],
    );
    const columns = (await columnsOf(session, table)).map(({ name }) => name);
    if (indexes.length === 0 && columns.includes("write_timestamp")) {
      await session.connection.run(`ALTER TABLE ${table} ALTER write_timestamp DROP DEFAULT`);
    }
  }
}

export type SchemaState =
  | PlainSchemaState
  | { state: "earlier"; version: number }
  /** Tables of the Python server. */
  | { state: "old"; tables: string[] };

/** What `prepareSchema` would find, changing nothing. */
export async function inspectSchema(session: Session): Promise<SchemaState> {
  const version = await versionOf(session);
  if (version === SCHEMA_VERSION) {
    const lack = await lackOf(session);
    return lack === null ? { state: "current" } : { state: "unusable", reason: lack };
  }
  if (version > SCHEMA_VERSION) return { state: "newer", version };
  if (version > 0) return { state: "earlier", version };
  const tables: string[] = [];
  for (const { name, key } of TABLES) {
    const columns = (await columnsOf(session, name)).map((column) => column.name.toLowerCase());
    if (columns.length === 0) continue;
    const missing = key.filter((column) => column !== "seq" && !columns.includes(column));
    if (missing.length > 0)
      return { state: "unusable", reason: `table ${name} has no column ${missing.join(", ")}` };
    tables.push(name);
  }
  return tables.length === 0 ? { state: "empty" } : { state: "old", tables };
}

/**
 * What a file of this version no longer has, because another program took it away; null: nothing.
 */
async function lackOf(session: Session): Promise<string | null> {
  for (const { name, columns } of TABLES) {
    const there = new Set((await columnsOf(session, name)).map((column) => column.name.toLowerCase()));
    if (there.size === 0) return `it has no table ${name}`;
    const missing = columns.map(([column]) => column).filter((column) => !there.has(column));
    if (missing.length > 0) return `table ${name} has no column ${missing.join(", ")}`;
  }
  for (const name of BOOKKEEPING_TABLES)
    if ((await columnsOf(session, name)).length === 0) return `it has no table ${name}`;
  return null;
}

/** Types of the columns that hold counts, by `table.column`: see count-columns.ts. */
export type CountTypes = Map<string, string>;

export async function readCountTypes(session: Session): Promise<CountTypes> {
  const rows = await session.rows(
    `SELECT table_name || '.' || column_name, data_type FROM duckdb_columns()
     WHERE schema_name = 'main' AND NOT internal AND table_name IN (${texts(TABLE_NAMES)})
       AND column_name IN (${texts([...COUNT_COLUMNS])})`,
  );
  return new Map(rows.map(([column, type]) => [String(column), String(type)]));
}

/** The names as texts in SQL, for an IN. */
export function texts(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(", ");
}

async function versionOf(session: Session): Promise<number> {
  const known = await session.rows(
    "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'main' AND table_name = 'stock_db_schema'",
  );
  if (known.length === 0) return 0;
  const rows = await session.rows("SELECT max(version) FROM stock_db_schema");
  return Number(rows[0]?.[0] ?? 0);
}

/** A column of counts of an old table. */
interface OldCount {
  /** Quoted. */
  name: string;
  type: string;
}

interface ColumnInfo {
  name: string;
  type: string;
}

async function columnsOf(session: Session, table: string): Promise<ColumnInfo[]> {
  const rows = await session.rows(
    `SELECT column_name, data_type FROM duckdb_columns()
     WHERE schema_name = 'main' AND NOT internal AND table_name = $1 ORDER BY column_index`,
    [table],
  );
  return rows.map(([name, type]) => ({ name: String(name), type: String(type) }));
}

function createStatement(name: string, columns: DeclaredColumn[]): string {
  const list = columns.map(([column, declaration]) => `${quote(column)} ${declaration}`);
  return `CREATE TABLE ${name} (${list.join(", ")})`;
}

/**
 * Copies every row into a table of the new shape, one ticker after the other. Columns that users
 * added stay. Rows without a key, which no command could ever read, and older rows of a key that is
 * there twice are kept aside.
 */
async function rebuild(
  session: Session,
  { schema, table, existing }: { schema: string; table: TableShape; existing: ColumnInfo[] },
): Promise<string> {
  const { connection } = session;
  const old = oldRowsOf(table, existing);
  const { columns, targets, sources } = await planCopy(session, { table, existing, old });
  const indexes = await session.rows(
    "SELECT sql FROM duckdb_indexes() WHERE schema_name = 'main' AND table_name = $1 AND sql IS NOT NULL",
    [table.name],
  );
  const fresh = `new_${table.name}`;
  await connection.run(createStatement(`${schema}.${fresh}`, columns));
  await connection.run(
    `INSERT INTO ${fresh} (${targets.join(", ")}) SELECT ${sources.join(", ")}
     FROM (${old.numbered}) WHERE ${old.kept} ORDER BY ${old.key.join(", ")}`,
  );
  const rows = await countRows(session, fresh);
  const aside = (await countRows(session, table.name)) - rows;
  if (aside > 0) {
    await connection.run(
      `CREATE TABLE ${schema}.unkeyed_${table.name} AS SELECT * EXCLUDE ("nth of key", "rows of key")
       FROM (${old.numbered}) WHERE (${old.kept}) IS NOT TRUE`,
    );
  }
  await connection.run(`DROP TABLE ${table.name}`);
  await connection.run(`ALTER TABLE ${fresh} RENAME TO ${table.name}`);
  for (const [sql] of indexes) await connection.run(String(sql));
  const kept = `${aside} without a key of their own kept in unkeyed_${table.name}`;
  return `${table.name} ${rows} rows${aside > 0 ? ` (${kept})` : ""}`;
}

/** The rows of an old table, as SQL. */
interface OldRows {
  /** The old columns, quoted, by their names in lower case. */
  names: Map<string, string>;
  oldValue(column: string): string;
  key: string[];
  /** All rows, each with its number among those of its key. */
  numbered: string;
  /** Which of `numbered` are copied. */
  kept: string;
  /** Ticks that share a stamp become 0, 1, 2 … in the order stored. */
  numbersTicks: boolean;
}

/** @throws SchemaError the table has not the columns of its key. */
function oldRowsOf(table: TableShape, existing: ColumnInfo[]): OldRows {
  const names = new Map(existing.map(({ name }) => [name.toLowerCase(), quote(name)]));
  const hasSeq = names.has("seq");
  const keys = table.key.filter((column) => column !== "seq" || hasSeq);
  const missing = keys.filter((column) => !names.has(column));
  if (missing.length > 0) {
    const expected = table.columns.map(([name]) => name).join(", ");
    throw new SchemaError(
      `open database: table ${table.name} has no column ${missing.join(", ")}; expected ${expected}`,
    );
  }
  const oldValue = (column: string): string => {
    const name = names.get(column)!;
    return column === table.stamp ? table.readStamp(name) : column === "seq" ? `coalesce(${name}, 0)` : name;
  };
  const key = keys.map(oldValue);
  const numbersTicks = table.key.includes("seq") && !hasSeq;
  return {
    names,
    oldValue,
    key,
    numbersTicks,
    numbered: `SELECT *, row_number() OVER (PARTITION BY ${key.join(", ")} ORDER BY rowid) AS "nth of key",
      count(*) OVER (PARTITION BY ${key.join(", ")}) AS "rows of key" FROM ${table.name}`,
    kept: [
      ...key.map((value) => `${value} IS NOT NULL`),
      ...(numbersTicks ? [] : [`"nth of key" = "rows of key"`]),
    ].join(" AND "),
  };
}

/** The columns of the new table, and which of them are filled with what. */
async function planCopy(
  session: Session,
  { table, existing, old }: { table: TableShape; existing: ColumnInfo[]; old: OldRows },
): Promise<{ columns: DeclaredColumn[]; targets: string[]; sources: string[] }> {
  const counts = new Map(
    existing
      .map(({ name, type }) => [name.toLowerCase(), { name: quote(name), type }] as const)
      .filter(([column]) => COUNT_COLUMNS.has(column)),
  );
  const columns = await columnsWithRoom(session, table, counts);
  const copied = columns.filter(([column]) => old.names.has(column));
  const known = new Set(columns.map(([column]) => column));
  const extra = existing.filter(({ name }) => !known.has(name.toLowerCase()));
  const extraNames = extra.map(({ name }) => quote(name));
  return {
    columns: [...columns, ...extra.map(({ name, type }): DeclaredColumn => [name, type])],
    targets: [
      ...copied.map(([column]) => quote(column)),
      ...extraNames,
      ...(old.numbersTicks ? ["seq"] : []),
    ],
    sources: [
      ...copied.map(([column, type]) => {
        const count = counts.get(column);
        return count === undefined ? old.oldValue(column) : converted(count.name, count.type, type);
      }),
      ...extraNames,
      ...(old.numbersTicks ? [`"nth of key" - 1`] : []),
    ],
  };
}

/** The shape's columns; those of counts wide where BIGINT can't hold an old one. */
async function columnsWithRoom(
  session: Session,
  table: TableShape,
  oldCounts: Map<string, OldCount>,
): Promise<DeclaredColumn[]> {
  const columns: DeclaredColumn[] = [];
  for (const [column, declaration] of table.columns) {
    const old = oldCounts.get(column);
    columns.push([column, old === undefined ? declaration : await typeFor(session, table.name, old)]);
  }
  return columns;
}

/** @throws SchemaError */
async function typeFor(session: Session, table: string, { name, type }: OldCount): Promise<string> {
  const double = `TRY_CAST(${name} AS DOUBLE)`;
  const beyondBigint = await session.rows(
    `SELECT 1 FROM ${table} WHERE ${double} <> trunc(${double}) OR (${double} IS NOT NULL AND TRY_CAST(${name} AS BIGINT) IS NULL) LIMIT 1`,
  );
  if (beyondBigint.length === 0) return "BIGINT";
  const reasons: string[] = [];
  for (const to of WIDE_TYPES) {
    const misfit = await findMisfit(session, { table, column: name, from: type, to });
    if (misfit === null) return to;
    reasons.push(`${to} has no room for ${misfit}`);
  }
  throw new SchemaError(
    `open database: no type holds every value of ${table}.${name} exactly: ${reasons.join("; ")}`,
  );
}

async function countRows(session: Session, table: string): Promise<number> {
  const rows = await session.rows(`SELECT count(*) FROM ${table}`);
  return Number(rows[0]?.[0] ?? 0);
}

function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}
