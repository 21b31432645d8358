/**
 * A worker's connection for small answers. Its statements live as long as it does.
 *
 * SQLite never refuses a read through the caller's fault: the parameters have been checked, and the
 * statements are the server's own. So every refusal is a 503.
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

  /**
   * A statement that isn't finalized keeps the connection open, and the `-wal` and `-shm` files
   * beside the database then stay.
   */
  close(): void {
    for (const statement of this.#statements) statement.finalize();
    this.db.close(false);
  }
}

export function asUnavailable(error: unknown): unknown {
  return error instanceof SQLiteError ? unavailable("read: the database refused it", error.message) : error;
}
