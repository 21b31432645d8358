/**
 * A worker's connection for small answers. Every refusal of SQLite is a 503: the statements are the
 * server's own, and their parameters are checked.
 */
import { type Database, SQLiteError, type SQLQueryBindings, type Statement } from "bun:sqlite";
import { unavailable } from "../../protocol/errors.ts";
import { openReaderConnection } from "./connection.ts";

export class ReadingConnection {
  readonly db: Database;
  readonly #look: () => void;
  readonly #statements: { finalize(): void }[] = [];

  /** @param look throws when the file can't be read any more. */
  constructor(path: string, look: () => void) {
    this.db = openReaderConnection(path);
    this.#look = look;
  }

  prepare<R>(sql: string): Statement<R, SQLQueryBindings[]> {
    const statement = this.db.prepare<R, SQLQueryBindings[]>(sql);
    this.#statements.push(statement);
    return statement;
  }

  /** @throws RequestError 503 */
  read<T>(read: () => T): T {
    this.#look();
    try {
      return read();
    } catch (error) {
      throw asUnavailable(error);
    }
  }

  /** Finalizes first: otherwise `-wal` and `-shm` would stay beside the database. */
  close(): void {
    for (const statement of this.#statements) statement.finalize();
    this.db.close(false);
  }
}

export function asUnavailable(error: unknown): unknown {
  return error instanceof SQLiteError ? unavailable("read: the database refused it", error.message) : error;
}
