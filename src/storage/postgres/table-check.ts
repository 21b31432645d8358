/**
 * Checks whether a table of one of the server's names works like the server's. Another program may
 * have made it: its additional columns don't matter, but other types give other answers.
 */
import { textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";
import { OWN_TABLES } from "./own-names.ts";
import { TABLES, type Table } from "./table-definitions.ts";

export interface TableProblem {
  problem: string;
  advice: string;
}

/** A table that lacks more columns is of another kind, and adding columns is no advice. */
const ADDED_MAX = 3;
const VERSIONS: Table = { name: "stock_db_schema", columns: ["version integer NOT NULL"], key: "" };

/** Values of pg_class.relkind. */
const TABLE_KINDS = new Set(["r", "p"]);
const KINDS: Record<string, string> = {
  v: "a view",
  m: "a materialized view",
  f: "a foreign table",
  i: "an index",
  I: "an index",
  S: "a sequence",
  c: "a type",
};
/** For each type of the server, the types that work alike, as format_type names them. */
const ALIKE: Record<string, string[]> = {
  text: ["text", "character varying"],
  date: ["date"],
  timestamptz: ["timestamp with time zone", "timestamp(6) with time zone"],
  "double precision": ["double precision"],
  // An older server made bigint; see counts.ts.
  numeric: ["numeric", "bigint"],
  bigint: ["bigint"],
  // Some databases know no smaller one.
  integer: ["integer", "bigint"],
};
const COLLATIONS_OF_BYTES = /^(C|POSIX|ucs_basic|C[._]utf-?8|pg_c_utf8)$/i;

type Relation = { name: string; kind: string };
type Column = {
  table: string;
  number: number;
  name: string;
  type: string;
  required: boolean;
  filled: boolean;
  identity: string;
  generated: string;
  collation: string | null;
};
type Key = { table: string; columns: string; length: number; primary: boolean };

interface Found {
  relations: Relation[];
  columns: Column[];
  keys: Key[];
  /** Holds for texts whose column has no collation of its own. */
  comparesBytes: boolean;
}

/**
 * @param state `before` the tables are made, or `made`.
 * @param lacking `table.column` of what an upgrade adds.
 */
export async function findTableProblems(
  connection: PostgresConnection,
  state: "before" | "made",
  lacking: readonly string[] = [],
): Promise<TableProblem[]> {
  const found = await look(connection, state);
  return [...TABLES, VERSIONS]
    .map((table) => without(table, lacking))
    .flatMap((table) => {
      const relation = found.relations.find(({ name }) => name === table.name);
      if (relation === undefined) return state === "before" ? [] : [missingTable(table)];
      if (!TABLE_KINDS.has(relation.kind)) {
        const problem = `${table.name} is ${KINDS[relation.kind] ?? "no table"}`;
        return [{ problem, advice: "rename it, so that the server can make a table of that name" }];
      }
      return [...columnProblems(table, found), ...keyProblems(table, found)];
    });
}

function without({ name, columns, key }: Table, lacking: readonly string[]): Table {
  const isThere = (text: string): boolean => !lacking.includes(`${name}.${definitionOf(text).name}`);
  return { name, columns: columns.filter(isThere), key };
}

/** Whether the database orders texts by their bytes. */
export async function comparesBytes(connection: PostgresConnection): Promise<boolean> {
  const [row] = await connection.run<{ bytes: boolean }>(
    "SELECT 'a' > 'B' AND 'a b' < 'aa' AND 'a-c' < 'ab' AND 'z' < '\u00e9' AS bytes",
  );
  return row?.bytes === true;
}

async function look(connection: PostgresConnection, state: "before" | "made"): Promise<Found> {
  // The schema where they would be made, or the one that their names lead to.
  const where =
    state === "before"
      ? "c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
      : "pg_table_is_visible(c.oid)";
  const ours = `c.relname = ANY ($1::text[]) AND ${where}`;
  const names = [textArray(OWN_TABLES)];
  const [relations, columns, keys, bytes] = await Promise.all([
    connection.run<Relation>(
      `SELECT c.relname::text AS name, c.relkind::text AS kind FROM pg_class c WHERE ${ours}`,
      names,
    ),
    connection.run<Column>(
      `SELECT c.relname::text AS table, a.attnum::int AS number, a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type,
         a.attnotnull AS required, a.atthasdef AS filled, a.attidentity::text AS identity, a.attgenerated::text AS generated,
         l.collname::text AS collation
       FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_collation l ON l.oid = a.attcollation
       WHERE a.attnum > 0 AND NOT a.attisdropped AND ${ours} ORDER BY a.attnum`,
      names,
    ),
    connection.run<Key>(
      `SELECT c.relname::text AS table, i.indkey::text AS columns, i.indnkeyatts::int AS length, i.indisprimary AS primary
       FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
       WHERE i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND ${ours}`,
      names,
    ),
    comparesBytes(connection),
  ]);
  return { relations, columns, keys, comparesBytes: bytes };
}

function missingTable({ name }: Table): TableProblem {
  return {
    problem: `there is no table ${name} beside stock_db_schema`,
    advice: "restore it, or DROP TABLE stock_db_schema, so that the next start makes what is missing",
  };
}

function columnProblems(table: Table, found: Found): TableProblem[] {
  const columns = found.columns.filter((column) => column.table === table.name);
  const there = new Map(columns.map((column) => [column.name, column]));
  const expected = table.columns.map(definitionOf);
  const missing = expected.filter(({ name }) => !there.has(name));
  if (missing.length > ADDED_MAX) return [missingColumns(table, missing)];
  const problems: (TableProblem | null)[] = missing.length > 0 ? [missingColumns(table, missing)] : [];
  for (const definition of expected) {
    const column = there.get(definition.name);
    there.delete(definition.name);
    if (column !== undefined) problems.push(columnProblem(table, definition, column, found));
  }
  for (const column of there.values()) {
    if (!column.required || column.filled || column.identity !== "") continue;
    problems.push({
      problem: `${table.name}.${column.name} is NOT NULL and has no default, and the server doesn't know it`,
      advice: `ALTER TABLE ${table.name} ALTER COLUMN ${quoted(column.name)} DROP NOT NULL`,
    });
  }
  return problems.filter((problem) => problem !== null);
}

interface Definition {
  name: string;
  type: string;
  text: string;
}

function definitionOf(text: string): Definition {
  const [, name, type] = /^"?(\w+)"? (double precision|\w+)/.exec(text) ?? [];
  if (name === undefined || type === undefined) throw new Error(`no column: ${text}`);
  return { name, type, text };
}

function missingColumns({ name, columns, key }: Table, missing: Definition[]): TableProblem {
  const names = missing.map((column) => column.name).join(", ");
  const additions = missing.map(({ text }) => `ADD COLUMN ${text}`).join(", ");
  return {
    problem: `${name} lacks ${missing.length === 1 ? "the column" : "the columns"} ${names}`,
    advice:
      missing.length <= ADDED_MAX
        ? `ALTER TABLE ${name} ${additions}`
        : `it is another program's; the server expects ${columns.length} columns${key === "" ? "" : ` with the key (${key})`}, see docs/postgresql.md`,
  };
}

function columnProblem(
  { name: table }: Table,
  { name, type, text }: Definition,
  column: Column,
  found: Found,
): TableProblem | null {
  const isNumbered = text.includes("IDENTITY");
  const change = `ALTER TABLE ${table} ALTER COLUMN ${quoted(name)}`;
  if (!ALIKE[type]!.includes(column.type)) {
    return {
      problem: `${table}.${name} is ${column.type}, expected ${type}`,
      advice: `${change} TYPE ${type} USING ${conversion(quoted(name), column.type, type)}`,
    };
  }
  if (column.generated !== "" || (column.identity === "a" && !isNumbered)) {
    const problem = `${table}.${name} is generated by the database, and the server has to write it`;
    return { problem, advice: `${change} DROP ${column.generated === "" ? "IDENTITY" : "EXPRESSION"}` };
  }
  if (isNumbered && column.identity === "" && !column.filled) {
    const problem = `${table}.${name} isn't numbered by the database`;
    return { problem, advice: `${change} ADD GENERATED ALWAYS AS IDENTITY` };
  }
  const { collation } = column;
  const isInBytes =
    collation === null ||
    (collation === "default" ? found.comparesBytes : COLLATIONS_OF_BYTES.test(collation));
  if (!text.includes("COLLATE") || isInBytes) return null;
  return {
    problem: `${table}.${name} is in the order of a language (${collation}), not of its bytes`,
    advice: `${change} TYPE text COLLATE "C"`,
  };
}

function conversion(column: string, from: string, to: string): string {
  if (to === "timestamptz" && /^(timestamp.*without time zone|date)$/.test(from))
    return `${from === "date" ? `${column}::timestamp` : column} AT TIME ZONE 'UTC'`;
  return `${column}::${to}`;
}

function keyProblems({ name, key }: Table, found: Found): TableProblem[] {
  const wanted = key.replaceAll('"', "").split(", ").sort();
  const columns = found.columns.filter(({ table }) => table === name);
  const own = found.keys.filter(({ table }) => table === name);
  const isThere = own.some(({ columns: numbers, length }) => {
    const names = numbers
      .split(" ")
      .slice(0, length)
      .map((number) => columns.find((column) => column.number === Number(number))?.name);
    return names.sort().join() === wanted.join();
  });
  // A missing column is told already.
  const lacksColumn = wanted.some((column) => !columns.some((each) => each.name === column));
  if (key === "" || isThere || lacksColumn) return [];
  const problem = `${name} has no unique key (${key})`;
  return own.some(({ primary }) => primary)
    ? [{ problem, advice: `CREATE UNIQUE INDEX ON ${name} (${key})` }]
    : [{ problem, advice: `ALTER TABLE ${name} ADD PRIMARY KEY (${key})` }];
}

function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && name !== "timestamp" ? name : `"${name.replaceAll('"', '""')}"`;
}
