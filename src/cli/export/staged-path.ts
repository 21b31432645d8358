/** A file or folder that has its name only once it is whole. */
import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { errorCode } from "../../observe/file-errors.ts";

export class StagedPath {
  /** Where it is written, beside the place where it will be. */
  readonly path: string;
  readonly #goal: string;

  /** @param goal as given. */
  constructor(goal: string) {
    this.#goal = resolve(goal);
    this.path = `${this.#goal}.partial-${randomBytes(4).toString("hex")}`;
  }

  async makeFolder(): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true });
    await mkdir(this.path);
  }

  /** What is there with its name is replaced: a file, or an empty folder. */
  async publish(): Promise<void> {
    await rename(this.path, this.#goal);
    const folder = await open(dirname(this.#goal), "r");
    await folder.sync();
    await folder.close();
  }

  async discard(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** @returns why an export can't go there; null: it can. */
export async function whyNotThere(goal: string, isFile: boolean, overwrite: boolean): Promise<string | null> {
  const found = statSync(goal, { throwIfNoEntry: false });
  if (isFile) {
    if (found === undefined) return null;
    if (!found.isFile()) return `${goal} is no file`;
    return overwrite ? null : `${goal} is there already: --overwrite replaces it`;
  }
  const isEmpty = await readdir(goal).then(
    (names) => names.length === 0,
    (error) => (errorCode(error) === "ENOENT" ? true : Promise.reject(error)),
  );
  if (!isEmpty) return `${goal} isn't empty: expected a folder that isn't there yet, or is empty`;
  // A folder on which a file system is mounted can't be replaced by another.
  if (found !== undefined && found.dev !== statSync(dirname(resolve(goal))).dev)
    return `${goal} is a file system of its own: name a folder in it`;
  return null;
}
