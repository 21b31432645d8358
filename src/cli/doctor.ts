/**
 * `stock-db-server doctor`: can the server run with this database, on this machine? It prints a
 * line for each thing, with what to do: for whoever sets the server up, or looks for a fault while
 * it can't start. docs/doctor.md promises every line.
 */
import { existsSync } from "node:fs";
import { tryBus } from "../bus/open-bus.ts";
import { redact } from "../config/redact.ts";
import { messageOf } from "../protocol/message-of.ts";
import { type Finding, fail, ok } from "../storage/diagnosis.ts";
import { describeDatabase } from "../storage/engines.ts";
import { type CheckConsole, openConsole, silentConsole } from "./check/console.ts";
import { diagnoseInProcess } from "./doctor/database.ts";
import { diagnoseMachine } from "./doctor/machine.ts";
import { DOCTOR_HELP, parseDoctorOptions } from "./doctor/options.ts";
import { readOptions } from "./flags.ts";

export interface DoctorReport {
  ok: boolean;
  database: string;
  engine: string;
  findings: Finding[];
}

/**
 * @param databaseCommand argv of a process that prints what it finds out about the database.
 * @returns The exit code: 0 nothing failed, 1 something did, 2 wrong usage.
 */
export async function runDoctor(argv: string[], databaseCommand: string[]): Promise<number> {
  const options = readOptions(() => parseDoctorOptions(argv, process.env), DOCTOR_HELP);
  if (typeof options === "number") return options;
  const { dbFile, replicas, bus, timeoutS, json } = options;
  if (options.newEpoch) return await startEpoch(dbFile);
  const show = json ? silentConsole : openConsole(process.stdout);
  const report: DoctorReport = {
    ok: true,
    database: redact(dbFile),
    engine: describeDatabase(dbFile).name,
    findings: [],
  };
  show.say(`Database ${report.database} (${report.engine})`);
  show.begin("database");
  await gather(diagnoseInProcess({ command: databaseCommand, dbFile, replicas, timeoutS }), report, show);
  if (bus !== null) await gather(diagnoseBus(bus, dbFile), report, show);
  show.say("This machine");
  await gather(diagnoseMachine(), report, show);

  if (json) console.log(JSON.stringify(report, null, 2));
  show.say(verdict(report));
  return report.ok ? 0 : 1;
}

async function startEpoch(dbFile: string): Promise<number> {
  try {
    const epoch = await beginEpoch(dbFile);
    console.log(`${redact(dbFile)}: a new epoch begins, ${epoch}; clients that come back get a snapshot`);
    return 0;
  } catch (error) {
    console.error(`doctor: --new-epoch: ${messageOf(error).replaceAll(dbFile, redact(dbFile))}`);
    return 1;
  }
}

/**
 * Makes the positions that clients know of a database mean nothing: they begin anew.
 *
 * @returns the new epoch.
 * @throws Error there is no such database, a server has it, or its epoch isn't kept in it.
 */
async function beginEpoch(dbFile: string): Promise<string> {
  const { engine } = describeDatabase(dbFile);
  if (engine.epochElsewhere !== undefined) throw new Error(engine.epochElsewhere);
  if (!existsSync(dbFile)) throw new Error(`there is no database ${dbFile}`);
  const { writer, close } = await engine.open!({ dbFile, durability: "full" });
  try {
    return await writer.beginEpoch!();
  } finally {
    await close();
  }
}

async function* diagnoseBus(url: string, dbFile: string): AsyncGenerator<Finding> {
  const subject = "bus";
  try {
    const shown = await tryBus({ url, dbFile });
    yield ok(subject, `a message went to ${shown} and came back`);
  } catch (error) {
    yield fail(
      subject,
      messageOf(error),
      "see that the broker runs and lets this user publish and subscribe; without it the server starts all the same, but updates of other servers come late",
    );
  }
}

async function gather(
  findings: AsyncIterable<Finding>,
  report: DoctorReport,
  show: CheckConsole,
): Promise<void> {
  for await (const finding of findings) {
    report.findings.push(finding);
    if (finding.level === "fail") report.ok = false;
    const print = { ok: show.ok, warning: show.warning, fail: show.failed }[finding.level];
    print(finding.subject, finding.finding);
    if (finding.advice !== undefined) show.detail(`→ ${finding.advice}`);
  }
}

function verdict({ ok, findings }: DoctorReport): string {
  const named = (level: Finding["level"]): string =>
    findings
      .filter((finding) => finding.level === level)
      .map((finding) => finding.subject)
      .join(", ");
  if (!ok) return `The server can't run well: ${named("fail")}.`;
  const warnings = named("warning");
  return warnings === "" ? "All is well." : `The server can run. Worth a look: ${warnings}.`;
}
