/**
 * Keeps the server of a DuckDB file from checkpoints while a backup reads the file: a small file
 * beside it, whose time the backup renews. One that died holds nobody up for long.
 */
import { closeSync, openSync, rmSync, statSync, utimesSync, writeSync } from "node:fs";

const RENEW_MS = 1_000;
/** A hold that wasn't renewed for so long is over. */
const OVER_AFTER_MS = 10_000;

/** @param real the database file, links resolved. @returns ends it. */
export function holdFile(real: string): () => void {
  const path = holdOf(real);
  const fd = openSync(path, "w");
  writeSync(fd, `${process.pid}\n`);
  closeSync(fd);
  const renew = (): void => {
    const now = new Date();
    utimesSync(path, now, now);
  };
  const timer = setInterval(renew, RENEW_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    rmSync(path, { force: true });
  };
}

/** @param real the database file, links resolved. */
export function isHeld(real: string): boolean {
  const held = statSync(holdOf(real), { throwIfNoEntry: false });
  return held !== undefined && Date.now() - held.mtimeMs < OVER_AFTER_MS;
}

function holdOf(real: string): string {
  return `${real}.backup-hold`;
}
