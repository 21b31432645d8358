/**
 * A process of its own examines the database. Opening a file on a dead disk, or checking a large
 * one, can take any time, and only the end of the process stops it.
 */
import { redact } from "../../config/redact.ts";
import { type DiagnosisStep, type Finding, fail } from "../../storage/diagnosis.ts";
import { DOCTOR_BRIEF_ENV, type DoctorBrief } from "../../supervisor/control.ts";
import { within } from "../../time/within.ts";

/** SIGKILL needs no longer, unless the disk is gone. */
const END_WAIT_MS = 1_000;

export interface DatabaseProcess {
  /** argv of a process that prints steps, one JSON object per line. */
  command: string[];
  dbFile: string;
  replicas?: string[];
  timeoutS: number;
}

/** Ends soon after the time-out, whatever the database does. */
export async function* diagnoseInProcess({
  command,
  dbFile,
  replicas = [],
  timeoutS,
}: DatabaseProcess): AsyncGenerator<Finding> {
  const brief: DoctorBrief = { dbFile, replicas };
  const child = Bun.spawn(command, {
    env: { ...process.env, [DOCTOR_BRIEF_ENV]: JSON.stringify(brief) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const steps = readSteps(child.stdout);
  const timeUp = Promise.withResolvers<null>();
  const timer = setTimeout(() => timeUp.resolve(null), timeoutS * 1_000);
  let current = { begin: "database", optional: false };
  try {
    for (;;) {
      const step = await Promise.race([steps.next(), timeUp.promise]);
      if (step === null || step.done) break;
      if ("begin" in step.value) current = step.value;
      else yield redacted(step.value, [dbFile, ...replicas]);
    }
    // On a dead disk, an ending process may have closed its output and still hang.
    const code = await Promise.race([timeUp.promise, child.exited]);
    if (code === null) yield timeoutFinding(current, timeoutS);
    else if (code !== 0)
      yield redacted(deathFinding(current.begin, await child.stderr.text()), [dbFile, ...replicas]);
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
    // A process that waits for a dead disk can't be killed. It must not keep this one alive.
    child.unref();
    await within(child.exited, END_WAIT_MS, () => null);
  }
}

async function* readSteps(output: ReadableStream<Uint8Array>): AsyncGenerator<DiagnosisStep> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of output) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield JSON.parse(line) as DiagnosisStep;
  }
}

function timeoutFinding(current: { begin: string; optional: boolean }, timeoutS: number): Finding {
  return {
    level: current.optional ? "warning" : "fail",
    subject: current.begin,
    finding: `not done after ${timeoutS} s`,
    advice: current.optional
      ? `allow more with --timeout ${timeoutS * 20}, best when the machine has little to do`
      : "the disk or the network to the database doesn't answer: look at dmesg and at the mount",
  };
}

function deathFinding(part: string, stderr: string): Finding {
  const reason = stderr.trim().split("\n").at(-1) ?? "";
  return fail(
    part,
    `the process that looked at the database ended: ${reason.slice(0, 300)}`,
    "keep a copy of the database, and report this",
  );
}

/** A driver's message may name the database as given, with its password. */
function redacted(finding: Finding, secrets: readonly string[]): Finding {
  const clean = (text: string): string =>
    secrets.reduce((cleaned, secret) => cleaned.replaceAll(secret, redact(secret)), text);
  return { ...finding, finding: clean(finding.finding), advice: finding.advice && clean(finding.advice) };
}
