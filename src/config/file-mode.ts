/** Who may read and write the databases, logs and folders that the server makes. */
import { statSync } from "node:fs";
import { DECLARATIONS, environmentName } from "./setting-table.ts";
import { readValue } from "./settings.ts";

const ALL_BITS = 0o777;
const READ_BITS = 0o444;
const WRITABLE_BY_ALL = 0o002;
const STICKY = 0o1000;
/** Shifts a right to read to the right to enter, of the same class of users. */
const READ_TO_ENTER = 2;

/**
 * This process and those it starts make files with this mode from now on, whatever its umask was.
 * Folders get it too, and whoever may read may enter.
 *
 * @param mode As the setting has it, such as "0640".
 */
export function useFileMode(mode: string): void {
  const bits = Number.parseInt(mode, 8);
  const folderBits = bits | ((bits & READ_BITS) >> READ_TO_ENTER);
  process.umask(ALL_BITS & ~folderBits);
}

/** For commands without a flag for it. @throws UsageError */
export function fileModeOf(env: Record<string, string | undefined>): string {
  const variable = environmentName("fileMode");
  return readValue("fileMode", env[variable] || DECLARATIONS.fileMode.default, variable);
}

export interface WideFiles {
  /** The files that are open to more than the mode allows, each with its mode. */
  found: string;
  /** A command for a shell. */
  remedy: string;
}

/** @returns Null when there are none. Files that aren't there are passed over. */
export function findWideFiles(paths: readonly string[], mode: string): WideFiles | null {
  const allowed = Number.parseInt(mode, 8);
  const wide = paths.flatMap((path) => {
    const bits = (statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & ALL_BITS;
    return (bits & ~allowed) === 0 ? [] : [{ path, shown: `0${bits.toString(8).padStart(3, "0")}` }];
  });
  if (wide.length === 0) return null;
  return {
    found: wide.map(({ path, shown }) => `${path} (${shown})`).join(", "),
    remedy: `chmod ${mode} ${wide.map(({ path }) => inShell(path)).join(" ")}`,
  };
}

/** Whether anybody could put another file or folder in the place of one that is in this folder. */
export function isOpenToAll(folder: string): boolean {
  const mode = statSync(folder, { throwIfNoEntry: false })?.mode ?? 0;
  return (mode & WRITABLE_BY_ALL) !== 0 && (mode & STICKY) === 0;
}

function inShell(path: string): string {
  return /^[\w./@+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
