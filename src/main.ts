/**
 * Picks what this process is: a subcommand that a user typed, or a child that the server started.
 * Each loads its own modules alone: a hub starts in half the time without those of the others.
 */

import { dropDotEnv } from "./config/own-environment.ts";
import type { ParsedSettings } from "./config/settings.ts";
import { MAIN } from "./installation/installed.ts";
import { endChildrenWithThis, ownCommand } from "./installation/own-command.ts";
import { USAGE_EXIT } from "./supervisor/control.ts";

const [first = "serve", ...rest] = process.argv.slice(2);
const [subcommand, argv] = first.startsWith("-") ? ["serve", [first, ...rest]] : [first, rest];

dropDotEnv();
endChildrenWithThis();
// Not awaited: while a top-level await is pending, Bun carries on after an uncaught error.
void run();

async function run(): Promise<void> {
  switch (subcommand) {
    case "hub":
      return await (await import("./roles/hub-process.ts")).serveAsHub();
    case "worker":
      return await (await import("./roles/worker-process.ts")).serveAsWorker();
    case "sql-runner":
      return await (await import("./roles/sql-runner-role.ts")).serveAsSqlRunner();
    case "database-doctor":
      process.exit(await (await import("./roles/doctor-role.ts")).diagnoseForDoctor());
  }
  const { UsageError } = await import("./config/usage-error.ts");
  try {
    process.exit(subcommand === "serve" ? await runServe(argv) : await runCommand(subcommand, argv));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`stock-db-server: ${error.message}`);
    process.exit(USAGE_EXIT);
  }
}

/** @returns the exit code. @throws UsageError */
async function runServe(args: string[]): Promise<number> {
  const { parseSettings } = await import("./config/settings.ts");
  const { describeDatabase } = await import("./storage/engines.ts");
  const parsed = parseSettings(args, process.env);
  describeDatabase(parsed.settings.dbFile, parsed.sources.dbFile);
  switch (parsed.wants) {
    case "help":
      console.log((await import("./cli/help.ts")).helpText());
      return 0;
    case "version":
      console.log((await import("../package.json", { with: { type: "json" } })).version);
      return 0;
    case "print-config":
      console.log((await import("./config/render-settings.ts")).printConfig(parsed));
      return 0;
    case "run":
      return await (await import("./roles/serve.ts")).serve(parsed.settings, {
        warnings: await startWarnings(parsed),
        argv: args,
      });
  }
}

/** For the log of the server. */
async function startWarnings(parsed: ParsedSettings): Promise<string[]> {
  const { exposedSecrets } = await import("./config/exposed-secrets.ts");
  return [...parsed.ignored.map((flag) => `${flag} has no effect in this server`), ...exposedSecrets(parsed)];
}

/** @returns the exit code. @throws UsageError */
async function runCommand(name: string, args: string[]): Promise<number> {
  const { endWithOutput } = await import("./cli/closed-output.ts");
  // Not of `serve`: the server's log has a way of its own with an output that is gone.
  endWithOutput();
  const { runSubcommand } = await import("./roles/subcommand.ts");
  return await runSubcommand(name, args, ownCommand(MAIN, "database-doctor"));
}
