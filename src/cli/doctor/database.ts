/**
 * The findings of a database, made by a process of their own: opening a file on a disk that has
 * gone, or checking a large one, can take any time, and nothing but the end of its process ends it.
 */
import { redact } from "../../config/database-url.ts";
import { DOCTOR_BRIEF_ENV, type DoctorBrief } from "../../protocol/control.ts";
import type { DiagnosisStep, Finding } from "../../storage/diagnosis.ts";
import { within } from "../../time/within.ts";

/** After SIGKILL, which needs no longer unless the disk is gone. */
const END_WAIT_MS = 1_000;

export interface DatabaseProcess {
  /** argv of a process that prints steps, one JSON object a line. */
  command: string[];
  dbFile: string;
  timeoutS: number;
}

/** Ends soon after the time is over, whatever the database does. */
export async function* diagnoseInProcess({
  command,
  dbFile,
  timeoutS,
}: DatabaseProcess): AsyncGenerator<Finding> {
  const brief: DoctorBrief = { dbFile };
  const child = Bun.spawn(command, {
    env: { ...process.env, [DOCTOR_BRIEF_ENV]: JSON.stringify(brief) },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let timedOut = false;
  const steps = readSteps(child.stdout);
  const over = Promise.withResolvers<null>();
  const timer = setTimeout(() => {
    timedOut = true;
    over.resolve(null);
  }, timeoutS * 1_000);
  let begun = { begin: "database", optional: false };
  try {
    for (;;) {
      const step = await Promise.race([steps.next(), over.promise]);
      if (step === null || step.done) break;
      if ("begin" in step.value) begun = step.value;
      else yield redacted(step.value, dbFile);
    }
    if (timedOut) yield unfinished(begun, timeoutS);
    else if ((await child.exited) !== 0) yield redacted(died(begun.begin, await child.stderr.text()), dbFile);
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
    // A process that waits for a dead disk can't even be killed: it must not keep this one.
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

function unfinished(begun: { begin: string; optional: boolean }, timeoutS: number): Finding {
  return {
    level: begun.optional ? "warning" : "fail",
    subject: begun.begin,
    finding: `not done after ${timeoutS} s`,
    advice: begun.optional
      ? `allow more with --timeout ${timeoutS * 20}, best when the machine has little to do`
      : "the disk or the network to the database doesn't answer: look at dmesg and at the mount",
  };
}

function died(part: string, stderr: string): Finding {
  const reason = stderr.trim().split("\n").at(-1) ?? "";
  return {
    level: "fail",
    subject: part,
    finding: `the process that looked at the database ended: ${reason.slice(0, 300)}`,
    advice: "keep a copy of the database, and report this",
  };
}

/** A driver's words may name the database as it was given. */
function redacted(finding: Finding, dbFile: string): Finding {
  const clean = (text: string): string => text.replaceAll(dbFile, redact(dbFile));
  return { ...finding, finding: clean(finding.finding), advice: finding.advice && clean(finding.advice) };
}
