import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../../../test/support/temp-dir.ts";
import type { Finding } from "../../storage/diagnosis.ts";
import { diagnoseInProcess } from "./database.ts";

setDefaultTimeout(120_000);

async function findingsOf(script: string, dbFile = "some.db", timeoutS = 60): Promise<Finding[]> {
  const findings: Finding[] = [];
  const command = [process.execPath, "--no-orphans", "-e", script];
  for await (const finding of diagnoseInProcess({ command, dbFile, timeoutS })) findings.push(finding);
  return findings;
}

const print = (step: object): string =>
  `require("fs").writeSync(1, ${JSON.stringify(`${JSON.stringify(step)}\n`)});`;

test("a database that never answers is told after the time, and its process is gone", async () => {
  using dir = tempDir();
  const pidFile = join(dir.path, "pid");
  const script = `require("fs").writeFileSync(${JSON.stringify(pidFile)}, String(process.pid));
    ${print({ begin: "open", optional: false })} for (;;) {}`;
  expect(await findingsOf(script, "some.db", 4)).toMatchObject([
    { level: "fail", subject: "open", finding: "not done after 4 s" },
  ]);
  const pid = Number(readFileSync(pidFile, "utf8"));
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});

test("a process that has closed its output and doesn't end is told after the time", async () => {
  const script = `${print({ begin: "open", optional: false })} require("fs").closeSync(1); for (;;) {}`;
  expect(await findingsOf(script, "some.db", 4)).toMatchObject([
    { level: "fail", subject: "open", finding: "not done after 4 s" },
  ]);
});

test("a check that takes too long is no failure, and what was found before it is kept", async () => {
  const found: Finding = { level: "ok", subject: "schema", finding: "fine" };
  const script = `${print(found)} ${print({ begin: "integrity", optional: true })} for (;;) {}`;
  expect(await findingsOf(script, "some.db", 4)).toMatchObject([
    found,
    { level: "warning", subject: "integrity" },
  ]);
});

test("a process that dies is told with its last words, and passwords nowhere", async () => {
  const url = "postgresql://me:s3cret@host:5432/stocks";
  const found: Finding = { level: "warning", subject: "open", finding: `at ${url}`, advice: `ask ${url}` };
  const script = `${print(found)} console.error("cannot open ${url}"); process.exit(3);`;
  const findings = await findingsOf(script, url);
  expect(findings.map((finding) => finding.level)).toEqual(["warning", "fail"]);
  expect(JSON.stringify(findings)).not.toContain("s3cret");
  expect(findings[1]!.finding).toEndWith("cannot open postgresql://me:***@host:5432/stocks");
});
