/** Whose the files are that root makes for a server's user. */
import { chownSync, existsSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** Of the file that is there, else of its folder. @param made the new one. */
export function keepOwner(made: string, file: string): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(existsSync(file) ? file : dirname(file));
  chownSync(made, uid, gid);
}
