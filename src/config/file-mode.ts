/**
 * Who may read and write what the server makes: databases and what lies beside them, logs, and the
 * folders of both.
 */
import { statSync } from "node:fs";
import { DECLARATIONS, environmentName } from "./setting-table.ts";
import { readValue } from "./settings.ts";

const ALL_BITS = 0o777;
const READ_BITS = 0o444;
/** From a right to read to the right to enter, of the same class. */
const READ_TO_ENTER = 2;

/**
 * Of everything that this process and those it starts make from now on, whatever umask it was
 * started with: files get the mode, folders the same and the right to enter for whoever may read.
 *
 * @param mode as the setting has it, such as "0640".
 */
export function useFileMode(mode: string): void {
  const bits = Number.parseInt(mode, 8);
  const folderBits = bits | ((bits & READ_BITS) >> READ_TO_ENTER);
  process.umask(ALL_BITS & ~folderBits);
}

/** For commands that have no flag for it. @throws UsageError */
export function fileModeOf(env: Record<string, string | undefined>): string {
  const variable = environmentName("fileMode");
  return readValue("fileMode", env[variable] || DECLARATIONS.fileMode.default, variable);
}

export interface WideFiles {
  /** Those that are open to more than the mode allows, each with its own mode. */
  found: string;
  /** A command for a shell. */
  remedy: string;
}

/** Null: none of them. Files that aren't there are passed over. */
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

function inShell(path: string): string {
  return /^[\w./@+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
