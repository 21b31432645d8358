import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { logFilePath, openLogFile } from "./log-file.ts";

setDefaultTimeout(120_000);

const folder = mkdtempSync(join(tmpdir(), "log-file-"));
afterAll(() => rmSync(folder, { recursive: true }));

const refuse = (problem: string): void => {
  throw new Error(problem);
};

test("a worker's file has its number before the ending", () => {
  expect(logFilePath("logs/server.log", 12)).toBe("logs/server_worker_12.log");
  expect(logFilePath("logs.d/server", 0)).toBe("logs.d/server_worker_0");
  expect(logFilePath("server.log", null)).toBe("server.log");
});

describe("rotation", () => {
  test("keeps five older files, the newest as .1", async () => {
    const path = join(folder, "five.log");
    const file = openLogFile(path, { report: refuse, bytesMax: 100 });
    for (let n = 0; n < 20; n++) await file.write(Buffer.from(`${n} ${"x".repeat(60)}\n`));
    await file.close();
    const names = readdirSync(folder).filter((name) => name.startsWith("five.log"));
    expect(names.sort()).toEqual([
      "five.log",
      "five.log.1",
      "five.log.2",
      "five.log.3",
      "five.log.4",
      "five.log.5",
    ]);
    const first = names.map((name) => readFileSync(join(folder, name), "utf8").split(" ")[0]);
    expect(first).toEqual(["19", "18", "17", "16", "15", "14"]);
  });

  test("goes on in a file that was there before", async () => {
    const path = join(folder, "before.log");
    writeFileSync(path, "x".repeat(90));
    const file = openLogFile(path, { report: refuse, bytesMax: 100 });
    await file.write(Buffer.from("0123456789\n"));
    await file.close();
    expect(statSync(`${path}.1`).size).toBe(90);
    expect(readFileSync(path, "utf8")).toBe("0123456789\n");
  });

  test("follows when somebody else moves or removes the file", async () => {
    const path = join(folder, "moved.log");
    const file = openLogFile(path, { report: refuse });
    await file.write(Buffer.from("one\n"));
    rmSync(path);
    await file.write(Buffer.from("two\n"));
    await file.close();
    expect(readFileSync(path, "utf8")).toBe("two\n");
  });

  test("waits while another process holds the lock, and outlives one that died with it", async () => {
    const path = join(folder, "locked.log");
    const file = openLogFile(path, { report: refuse, bytesMax: 10 });
    writeFileSync(`${path}.lock`, "");
    for (const text of ["first\n", "second\n"]) await file.write(Buffer.from(text));
    expect([readFileSync(path, "utf8"), existsSync(`${path}.1`)]).toEqual(["first\nsecond\n", false]);
    const longAgo = new Date(Date.now() - 60_000);
    utimesSync(`${path}.lock`, longAgo, longAgo);
    for (const text of ["third\n", "fourth\n"]) await file.write(Buffer.from(text));
    await file.close();
    expect(readFileSync(`${path}.1`, "utf8")).toBe("first\nsecond\nthird\n");
    expect(readFileSync(path, "utf8")).toBe("fourth\n");
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  test("by three processes at once loses no line and mixes none", async () => {
    const path = join(folder, "shared.log");
    const lines = 3000;
    const module = JSON.stringify(join(import.meta.dir, "log-file.ts"));
    const code = `import { openLogFile } from ${module};
      const file = openLogFile(${JSON.stringify(path)}, { report: console.error, bytesMax: 100_000 });
      for (let i = 0; i < ${lines}; i += 10) {
        let chunk = "";
        for (let j = i; j < i + 10; j++) chunk += process.argv.at(-1) + " " + j + " " + "y".repeat(30) + "\\n";
        await file.write(Buffer.from(chunk));
      }`;
    const writers = ["a", "b", "c"].map((name) =>
      Bun.spawn([process.execPath, "--no-orphans", "-e", code, name], {
        stdio: ["ignore", "inherit", "inherit"],
      }),
    );
    expect(await Promise.all(writers.map((writer) => writer.exited))).toEqual([0, 0, 0]);
    const seen = new Map<string, number>();
    const names = readdirSync(folder).filter((name) => name.startsWith("shared.log"));
    expect(names.length).toBeGreaterThan(2);
    for (const name of names) {
      for (const line of readFileSync(join(folder, name), "utf8").split("\n").slice(0, -1)) {
        const [, writer] = /^([abc]) \d+ y{30}$/.exec(line) ?? refuse(`mixed line: ${line}`) ?? [];
        seen.set(writer!, (seen.get(writer!) ?? 0) + 1);
      }
    }
    expect(Object.fromEntries(seen)).toEqual({ a: lines, b: lines, c: lines });
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  test("that fails is reported once and costs no line", async () => {
    const path = join(folder, "stuck.log");
    const problems: string[] = [];
    const file = openLogFile(path, { report: (problem) => problems.push(problem), bytesMax: 10 });
    // A folder where the oldest backup should go: a file can't be renamed to it.
    writeFileSync(`${path}.4`, "");
    await Bun.write(join(`${path}.5`, "in-the-way"), "");
    for (const text of ["first\n", "second\n", "third\n"]) await file.write(Buffer.from(text));
    await file.close();
    expect(readFileSync(path, "utf8")).toBe("first\nsecond\nthird\n");
    expect(problems).toHaveLength(1);
    expect(problems[0]).toStartWith(`${path} can't be rotated: E`);
  });
});
