/** The writer's side of notes: see `NoteChange` in contract.ts. */
import type { NoteChange, Save, SaveRefusal } from "../contract.ts";
import { NOTES_TABLE } from "../model/kinds.ts";
import { noteMoved } from "../save-refusals.ts";
import { storable } from "./lines.ts";
import type { Session } from "./session.ts";

export interface PlannedNotes {
  /** Of the saves whose note is another by now. */
  refused: Map<Save, SaveRefusal>;
  /** Notes to write in the transaction of the other saves. */
  writes: Map<string, string>;
}

/** Reads the notes that the saves rely on, and follows them from save to save. */
export async function planNotes(session: Session, saves: readonly Save[]): Promise<PlannedNotes> {
  const planned: PlannedNotes = { refused: new Map(), writes: new Map() };
  const noted = saves.flatMap((save) =>
    save.kind === "ticks" || save.note === undefined ? [] : [{ save, note: save.note }],
  );
  if (noted.length === 0) return planned;
  const stored = await readNotes(
    session,
    noted.map(({ note }) => note.name),
  );
  for (const { save, note } of noted) {
    const now = planned.writes.get(note.name) ?? stored.get(note.name) ?? null;
    if (now === note.from) planned.writes.set(note.name, note.to);
    else planned.refused.set(save, noteMoved(note));
  }
  return planned;
}

/** @returns null: it is changed. */
export async function changeNote(session: Session, note: NoteChange): Promise<SaveRefusal | null> {
  const stored = await readNotes(session, [note.name]);
  if ((stored.get(note.name) ?? null) !== note.from) return noteMoved(note);
  await writeNotes(session, new Map([[note.name, note.to]]));
  return null;
}

/** What the new name had is of a ticker that is gone. */
export async function renameNote(session: Session, from: string, to: string): Promise<void> {
  const names = [storable(from), storable(to)];
  await session.run(`DELETE FROM ${NOTES_TABLE} WHERE name = $1`, [names[1]!]);
  await session.run(`UPDATE ${NOTES_TABLE} SET name = $2 WHERE name = $1`, names);
}

/** DuckDB has no key on the table: an update of one row costs as much as its delete and insert. */
export async function writeNotes(session: Session, notes: ReadonlyMap<string, string>): Promise<void> {
  if (notes.size === 0) return;
  const [names, values] = [[...notes.keys()].map(storable), [...notes.values()].map(storable)];
  await session.run(`DELETE FROM ${NOTES_TABLE} WHERE name IN (${NAMES})`, [JSON.stringify(names)]);
  await session.run(
    `INSERT INTO ${NOTES_TABLE} SELECT unnest(from_json($1::VARCHAR, '["VARCHAR"]')), unnest(from_json($2::VARCHAR, '["VARCHAR"]'))`,
    [JSON.stringify(names), JSON.stringify(values)],
  );
}

const NAMES = `SELECT unnest(from_json($1::VARCHAR, '["VARCHAR"]'))`;

async function readNotes(session: Session, names: readonly string[]): Promise<Map<string, string>> {
  const rows = await session.rows(`SELECT name, value FROM ${NOTES_TABLE} WHERE name IN (${NAMES})`, [
    JSON.stringify(names.map(storable)),
  ]);
  return new Map(rows.map(([name, value]) => [String(name), String(value)]));
}
