/** Looks at a database for `doctor`, and prints each step as one line of JSON. */
import { writeSync } from "node:fs";
import { messageOf } from "../protocol/message-of.ts";
import { type DiagnosisStep, fail } from "../storage/diagnosis.ts";
import { describeDatabase } from "../storage/engines.ts";
import { DOCTOR_BRIEF_ENV, type DoctorBrief } from "../supervisor/control.ts";

const STANDARD_OUTPUT = 1;
const DRIVER_ADVICE =
  "npm must not omit optional packages; the one file needs a folder into which it may unpack DuckDB's library";

export async function diagnoseForDoctor(): Promise<number> {
  const { dbFile, replicas } = JSON.parse(process.env[DOCTOR_BRIEF_ENV] ?? "{}") as DoctorBrief;
  const { engine } = describeDatabase(dbFile);
  let steps: AsyncGenerator<DiagnosisStep>;
  try {
    steps = await engine.diagnose(dbFile, replicas);
  } catch (error) {
    print(fail("driver", messageOf(error), DRIVER_ADVICE));
    return 0;
  }
  for await (const step of steps) print(step);
  return 0;
}

function print(step: DiagnosisStep): void {
  // At once: the next step may block this thread for as long as the process lives.
  writeSync(STANDARD_OUTPUT, `${JSON.stringify(step)}\n`);
}
