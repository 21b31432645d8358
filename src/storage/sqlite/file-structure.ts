/**
 * Finds what other programs have done to the server's tables. SQL that comes through the server
 * can't do any of it (`user-sql-check.ts`); a program that opens the file can.
 */
import type { Database } from "bun:sqlite";
import {
  CHECKPOINT_TRIGGERS,
  CHECKPOINTS,
  isBookkeeping,
  isServerTable,
  isServerTrigger,
  quote,
  REQUEST_INDEX,
  SERVER_TABLES,
} from "./tables.ts";

interface SchemaRow {
  type: string;
  name: string;
  tbl_name: string;
  sql: string | null;
}

/** In `table_xinfo`. */
const GENERATED = [2, 3];

/**
 * Why the server can't save into the file; null: it can. Without a table it doesn't start either.
 */
export function structureFault(db: Database): string | null {
  const rows = schemaOf(db);
  for (const { name: table, columns } of SERVER_TABLES) {
    const row = rows.find(({ name, type }) => name.toLowerCase() === table && type !== "trigger");
    if (row === undefined) return `the table ${table} is missing`;
    if (row.type !== "table") return `${table} is a ${row.type}, expected a table`;
    const there = columnsOf(db, table).map(({ name }) => name.toLowerCase());
    const lost = [...columns.keys()].filter((column) => !there.includes(column));
    if (lost.length > 0) return `the table ${table} has no column ${lost.join(", ")}`;
  }
  for (const [name, sql] of Object.entries(CHECKPOINT_TRIGGERS)) {
    const row = rows.find((each) => each.type === "trigger" && each.name === name);
    if (row === undefined || plain(row.sql) !== plain(sql))
      return `the server's trigger ${name} is ${row === undefined ? "missing" : "another"}`;
  }
  const hook = rows.find(({ type, tbl_name }) => type === "trigger" && isBookkeeping(tbl_name));
  return hook === undefined
    ? null
    : `the trigger ${hook.name} is on ${hook.tbl_name}, which only the server writes`;
}

/**
 * Puts the server's triggers right, and drops those of others on its bookkeeping. @returns what was
 * done, a sentence each.
 */
export function mendHooks(db: Database): string[] {
  const done: string[] = [];
  const triggers = schemaOf(db).filter(({ type }) => type === "trigger");
  for (const { name, tbl_name } of triggers.filter((row) => isBookkeeping(row.tbl_name))) {
    db.run(`DROP TRIGGER ${quote(name)}`);
    done.push(`the trigger ${name} was on ${tbl_name}, which only the server writes: it has been dropped`);
  }
  for (const [name, sql] of Object.entries(CHECKPOINT_TRIGGERS)) {
    const row = triggers.find((each) => each.name === name);
    if (row !== undefined && plain(row.sql) === plain(sql)) continue;
    if (row !== undefined) db.run(`DROP TRIGGER ${quote(name)}`);
    db.run(sql);
    // They may have missed changes; they are made anew from the closes.
    db.run(`DELETE FROM ${CHECKPOINTS.name}`);
    done.push(
      `the server's trigger ${name} was ${row === undefined ? "missing" : "another"}: it has been made anew`,
    );
  }
  return done;
}

/** What others have put on the tables with prices, a sentence each. The server leaves it there. */
export function foreignHooks(db: Database): string[] {
  const found: string[] = [];
  for (const { type, name, tbl_name, sql } of schemaOf(db)) {
    if (!isServerTable(tbl_name)) continue;
    if (type === "trigger" && !isServerTrigger(name))
      found.push(
        `the trigger ${name} on ${tbl_name} runs within saves and can refuse, change or hold them up; DROP TRIGGER ${quote(name)} takes it away`,
      );
    if (type === "index" && sql !== null && name !== REQUEST_INDEX.name)
      found.push(
        `the index ${name} on ${tbl_name} costs every save, and can refuse rows; DROP INDEX ${quote(name)} takes it away`,
      );
  }
  for (const { name: table } of SERVER_TABLES) {
    for (const { name, hidden } of columnsOf(db, table))
      if (GENERATED.includes(hidden))
        found.push(
          `the generated column ${table}.${name} is computed by reads or saves; ALTER TABLE ${table} DROP COLUMN ${quote(name)} takes it away, with the server stopped`,
        );
  }
  const parents = db.query<{ child: string; parent: string }, []>(
    `SELECT m.name AS child, f."table" AS parent FROM sqlite_schema AS m, pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table'`,
  );
  for (const { child, parent } of parents.all())
    if (isServerTable(child) || isServerTable(parent))
      found.push(
        `the foreign key of ${child} to ${parent} has no effect on saves, as the server keeps foreign keys off`,
      );
  return found;
}

function schemaOf(db: Database): SchemaRow[] {
  return db.query<SchemaRow, []>("SELECT type, name, tbl_name, sql FROM sqlite_schema").all();
}

function columnsOf(db: Database, table: string): { name: string; hidden: number }[] {
  return db
    .query<{ name: string; hidden: number }, [string]>("SELECT name, hidden FROM pragma_table_xinfo(?)")
    .all(table);
}

/** SQLite keeps a text as it was written. */
function plain(sql: string | null): string {
  return (sql ?? "").replace(/\s+/g, " ").trim();
}
