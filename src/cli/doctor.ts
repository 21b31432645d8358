/**
 * `stock-db-server doctor`: can the server run with this database, on this machine? It prints a
 * line for each thing, with what to do: for whoever sets the server up, or looks for a fault while
 * it can't start. docs/doctor.md promises every line.
 */
import { tryBus } from "../bus/bus.ts";
import { describeDatabase, redact } from "../config/database-url.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { Finding } from "../storage/diagnosis.ts";
import { type CheckConsole, openConsole, silentConsole } from "./check/console.ts";
import { diagnoseInProcess } from "./doctor/database.ts";
import { diagnoseMachine } from "./doctor/machine.ts";
import { DOCTOR_HELP, parseDoctorOptions } from "./doctor/options.ts";
import { readOptions } from "./flags.ts";

/** What `--json` prints. */
export interface DoctorReport {
  ok: boolean;
  database: string;
  engine: string;
  findings: Finding[];
}

export interface DoctorDeps {
  /** argv of a process that prints what it finds out about the database. */
  databaseCommand: string[];
  /** Returns the new one. Throws when the database can't be had. */
  beginEpoch(dbFile: string): Promise<string>;
}

/** @returns The exit code: 0 nothing failed, 1 something did, 2 wrong usage. */
export async function runDoctor(
  argv: string[],
  { databaseCommand, beginEpoch }: DoctorDeps,
): Promise<number> {
  const options = readOptions(() => parseDoctorOptions(argv, process.env), DOCTOR_HELP);
  if (typeof options === "number") return options;
  const { dbFile, bus, timeoutS, json } = options;
  if (options.newEpoch) return await startEpoch(dbFile, beginEpoch);
  const show = json ? silentConsole : openConsole(process.stdout);
  const report: DoctorReport = {
    ok: true,
    database: redact(dbFile),
    engine: describeDatabase(dbFile).engine,
    findings: [],
  };
  show.say(`Database ${report.database} (${report.engine})`);
  show.begin("database");
  await gather(diagnoseInProcess({ command: databaseCommand, dbFile, timeoutS }), report, show);
  if (bus !== null) await gather(diagnoseBus(bus, dbFile), report, show);
  show.say("This machine");
  await gather(diagnoseMachine(), report, show);

  if (json) console.log(JSON.stringify(report, null, 2));
  show.say(verdict(report));
  return report.ok ? 0 : 1;
}

async function startEpoch(dbFile: string, beginEpoch: DoctorDeps["beginEpoch"]): Promise<number> {
  try {
    const epoch = await beginEpoch(dbFile);
    console.log(`${redact(dbFile)}: a new epoch begins, ${epoch}; clients that come back get a snapshot`);
    return 0;
  } catch (error) {
    console.error(`doctor: --new-epoch: ${messageOf(error).replaceAll(dbFile, redact(dbFile))}`);
    return 1;
  }
}

async function* diagnoseBus(url: string, dbFile: string): AsyncGenerator<Finding> {
  const subject = "bus";
  try {
    const shown = await tryBus({ url, dbFile });
    yield { level: "ok", subject, finding: `a message went to ${shown} and came back` };
  } catch (error) {
    yield {
      level: "fail",
      subject,
      finding: messageOf(error),
      advice:
        "see that the broker runs and lets this user publish and subscribe; without it the server starts all the same, but updates of other servers come late",
    };
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
