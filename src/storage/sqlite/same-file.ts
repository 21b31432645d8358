/** Notices that the database file was removed or replaced under the server: what is written then is gone with the process. */
import { statSync } from "node:fs";
import { DatabaseGoneError } from "../contract.ts";

export class SameFile {
  readonly #path: string;
  readonly #dev: number;
  readonly #ino: number;

  /** @param path of a file that is open now. */
  constructor(path: string) {
    this.#path = path;
    ({ dev: this.#dev, ino: this.#ino } = statSync(path));
  }

  /** @throws Error naming the file, which can't be served any more. */
  check(): void {
    const now = statSync(this.#path, { throwIfNoEntry: false });
    if (now !== undefined && now.ino === this.#ino && now.dev === this.#dev) return;
    const what = now === undefined ? "removed" : "replaced";
    throw new DatabaseGoneError(
      `${this.#path} was ${what} while the server had it open; put it back, or restart the server`,
    );
  }
}
