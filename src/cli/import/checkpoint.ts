/**
 * How far an import has come, kept in a file until it has ended: so an interrupted one goes on
 * where it was. It is found again by what was imported, how, and where to.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export interface ReachedPlace {
  /** Rows of the whole import that are stored, with those that were left out. */
  rows: number;
  /** The database that has them; null while no request has been answered. */
  epoch: string | null;
  /** Tells the requests of this import from those of another. */
  importId: string;
}

/** Writing costs a little more than a request. */
const WRITE_EVERY_MS = 500;
const KEPT_DAYS = 30;
const DAY_MS = 86_400_000;

export class Checkpoint {
  readonly #path: string;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #unwritten: ReachedPlace | null = null;

  /** @param key What is imported, how, and where to. */
  constructor(key: unknown) {
    this.#path = join(folder(), `${Bun.hash(JSON.stringify(key)).toString(16)}.json`);
  }

  /** @returns null when such an import was not interrupted. */
  read(): ReachedPlace | null {
    try {
      const { rows, epoch, importId } = JSON.parse(readFileSync(this.#path, "utf8"));
      const isEpoch = epoch === null || typeof epoch === "string";
      if (Number.isSafeInteger(rows) && isEpoch && typeof importId === "string")
        return { rows, epoch, importId };
    } catch {
      // There is none, or it was cut off: the import begins at the beginning, which does no harm.
    }
    return null;
  }

  /** Written now and then, and by `keep`. */
  note(place: ReachedPlace): void {
    this.#unwritten = place;
    if (performance.now() - this.#writtenAt < WRITE_EVERY_MS) return;
    this.keep();
  }

  /** Where it can't be written, an interrupted import begins anew. */
  keep(): void {
    if (this.#unwritten === null) return;
    this.#writtenAt = performance.now();
    try {
      mkdirSync(folder(), { recursive: true, mode: 0o700 });
      writeFileSync(`${this.#path}.new`, JSON.stringify(this.#unwritten));
      renameSync(`${this.#path}.new`, this.#path);
      this.#unwritten = null;
    } catch {
      this.#unwritten = null;
    }
  }

  /** The import has ended: there is nothing to go on with. */
  remove(): void {
    this.#unwritten = null;
    rmSync(this.#path, { force: true });
    removeOld();
  }
}

function folder(): string {
  const base = process.env.XDG_STATE_HOME || join(homedir(), ".local", "state");
  return join(base, "stock-db-server", "imports");
}

function removeOld(): void {
  try {
    for (const name of readdirSync(folder())) {
      const path = join(folder(), name);
      if (Date.now() - statSync(path).mtimeMs > KEPT_DAYS * DAY_MS) rmSync(path, { force: true });
    }
  } catch {
    // There is no such folder.
  }
}
