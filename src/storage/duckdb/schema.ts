/**
 * Creates the tables, and upgrades files of earlier versions and of the Python server, each in one
 * transaction. DESIGN.md says why the tables have no primary keys.
 */
import { FORGET_COARSE_AVERAGES_SQL } from "../daily-series.ts";
import type { PlainSchemaState } from "../file-diagnosis.ts";
import {
  ADDITIONS_MADE,
  ADDITIONS_OF_SAVE_COUNTS,
  type ColumnType,
  columnsAfter,
  countColumns,
  KIND_NAMES,
  KINDS,
  keyColumns,
  kindOf,
  kindsAfter,
  NOTES_TABLE,
  type RowKind,
  TABLE_NAMES,
  tableColumns,
  tablesAfter,
} from "../model/kinds.ts";
import { converted, findMisfit, WIDE_TYPES } from "./count-columns.ts";
import type { Session } from "./session.ts";

/** The version with the first three kinds of rows. */
const BASE_VERSION = 2;
/** Stored in `stock_db_schema`. A file without that table is empty or the Python server's. */
export const SCHEMA_VERSION = BASE_VERSION + ADDITIONS_MADE;
const SAVE_COUNTS_VERSION = BASE_VERSION + ADDITIONS_OF_SAVE_COUNTS;

type DeclaredColumn = [name: string, declaration: string];

interface TableShape {
  name: string;
  columns: DeclaredColumn[];
  stamp: string;
  /** SQL for the stamp of an old row; it gives null if the row has none. */
  readStamp(column: string): string;
  key: string[];
}

const COUNT_COLUMNS = new Set(KIND_NAMES.flatMap((name) => countColumns(kindOf(name))));
const DECLARATIONS: Record<ColumnType, string> = {
  text: "VARCHAR",
  double: "DOUBLE",
  count: "BIGINT",
  json: "VARCHAR",
  date: "DATE",
  second: "TIMESTAMP",
  instant: "TIMESTAMP",
};
/**
 * Has no default: DuckDB would plan each INSERT anew, which triples the work of a small save.
 * `stampInserted` fills the column in rows that users insert.
 */
const WRITE_TIMESTAMP: DeclaredColumn = ["write_timestamp", "TIMESTAMP"];

const asTimestamp = (column: string): string => `TRY_CAST(${column} AS TIMESTAMP)`;

export const TABLES: TableShape[] = KIND_NAMES.map((name) => shapeOf(kindOf(name)));

function shapeOf(kind: RowKind): TableShape {
  const declarations = new Map<string, string>([
    ["ticker", "VARCHAR NOT NULL"],
    [kind.stamp.name, `${DECLARATIONS[kind.stamp.type]} NOT NULL`],
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

/** See daily-saves.ts. A row holds the state before the row of its `date`. */
const CHECKPOINTS = `daily_checkpoints (
    ticker VARCHAR NOT NULL, date DATE NOT NULL, closes BIGINT NOT NULL,
    emas DOUBLE[] NOT NULL, recent DOUBLE[] NOT NULL, closes_hash UBIGINT)`;

/**
 * See update-log.ts. Rows are in the order of commits. `size` counts the UTF-16 units of the frame;
 * `saved_at` is in ms since 1970.
 */
const UPDATE_TABLES = [
  `update_log (
    id BIGINT NOT NULL, ticker VARCHAR NOT NULL, seq BIGINT NOT NULL, type VARCHAR NOT NULL, saved_at BIGINT NOT NULL,
    save_id VARCHAR, size BIGINT NOT NULL, frame VARCHAR NOT NULL, request_key VARCHAR, counts VARCHAR)`,
  "update_positions (ticker VARCHAR NOT NULL, seq BIGINT NOT NULL, saved_at BIGINT NOT NULL)",
  "update_epoch (epoch VARCHAR NOT NULL)",
];

const NOTES = `${NOTES_TABLE} (name VARCHAR NOT NULL, value VARCHAR NOT NULL)`;

/** Columns of the log that a file lacks where it tells no counts of saves. */
const SAVE_COUNT_COLUMNS: DeclaredColumn[] = [
  ["request_key", "VARCHAR"],
  ["counts", "VARCHAR"],
];
const INDEXES =
  "SELECT sql FROM duckdb_indexes() WHERE schema_name = 'main' AND table_name = $1 AND sql IS NOT NULL";

/** Only the server writes rows of these. */
export const BOOKKEEPING_TABLES = [
  "daily_checkpoints",
  "stock_db_schema",
  "update_log",
  "update_positions",
  "update_epoch",
  NOTES_TABLE,
] as const;

/** This server can't take over the DuckDB database. */
class SchemaError extends Error {
  override name = "SchemaError";
}

/**
 * Brings the file to SCHEMA_VERSION in one transaction.
 *
 * @param schema where tables are created: see own-names.ts.
 * @returns what was done, for the log; null: nothing.
 * @throws SchemaError the version is newer, or a table or a column of its key is missing.
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
    await session.connection.run(`CREATE TABLE ${schema}.${NOTES}`);
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

/** Upgrades an earlier version. @throws SchemaError another object has the name of a new table. */
async function bringUp(session: Session, schema: string, version: number): Promise<string> {
  const done: string[] = [];
  if (version < BASE_VERSION) {
    await addUpdateLog(session, schema);
    await dropDefaults(session);
    done.push("the log of updates");
  }
  for (const table of kindsAfter(version - BASE_VERSION).map(shapeOf)) {
    await requireFree(session, table.name);
    await session.connection.run(createStatement(`${schema}.${table.name}`, table.columns));
    done.push(table.name);
  }
  for (const name of tablesAfter(version - BASE_VERSION)) {
    await requireFree(session, name);
    await session.connection.run(`CREATE TABLE ${schema}.${NOTES}`);
    done.push(name);
  }
  for (const { kind, columns } of columnsAfter(version - BASE_VERSION)) {
    const declared = columns.map(({ name, type }): DeclaredColumn => [name, DECLARATIONS[type]]);
    done.push(...(await addColumns(session, schema, { table: kind.table, columns: declared })));
  }
  if (version < SAVE_COUNTS_VERSION)
    await addColumns(session, schema, { table: "update_log", columns: SAVE_COUNT_COLUMNS });
  if (done.includes(KINDS.actions.table)) await session.run(FORGET_COARSE_AVERAGES_SQL);
  return `added ${done.join(", ")}`;
}

/** @throws SchemaError */
async function requireFree(session: Session, table: string): Promise<void> {
  if ((await columnsOf(session, table)).length > 0)
    throw new SchemaError(
      `open database: the server needs the name ${table} for a table of its own, and something else has it; rename that`,
    );
}

/**
 * A column of that name that a user added becomes the server's.
 *
 * @param schema where tables are created.
 * @returns the columns that were added.
 */
async function addColumns(
  session: Session,
  schema: string,
  { table, columns }: { table: string; columns: DeclaredColumn[] },
): Promise<string[]> {
  const there = new Map(
    (await columnsOf(session, table)).map(({ name, type }) => [name.toLowerCase(), type]),
  );
  const wanted = columns.filter(([name, type]) => there.get(name) !== type);
  if (wanted.length === 0) return [];
  const changes = wanted.map(([name, type]) =>
    there.has(name) ? `ALTER ${quote(name)} SET DATA TYPE ${type}` : `ADD COLUMN ${quote(name)} ${type}`,
  );
  const indexes = await session.rows(INDEXES, [table]);
  if (indexes.length === 0)
    for (const change of changes) await session.connection.run(`ALTER TABLE ${table} ${change}`);
  else await remake(session, { schema, table, changes, indexes: indexes.map(([sql]) => String(sql)) });
  return wanted.map(([name]) => `${table}.${name}`);
}

/**
 * DuckDB can't alter a table with an index, and crashes where one transaction takes the index away,
 * alters the table and makes it again. So the rows go into a new table.
 */
async function remake(
  session: Session,
  {
    schema,
    table,
    changes,
    indexes,
  }: { schema: string; table: string; changes: string[]; indexes: string[] },
): Promise<void> {
  const { connection } = session;
  const [[sql]] = (await session.rows(
    "SELECT sql FROM duckdb_tables() WHERE schema_name = 'main' AND table_name = $1",
    [table],
  )) as [[string]];
  const fresh = `new_${table}`;
  await connection.run(sql.replace(/^CREATE TABLE [^(]*/, `CREATE TABLE ${schema}.${fresh}`));
  for (const change of changes) await connection.run(`ALTER TABLE ${fresh} ${change}`);
  await connection.run(`INSERT INTO ${fresh} BY NAME SELECT * FROM ${table}`);
  await connection.run(`DROP TABLE ${table}`);
  await connection.run(`ALTER TABLE ${fresh} RENAME TO ${table}`);
  for (const index of indexes) await connection.run(index);
}

async function addUpdateLog(session: Session, schema: string): Promise<void> {
  for (const table of UPDATE_TABLES) await session.connection.run(`CREATE TABLE ${schema}.${table}`);
}

/** DuckDB can't alter a table with an index: it keeps its default, and saves take longer. */
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
  | { state: "old"; tables: string[] };

/** Finds what `prepareSchema` would, and changes nothing. */
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

/** The table or column that another program took from a file of this version; null: none. */
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

/** Types of the columns that hold counts, by `table.column`. */
export type CountTypes = Map<string, string>;

export async function readCountTypes(session: Session): Promise<CountTypes> {
  const rows = await session.rows(
    `SELECT table_name || '.' || column_name, data_type FROM duckdb_columns()
     WHERE schema_name = 'main' AND NOT internal AND table_name IN (${texts(TABLE_NAMES)})
       AND column_name IN (${texts([...COUNT_COLUMNS])})`,
  );
  return new Map(rows.map(([column, type]) => [String(column), String(type)]));
}

/** The names as SQL texts for an IN. */
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

/** A column that holds counts in an old table. */
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
 * Copies an old table into one of the new shape, sorted by key. Columns that users added stay. Rows
 * without a key, which no command could read, go to a table of their own; so do the older rows of a
 * key that is there twice.
 */
async function rebuild(
  session: Session,
  { schema, table, existing }: { schema: string; table: TableShape; existing: ColumnInfo[] },
): Promise<string> {
  const { connection } = session;
  const old = oldRowsOf(table, existing);
  const { columns, targets, sources } = await planCopy(session, { table, existing, old });
  const indexes = await session.rows(INDEXES, [table.name]);
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

/** SQL that reads an old table. */
interface OldRows {
  /** The old columns, quoted, by their names in lower case. */
  names: Map<string, string>;
  oldValue(column: string): string;
  key: string[];
  /** All rows, each with its number among the rows of its key. */
  numbered: string;
  /** The condition for rows of `numbered` to be copied. */
  kept: string;
  /** Ticks that share a stamp get the numbers 0, 1, 2 … in the stored order. */
  numbersTicks: boolean;
}

/** @throws SchemaError the table lacks a column of its key. */
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

/** The columns of the new table, and what fills which of them. */
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

/** The columns of the shape, with a wide type for counts that BIGINT can't hold. */
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
