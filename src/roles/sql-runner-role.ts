/** A SQL runner: one user-written statement after the other, until its worker is gone or kills it. */
import { runSqlRunner } from "../sql/runner.ts";
import { readBrief } from "./child-control.ts";
import { openUserSql } from "./engine.ts";

export function serveAsSqlRunner(): void {
  const { settings } = readBrief();
  // A terminal's Ctrl-C is for the server, which ends its runners itself.
  for (const signal of ["SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
  runSqlRunner(openUserSql(settings));
}
