/**
 * Keeps the server of a DuckDB file from checkpoints while a backup reads the file: a small file
 * beside it, whose time the backup renews. One that died holds nobody up for long.
 */
import { randomBytes } from "node:crypto";
import { closeSync, openSync, readdirSync, rmSync, statSync, utimesSync } from "node:fs";
import { basename, dirname, join } from "node:path";

const RENEW_MS = 1_000;
/** A hold that wasn't renewed for so long is over, by a clock that may have been set back. */
const OVER_AFTER_MS = 10_000;
const NAME = ".backup-hold-";

/** @param real the database file, links resolved. @returns ends it. */
export function holdFile(real: string): () => void {
  const path = `${real}${NAME}${randomBytes(6).toString("hex")}`;
  const make = (): void => closeSync(openSync(path, "wx", 0o600));
  make();
  const timer = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch {
      // Somebody has removed it.
      make();
    }
  }, RENEW_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    rmSync(path, { force: true });
  };
}

/** @param real the database file, links resolved. Those that are over are removed. */
export function isHeld(real: string): boolean {
  const prefix = basename(real) + NAME;
  let isOne = false;
  for (const name of readdirSync(dirname(real))) {
    if (!name.startsWith(prefix)) continue;
    const path = join(dirname(real), name);
    const held = statSync(path, { throwIfNoEntry: false });
    if (held !== undefined && Math.abs(Date.now() - held.mtimeMs) < OVER_AFTER_MS) isOne = true;
    else rmSync(path, { force: true });
  }
  return isOne;
}
