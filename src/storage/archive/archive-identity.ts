/**
 * Ties a folder to a database: an id that both have. A folder that isn't there, such as a disk that
 * isn't mounted, would else be an archive without rows, and that of another database would give
 * foreign rows.
 */
import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../../observe/file-errors.ts";
import { unavailable } from "../../protocol/errors.ts";
import { messageOf } from "../../protocol/message-of.ts";
import type { NoteChange, StockReader } from "../contract.ts";

/** The note that has the id. */
export const ARCHIVE_NOTE = "archive/id";
const MARKER = "archive.json";
const UNFINISHED = `${MARKER}.new`;
/** A database without the note is asked again after so long. */
const ASK_AGAIN_MS = 5_000;

export class ArchiveIdentity {
  readonly #folder: string;
  readonly #notes: StockReader["notes"];
  #known: string | null = null;
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(folder: string, notes: StockReader["notes"]) {
    this.#folder = folder;
    this.#notes = notes;
  }

  /** @throws RequestError 503: the folder isn't that of the database. */
  async check(): Promise<void> {
    const marker = await this.#read(MARKER);
    if (marker === this.#known && (marker !== null || performance.now() - this.#askedMs < ASK_AGAIN_MS))
      return;
    const known = await this.#ask();
    if (marker !== known) throw unavailable(`archive: ${this.#mismatch(marker)}`);
  }

  /**
   * The first time, it makes the folder that of the database. The caller keeps others away.
   * @param save changes the note. @throws Error The folder isn't that of the database.
   */
  async claim(save: (note: NoteChange) => Promise<{ ok: boolean }>): Promise<void> {
    const [marker, known] = [await this.#read(MARKER), await this.#ask()];
    if (marker === known && marker !== null) return;
    const path = join(this.#folder, UNFINISHED);
    if (marker === null && known === null) {
      const id = randomUUID();
      await mkdir(this.#folder, { recursive: true });
      await writeFile(path, `${JSON.stringify({ id })}\n`, { flush: true });
      const { ok } = await save({ name: ARCHIVE_NOTE, from: null, to: id });
      if (!ok) throw new Error("another server makes an archive of the database at the same time");
    } else if (marker !== null || (await this.#read(UNFINISHED)) !== known)
      throw new Error(this.#mismatch(marker));
    await rename(path, join(this.#folder, MARKER));
  }

  #mismatch(marker: string | null): string {
    return marker === null
      ? `--archive ${this.#folder} has no ${MARKER}, expected that of this database: is it mounted?`
      : `--archive ${this.#folder} is that of another database, by its ${MARKER}`;
  }

  async #ask(): Promise<string | null> {
    const [note] = await this.#notes(ARCHIVE_NOTE, ARCHIVE_NOTE, 1);
    this.#known = note?.[1] ?? null;
    this.#askedMs = performance.now();
    return this.#known;
  }

  async #read(name: string): Promise<string | null> {
    const path = join(this.#folder, name);
    try {
      return String((JSON.parse(await readFile(path, "utf8")) as { id: unknown }).id);
    } catch (error) {
      if (errorCode(error) === "ENOENT") return null;
      throw unavailable(`archive: ${path} can't be read`, messageOf(error));
    }
  }
}
