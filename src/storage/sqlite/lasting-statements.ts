/**
 * Statements that are kept as long as their connection. Closing a connection leaves it open for as
 * long as one of them is not finalized, and the `-wal` and `-shm` files beside the database stay if
 * the writer isn't the last one to go.
 */
import type { Database, SQLQueryBindings, Statement } from "bun:sqlite";

export class LastingStatements {
  readonly #db: Database;
  readonly #prepared: { finalize(): void }[] = [];

  constructor(db: Database) {
    this.#db = db;
  }

  prepare<R>(sql: string): Statement<R, SQLQueryBindings[]> {
    const statement = this.#db.prepare<R, SQLQueryBindings[]>(sql);
    this.#prepared.push(statement);
    return statement;
  }

  /** To be called before the connection is closed. */
  finalize(): void {
    for (const statement of this.#prepared.splice(0)) statement.finalize();
  }
}
