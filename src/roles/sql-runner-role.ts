/**
 * A SQL runner: one user-written statement after the other, until its worker is gone or kills it.
 */
import { setPriority } from "node:os";
import { runSqlRunner } from "../sql/runner.ts";
import { describeDatabase } from "../storage/engines.ts";
import { readBrief } from "./child-control.ts";

/**
 * Of 0 to 19: how far a runner steps back where processors are short. It computes for seconds, and
 * a worker answers in microseconds.
 */
const NICE = 10;

export async function serveAsSqlRunner(): Promise<void> {
  const { settings } = readBrief();
  setPriority(NICE);
  // A terminal's Ctrl-C is for the server, which ends its runners itself.
  for (const signal of ["SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
  runSqlRunner(await describeDatabase(settings.dbFile).engine.openRunner!(settings));
}
