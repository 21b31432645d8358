/** How a process of this server starts another one. */
import { existsSync } from "node:fs";
import { devNull } from "node:os";
import { isAbsolute } from "node:path";
import { IS_ONE_FILE } from "./installed.ts";

/**
 * - no-orphans: the kernel ends the child when this process dies, however that happens.
 * - no-env-file, config: Bun would read `.env` and `bunfig.toml` of the current folder, and the
 *   second may name code to run first. What lies in a folder must not decide what a server does
 *   that was started there.
 */
const BUN_FLAGS = ["--no-orphans", "--no-env-file", `--config=${devNull}`];

/** Does for the children of one file, which takes no flags of Bun, what no-orphans does. */
const NO_ORPHANS_ENV = "BUN_FEATURE_FLAG_NO_ORPHANS";

/**
 * @param mainPath the module to run; one file runs its own.
 * @param args the role or the subcommand, and what belongs to it.
 */
export function ownCommand(mainPath: string, ...args: string[]): string[] {
  return IS_ONE_FILE ? [process.execPath, ...args] : [process.execPath, ...BUN_FLAGS, mainPath, ...args];
}

/**
 * Called once, before any child is started. This process itself goes on when its parent ends, as
 * Bun has read the variable by then.
 */
export function endChildrenWithThis(): void {
  if (IS_ONE_FILE) process.env[NO_ORPHANS_ENV] = "1";
}

/**
 * A Bun that finds no module says so where nobody may look, and ends as after any failure; so it is
 * looked for before.
 *
 * @throws Error a file of the command is not there.
 */
export function checkInstalled(command: string[]): void {
  const missing = command.find((part) => isAbsolute(part) && !existsSync(part));
  if (missing !== undefined)
    throw new Error(`${missing} is gone: the server's installation was moved or removed`);
}
