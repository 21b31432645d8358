/**
 * Compares the server's tables before and after a user's statement, in its transaction, which rolls
 * back if the statement did what it may not. No reading of the text tells that for certain: see
 * DESIGN.md.
 *
 * The text only tells what needs no look. A statement that changes a table names it, letter by
 * letter: views take no rows, and names have no escapes.
 */
import { StatementType } from "@duckdb/node-api";
import { refused } from "../sql-answer.ts";
import {
  digestOf,
  KEYED_TABLES,
  keyDigest,
  refuseDoubledKeys,
  refuseTakenKeys,
  stampInserted,
} from "./inserted-keys.ts";
import { type OwnObject, ownObjects, shadowingMacros } from "./own-objects.ts";
import { BOOKKEEPING_TABLES } from "./schema.ts";
import type { Session } from "./session.ts";

/** All columns of a row. A digest of them takes about 1 s for a gigabyte. */
const ROW = "t";
const SHAPE = "the server's own tables keep their shape; make tables, views and macros of your own";
const BOOKS = "the server alone writes there";

const ROW_CHANGES = new Set([
  StatementType.SELECT,
  StatementType.INSERT,
  StatementType.UPDATE,
  StatementType.DELETE,
  StatementType.MERGE_INTO,
]);
/** Covers `INSERT OR REPLACE` and `ON CONFLICT DO UPDATE`. */
const MAY_CHANGE_KEYS = /update|merge|replace/i;
const MAY_MAKE_MACROS = /macro|function/i;

export interface GuardedStatement {
  sql: string;
  type: StatementType;
  /** Opens a session outside of the statement's transaction. */
  openSession(): Promise<Session>;
}

/** Null: the statement can't change it. */
interface GuardedState {
  objects: OwnObject[] | null;
  macros: string[] | null;
  /** Digests, by table. */
  books: Map<string, string>;
  keys: Map<string, string>;
}

/** The session must have the server's names whenever it is used: see own-names.ts. */
export class StatementGuard {
  readonly #session: Session;
  readonly #statement: GuardedStatement;
  readonly #before: GuardedState;

  private constructor(session: Session, statement: GuardedStatement, before: GuardedState) {
    this.#session = session;
    this.#statement = statement;
    this.#before = before;
  }

  static async before(session: Session, statement: GuardedStatement): Promise<StatementGuard> {
    const { sql, type } = statement;
    const text = sql.toLowerCase();
    const changesCatalog = !ROW_CHANGES.has(type);
    const books = new Map<string, string>();
    for (const name of BOOKKEEPING_TABLES)
      if (text.includes(name)) books.set(name, await digestOf(session, name, ROW));
    const keys = new Map<string, string>();
    if (MAY_CHANGE_KEYS.test(sql)) {
      for (const table of tablesNamed(text)) keys.set(table, await keyDigest(session, table));
    }
    return new StatementGuard(session, statement, {
      objects: changesCatalog ? await ownObjects(session) : null,
      macros: changesCatalog && MAY_MAKE_MACROS.test(sql) ? await shadowingMacros(session) : null,
      books,
      keys,
    });
  }

  /** @throws RequestError 400 the transaction must roll back. */
  async after(): Promise<void> {
    await this.#checkObjects();
    await this.#checkMacros();
    for (const [name, contents] of this.#before.books)
      if ((await digestOf(this.#session, name, ROW)) !== contents)
        throw refused(`writing into ${name}`, BOOKS);
    await this.#checkKeys();
  }

  async #checkObjects(): Promise<void> {
    const { objects } = this.#before;
    if (objects === null) return;
    const before = new Set(objects.map(textOf));
    const now = await ownObjects(this.#session);
    const after = new Set(now.map(textOf));
    const changed =
      now.find((object) => !before.has(textOf(object))) ??
      objects.find((object) => !after.has(textOf(object)));
    if (changed === undefined) return;
    const { table, what } = changed;
    throw refused(what === "shape" ? `a change of ${table}` : `a change of ${table} (${what})`, SHAPE);
  }

  async #checkMacros(): Promise<void> {
    const { macros } = this.#before;
    if (macros === null) return;
    const known = new Set(macros);
    const fresh = (await shadowingMacros(this.#session)).find((name) => !known.has(name));
    if (fresh === undefined) return;
    throw refused(
      `a macro named ${fresh}`,
      "DuckDB has that name itself, and others' SQL would no longer mean what it says; give it another name",
    );
  }

  async #checkKeys(): Promise<void> {
    const { sql, type, openSession } = this.#statement;
    const session = this.#session;
    for (const [table, digest] of this.#before.keys) {
      if ((await keyDigest(session, table)) !== digest) await refuseDoubledKeys(session, table, openSession);
    }
    if (type === StatementType.UPDATE || type === StatementType.DELETE) return;
    const tables = tablesNamed(sql.toLowerCase());
    for (const table of tables) await refuseTakenKeys(session, table);
    for (const table of tables) await stampInserted(session, table);
  }
}

function tablesNamed(text: string): string[] {
  return KEYED_TABLES.filter((name) => text.includes(name));
}

function textOf(object: OwnObject): string {
  return JSON.stringify(object);
}
