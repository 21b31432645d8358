/** Where a stream keeps its positions, so that a program goes on where its last run ended. */
import { StockDBError } from "./errors.ts";
import type { Kept } from "./tracker.ts";

export interface StateStorage {
  /** null: nothing was kept. */
  read(): Promise<string | null> | string | null;
  write(text: string): Promise<void> | void;
}

interface FileFunctions {
  readFile(path: string, encoding: "utf8"): Promise<string>;
  writeFile(path: string, text: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
}

/** @param name of a file, or in a browser the key of an entry of `localStorage`. */
export function storageOf(name: string | StateStorage): StateStorage {
  if (typeof name !== "string") return name;
  const files = fileFunctions();
  if (files !== null) return inFile(name, files);
  const { localStorage } = globalThis;
  if (localStorage === undefined)
    throw new StockDBError(
      `state: got the name ${name}, but this platform has neither files nor localStorage; expected { read, write }`,
    );
  return {
    read: () => localStorage.getItem(name),
    write: (text) => localStorage.setItem(name, text),
  };
}

/** An import of `node:fs` would be in the way of those who build for browsers. */
function fileFunctions(): FileFunctions | null {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } };
  return (process?.getBuiltinModule?.("node:fs/promises") as FileFunctions | undefined) ?? null;
}

/** A new file takes the place of the old one, so that none is half written. */
function inFile(path: string, { readFile, writeFile, rename }: FileFunctions): StateStorage {
  return {
    async read() {
      try {
        return await readFile(path, "utf8");
      } catch (error) {
        if ((error as { code?: string }).code === "ENOENT") return null;
        throw error;
      }
    },
    async write(text) {
      const beside = `${path}.new`;
      await writeFile(beside, text);
      await rename(beside, path);
    },
  };
}

/** Writes seldom, but always the newest in the end. */
export class StateKeeper {
  readonly #storage: StateStorage;
  readonly #everyMs: number;
  readonly #kept: () => Kept;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #writing: Promise<void> = Promise.resolve();
  #error: unknown = null;
  #isDue = false;
  #written: string | null = null;

  constructor(storage: StateStorage, everyMs: number, kept: () => Kept) {
    this.#storage = storage;
    this.#everyMs = everyMs;
    this.#kept = kept;
  }

  /** @throws what has kept it from writing. */
  async changed(): Promise<void> {
    if (this.#error !== null) throw this.#error;
    this.#isDue = true;
    if (this.#everyMs === 0) return await this.flush();
    this.#timer ??= setTimeout(() => {
      this.flush().catch((error) => {
        this.#error = error;
      });
    }, this.#everyMs);
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer ?? undefined);
    this.#timer = null;
    this.#writing = this.#writing.then(async () => {
      if (!this.#isDue) return;
      this.#isDue = false;
      try {
        const text = JSON.stringify(this.#kept());
        if (text === this.#written) return;
        await this.#storage.write(text);
        this.#written = text;
      } catch (error) {
        throw new StockDBError(`state: it can't be written: ${(error as Error).message}`, { cause: error });
      }
    });
    await this.#writing;
  }
}

/** @throws StockDBError It isn't what was kept. */
export async function readKept(storage: StateStorage, name: string): Promise<Kept | null> {
  const text = await storage.read();
  if (text === null || text === "") return null;
  try {
    const kept = JSON.parse(text) as Kept;
    if (typeof kept.positions !== "object" || kept.positions === null) throw new Error("it has no positions");
    return kept;
  } catch (error) {
    throw new StockDBError(`state ${name}: expected the positions of a stream: ${(error as Error).message}`);
  }
}
