/** Picks what this process is: a subcommand that a user typed, or a child that the server started. */

import packageJson from "../package.json" with { type: "json" };
import { runCheck } from "./cli/check.ts";
import { endWithOutput } from "./cli/closed-output.ts";
import { runCopy } from "./cli/copy.ts";
import { runDoctor } from "./cli/doctor.ts";
import { helpText } from "./cli/help.ts";
import { runImport } from "./cli/import.ts";
import { runReplay } from "./cli/replay.ts";
import { redact } from "./config/database-url.ts";
import { exposedSecrets } from "./config/exposed-secrets.ts";
import { printConfig } from "./config/render-settings.ts";
import { type ParsedSettings, parseSettings } from "./config/settings.ts";
import { UsageError } from "./config/usage-error.ts";
import { USAGE_EXIT } from "./protocol/control.ts";
import { diagnoseForDoctor } from "./roles/doctor-role.ts";
import { openTransferReader, openTransferTarget, openWriter } from "./roles/engine.ts";
import { serve, serveAsHub, serveAsWorker } from "./roles/serve.ts";
import { serveAsSqlRunner } from "./roles/sql-runner-role.ts";

const [first = "serve", ...rest] = process.argv.slice(2);
const [subcommand, argv] = first.startsWith("-") ? ["serve", [first, ...rest]] : [first, rest];

switch (subcommand) {
  case "hub":
    void serveAsHub();
    break;
  case "worker":
    void serveAsWorker();
    break;
  case "sql-runner":
    serveAsSqlRunner();
    break;
  case "database-doctor":
    void diagnoseForDoctor().then((code) => process.exit(code));
    break;
  default:
    // Not awaited: while a top-level await is pending, Bun carries on after an uncaught error.
    void runSubcommand(subcommand, argv).then((code) => process.exit(code));
}

async function runSubcommand(name: string, args: string[]): Promise<number> {
  // The server's log has a way of its own with an output that is gone.
  if (name !== "serve") endWithOutput();
  try {
    switch (name) {
      case "serve":
        return await runServe(args);
      case "check":
        return await runCheck(args);
      case "import":
        return await runImport(args, {
          openDatabase: (dbFile, durability) => openWriter({ dbFile, durability }),
        });
      case "copy":
        return await runCopy(args, {
          openReader: openTransferReader,
          openDestination: (dbFile, durability) => openTransferTarget({ dbFile, durability }),
        });
      case "replay":
        return await runReplay(args, { openReader: openTransferReader });
      case "doctor":
        return await runDoctor(args, [process.execPath, "--no-orphans", import.meta.path, "database-doctor"]);
      case "help":
        console.log(helpText());
        return 0;
      default:
        throw new UsageError(
          `unknown subcommand ${JSON.stringify(redact(name))}: expected serve, check, import, replay, copy or doctor`,
        );
    }
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`stock-db-server: ${error.message}`);
    return USAGE_EXIT;
  }
}

async function runServe(args: string[]): Promise<number> {
  const parsed = parseSettings(args, process.env);
  switch (parsed.wants) {
    case "help":
      console.log(helpText());
      return 0;
    case "version":
      console.log(packageJson.version);
      return 0;
    case "print-config":
      console.log(printConfig(parsed));
      return 0;
    case "run":
      return serve(parsed.settings, startWarnings(parsed));
  }
}

/** For the log of the server. */
function startWarnings(parsed: ParsedSettings): string[] {
  return [...parsed.ignored.map((flag) => `${flag} has no effect in this server`), ...exposedSecrets(parsed)];
}
