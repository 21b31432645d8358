/**
 * Changes a SQLite file as another program that has it: the server's own way lets nobody change its
 * tables.
 */
import { Database } from "bun:sqlite";

const BUSY_MS = 10_000;

export function changeAsAnotherProgram(dbFile: string, statement: string): void {
  using other = new Database(dbFile, { readwrite: true });
  other.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
  other.run(statement);
}
