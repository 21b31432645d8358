/** Looks at a database for `doctor`, and prints each step as one line of JSON. */
import { writeSync } from "node:fs";
import { describeDatabase } from "../storage/engines.ts";
import { DOCTOR_BRIEF_ENV, type DoctorBrief } from "../supervisor/control.ts";

const STANDARD_OUTPUT = 1;

export async function diagnoseForDoctor(): Promise<number> {
  const { dbFile } = JSON.parse(process.env[DOCTOR_BRIEF_ENV] ?? "{}") as DoctorBrief;
  for await (const step of await describeDatabase(dbFile).engine.diagnose(dbFile)) {
    // At once: the next step may block this thread for as long as the process lives.
    writeSync(STANDARD_OUTPUT, `${JSON.stringify(step)}\n`);
  }
  return 0;
}
