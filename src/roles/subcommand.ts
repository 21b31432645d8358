/** The commands beside `serve`. */
import { runCheck } from "../cli/check.ts";
import { runCopy } from "../cli/copy.ts";
import { runDoctor } from "../cli/doctor.ts";
import { runDelete, runRename } from "../cli/edit.ts";
import { runExport } from "../cli/export.ts";
import { helpText } from "../cli/help.ts";
import { runImport } from "../cli/import.ts";
import { runKeys } from "../cli/keys.ts";
import { runReplay } from "../cli/replay.ts";
import { runTop } from "../cli/top.ts";
import { fileModeOf, useFileMode } from "../config/file-mode.ts";
import { redact } from "../config/redact.ts";
import { UsageError } from "../config/usage-error.ts";

/**
 * @param doctorCommand starts the process that looks at a database for `doctor`.
 * @returns the exit code. @throws UsageError
 */
export async function runSubcommand(name: string, args: string[], doctorCommand: string[]): Promise<number> {
  switch (name) {
    case "check":
      return await runCheck(args);
    case "import":
      useFileMode(fileModeOf(process.env));
      return await runImport(args);
    case "export": // its files are the user's, as those of any program
      return await runExport(args);
    case "copy":
      useFileMode(fileModeOf(process.env));
      return await runCopy(args);
    case "backup":
      useFileMode(fileModeOf(process.env));
      return await (await import("../cli/backup.ts")).runBackup(args);
    case "restore":
      useFileMode(fileModeOf(process.env));
      return await (await import("../cli/restore.ts")).runRestore(args);
    case "delete":
      return await runDelete(args);
    case "rename":
      return await runRename(args);
    case "replay":
      return await runReplay(args);
    case "config":
      return (await import("./config-check.ts")).runConfig(args);
    case "keys":
      return await runKeys(args);
    case "doctor":
      return await runDoctor(args, doctorCommand);
    case "top":
      return await runTop(args);
    case "help":
      console.log(helpText());
      return 0;
    default:
      throw new UsageError(
        `unknown subcommand ${JSON.stringify(redact(name))}: expected serve, check, import, export, replay, copy, backup, restore, delete, rename, keys, top, config or doctor`,
      );
  }
}
