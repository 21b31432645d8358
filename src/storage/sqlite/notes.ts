/** The writer's side of notes, in its transaction: see `NoteChange` in contract.ts. */
import type { Database, SQLQueryBindings, Statement } from "bun:sqlite";
import type { NoteChange } from "../contract.ts";
import { NOTES_TABLE } from "../model/kinds.ts";

export class Notes {
  readonly #value: Statement<{ value: string }, SQLQueryBindings[]>;
  readonly #set: Statement<unknown, SQLQueryBindings[]>;
  readonly #remove: Statement<unknown, SQLQueryBindings[]>;
  readonly #rename: Statement<unknown, SQLQueryBindings[]>;

  constructor(db: Database) {
    this.#value = db.prepare(`SELECT value FROM ${NOTES_TABLE} WHERE name = ?`);
    this.#set = db.prepare(
      `INSERT INTO ${NOTES_TABLE} (name, value) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
    );
    this.#remove = db.prepare(`DELETE FROM ${NOTES_TABLE} WHERE name = ?`);
    this.#rename = db.prepare(`UPDATE ${NOTES_TABLE} SET name = ? WHERE name = ?`);
  }

  /** What the new name had is of a ticker that is gone. */
  rename(from: string, to: string): void {
    this.#remove.run(to);
    this.#rename.run(to, from);
  }

  /** @returns false: it isn't what the change relies on. */
  change({ name, from, to }: NoteChange): boolean {
    if ((this.#value.get(name)?.value ?? null) !== from) return false;
    this.#set.run(name, to);
    return true;
  }
}
