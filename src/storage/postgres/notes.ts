/** The writer's side of notes, in its transaction: see `NoteChange` in contract.ts. */
import type { NoteChange, SaveRefusal } from "../contract.ts";
import { NOTES_TABLE } from "../model/kinds.ts";
import { noteMoved } from "../save-refusals.ts";
import { textArray } from "./array-literals.ts";
import type { PostgresConnection } from "./connection.ts";

/** What the new name had is of a ticker that is gone. */
export async function renameNote(connection: PostgresConnection, from: string, to: string): Promise<void> {
  await connection.run(`DELETE FROM ${NOTES_TABLE} WHERE name = $1`, [to]);
  await connection.run(`UPDATE ${NOTES_TABLE} SET name = $2 WHERE name = $1`, [from, to]);
}

/**
 * The tickers of the changes are locked, and with them their notes. Of several changes of one note
 * each relies on the one before.
 *
 * @returns for each change a refusal, or null: it is made.
 */
export async function changeNotes(
  connection: PostgresConnection,
  changes: readonly NoteChange[],
): Promise<(SaveRefusal | null)[]> {
  if (changes.length === 0) return [];
  const found = await connection.run<{ name: string; value: string }>(
    `SELECT name::text, value::text FROM ${NOTES_TABLE} WHERE name = ANY ($1::text[])`,
    [textArray([...new Set(changes.map(({ name }) => name))])],
  );
  const stored = new Map(found.map(({ name, value }) => [name, value]));
  const written = new Map<string, string>();
  const refusals = changes.map((change) => {
    const { name, from, to } = change;
    if ((written.get(name) ?? stored.get(name) ?? null) !== from) return noteMoved(change);
    written.set(name, to);
    return null;
  });
  if (written.size > 0)
    await connection.run(
      `INSERT INTO ${NOTES_TABLE} (name, value) SELECT u.name, u.value
       FROM unnest($1::text[], $2::text[]) AS u(name, value)
       ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
      [textArray([...written.keys()]), textArray([...written.values()])],
    );
  return refusals;
}
