/** `doctor` as a process, on files in every state: what it says, and that it changes nothing. */
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import type { DoctorReport } from "../../src/cli/doctor.ts";
import type { Finding } from "../../src/storage/diagnosis.ts";
import { openTarget } from "../../src/storage/engines.ts";
import { SCHEMA_VERSION } from "../../src/storage/sqlite/schema.ts";
import { NATS_SERVER, startNatsServer } from "../support/nats-server.ts";
import { writePythonFile } from "../support/python-file.ts";
import { type CliOutcome, runCli } from "../support/run-cli.ts";
import { startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const MAIN = resolve(import.meta.dir, "../../src/main.ts");

interface Diagnosis {
  code: number;
  report: DoctorReport;
  of(subject: string): Finding | undefined;
}

function read({ code, stdout }: CliOutcome): Diagnosis {
  const report = JSON.parse(stdout) as DoctorReport;
  return { code, report, of: (subject) => report.findings.find((finding) => finding.subject === subject) };
}

/** Also makes sure that the folder is the same afterwards, to the byte. */
async function diagnose(dbFile: string, ...flags: string[]): Promise<Diagnosis> {
  const folder = resolve(dbFile, "..");
  const before = contentsOf(folder);
  const diagnosis = read(await runCli(["doctor", "--json", "--db-file", dbFile, ...flags]));
  expect(contentsOf(folder)).toEqual(before);
  expect(diagnosis.report.ok).toBe(diagnosis.code === 0);
  for (const finding of diagnosis.report.findings)
    if (finding.level !== "ok") expect(finding.advice).toBeString();
  return diagnosis;
}

function contentsOf(folder: string): [name: string, bytes: number, hash: bigint | null, changed: number][] {
  return readdirSync(folder)
    .toSorted()
    .map((name) => {
      const path = join(folder, name);
      const stat = statSync(path);
      // The WAL's index is shared memory, where a reader leaves its mark too.
      const isData = stat.isFile() && !name.endsWith("-shm");
      return [
        name,
        stat.size,
        isData ? Bun.hash.xxHash64(readFileSync(path)) : null,
        isData ? stat.mtimeMs : 0,
      ];
    });
}

/**
 * Made elsewhere and copied: the files of the WAL stay until the collector has closed the last
 * statement of this process.
 */
async function makeDatabase(dbFile: string, rows = 0): Promise<void> {
  using elsewhere = tempDir();
  const made = join(elsewhere.path, "made.db");
  const { writer, close } = await openTarget({ dbFile: made, durability: "normal" });
  await writer.commit([
    {
      kind: "ticks",
      ticker: "A",
      part: "trade",
      rows: Array.from({ length: rows }, (_, n) => [
        `2024-01-02 10:00:00.${String(n).padStart(6, "0")}`,
        n,
        1,
        null,
        null,
        null,
        null,
        0,
      ]),
      onDuplicate: "replace",
    },
  ]);
  await close();
  copyFileSync(made, dbFile);
}

test("a sound file on a sound machine: a line for each thing, and exit code 0", async () => {
  using dir = tempDir();
  const dbFile = join(dir.path, "a file.db");
  await makeDatabase(dbFile, 10);
  const { code, report, of } = await diagnose(dbFile);
  expect(code).toBe(0);
  expect(report).toMatchObject({ ok: true, database: dbFile, engine: "sqlite" });
  for (const subject of ["file", "server", "engine", "schema", "WAL", "folder", "free space", "integrity"])
    expect(of(subject)).toMatchObject({ level: "ok" });
  for (const subject of ["Bun", "clock", "CPUs", "runtime folder"])
    expect(of(subject)).toMatchObject({ level: "ok" });
  for (const subject of ["file system", "file descriptors", "SO_REUSEPORT"])
    expect(of(subject)).toBeDefined();
  if (process.platform === "linux")
    for (const subject of ["tcp_migrate_req", "somaxconn"]) expect(of(subject)).toBeDefined();

  const text = await runCli(["doctor", "--db-file", dbFile]);
  expect(text.code).toBe(0);
  expect(text.stdout).toContain(`ok      schema: version ${SCHEMA_VERSION}, the one of this server\n`);
  expect(text.stdout).toMatch(
    /^SO_REUSEPORT|ok {6}SO_REUSEPORT: of 200 connections one listener got \d+, the other \d+$/m,
  );
});

test("what the server would do to an older file is told, not done", async () => {
  using dir = tempDir();
  const dbFile = join(dir.path, "python.db");
  writePythonFile(dbFile, { statements: ["ALTER TABLE daily_prices ADD COLUMN note TEXT"] });
  const { code, of } = await diagnose(dbFile);
  expect(code).toBe(0);
  expect(of("schema")).toMatchObject({ level: "warning" });
  expect(of("schema")!.finding).toContain("rewrites daily_prices, hourly_prices, realtime_data");
  expect(of("schema")!.finding).toContain("keeps your columns daily_prices.note");
  expect(of("WAL")!.finding).toContain("off; the server turns it on");
});

test("files that the server can't serve fail, each with its reason", async () => {
  using dir = tempDir();
  const make = (name: string, write: (path: string) => void): string => {
    const folder = join(dir.path, name);
    mkdirSync(folder);
    write(join(folder, "x.db"));
    return join(folder, "x.db");
  };
  const cases: [dbFile: string, subject: string, reason: string][] = [
    [make("text", (path) => writeFileSync(path, "date,close\n")), "file", "is no SQLite database"],
    [make("duckdb", (path) => writeFileSync(path, "12345678DUCK567890")), "file", "is a DuckDB file"],
    [make("folder", (path) => mkdirSync(path)), "file", "is no file"],
    [
      make("broken", (path) => writePythonFile(path, { brokenTable: "realtime_data" })),
      "schema",
      "has no column timestamp",
    ],
    [
      make("newer", (path) => {
        using db = new Database(path);
        db.run("PRAGMA user_version=7");
      }),
      "schema",
      "version 7, written by a newer server",
    ],
    [
      make("lost", (path) => {
        using db = new Database(path);
        db.run("PRAGMA user_version=1");
      }),
      "schema",
      "has no table daily_prices",
    ],
    [
      make("head", (path) => writeFileSync(path, `SQLite format 3\0${"x".repeat(4_080)}`)),
      "open",
      "not a database",
    ],
  ];
  for (const [dbFile, subject, reason] of cases) {
    const { code, of } = await diagnose(dbFile);
    expect({ dbFile, code, finding: of(subject) }).toMatchObject({ code: 1, finding: { level: "fail" } });
    expect(of(subject)!.finding).toContain(reason);
  }
});

test("damaged pages are found", async () => {
  using dir = tempDir();
  const dbFile = join(dir.path, "x.db");
  await makeDatabase(dbFile, 5_000);
  const bytes = readFileSync(dbFile);
  bytes.fill(0x5a, 40_960, 81_920);
  writeFileSync(dbFile, bytes);
  const { code, of } = await diagnose(dbFile);
  expect(code).toBe(1);
  expect(of("schema")).toMatchObject({ level: "ok" });
  expect(of("integrity")).toMatchObject({ level: "fail" });
});

test("a file that isn't there is worth a look, and isn't made", async () => {
  using dir = tempDir();
  const { code, of } = await diagnose(join(dir.path, "deep.db"));
  expect(code).toBe(0);
  expect(of("file")).toMatchObject({ level: "warning" });
  const below = join(dir.path, "not", "yet", "x.db");
  const deep = read(await runCli(["doctor", "--json", "--db-file", below]));
  expect(deep.of("folder")).toMatchObject({ level: "ok", finding: `${dir.path} can be written to` });
  expect(readdirSync(dir.path)).toEqual([]);
});

test("a WAL that nobody folds in is told", async () => {
  using dir = tempDir();
  const dbFile = join(dir.path, "x.db");
  await makeDatabase(dbFile, 10);
  writeFileSync(`${dbFile}-wal`, "");
  truncateSync(`${dbFile}-wal`, 300 * 1024 * 1024); // sparse
  writeFileSync(`${dbFile}-shm`, "");
  const outcome = read(await runCli(["doctor", "--json", "--db-file", dbFile]));
  expect(outcome.of("WAL")).toMatchObject({ level: "warning", finding: "x.db-wal has 315 MB" });
});

test("a file that a server has open, also while it is saved to", async () => {
  await using server = await startServer();
  await server.command("save_realtime_data", {
    ticker: "A",
    data_type: "trade",
    index_col: "timestamp",
    data: [{ timestamp: "2024-01-02T10:00:00Z", price: 1, size: 1 }],
  });
  const { code, of } = await diagnose(server.dbFile);
  expect(code).toBe(0);
  expect(of("server")).toMatchObject({ level: "warning", finding: "a stock-db-server has it open" });
  expect(of("integrity")).toMatchObject({ level: "ok" });
});

test("a lock of another program is told, and not waited for without end", async () => {
  using dir = tempDir();
  const dbFile = join(dir.path, "x.db");
  writePythonFile(dbFile);
  using other = new Database(dbFile);
  other.run("BEGIN EXCLUSIVE");
  // Not through diagnose(): this process must not open and close the file itself, which would give
  // up its locks.
  const { code, of } = read(await runCli(["doctor", "--json", "--db-file", dbFile]));
  other.run("ROLLBACK");
  expect(code).toBe(1);
  expect(of("open")!.finding).toContain("SQLITE_BUSY");
});

test("few file descriptors are told", async () => {
  if (process.platform !== "linux") return;
  using dir = tempDir();
  const command = `ulimit -n 1000; exec "$@"`;
  const argv = [
    process.execPath,
    "--no-orphans",
    MAIN,
    "doctor",
    "--json",
    "--db-file",
    join(dir.path, "x.db"),
  ];
  await using child = Bun.spawn(["sh", "-c", command, "sh", ...argv], { stdout: "pipe", stderr: "ignore" });
  const { of } = read({ stdout: await child.stdout.text(), stderr: "", code: await child.exited });
  expect(of("file descriptors")).toMatchObject({ level: "warning", finding: "1,000 for each process" });
});

test("the bus is looked at if one is named, and its password isn't shown", async () => {
  using dir = tempDir();
  const dbFile = join(dir.path, "x.db");
  expect((await diagnose(dbFile)).of("bus")).toBeUndefined();
  const away = await diagnose(dbFile, "--bus", "redis://:s3cret@127.0.0.1:1");
  expect(away.of("bus")).toMatchObject({ level: "fail", finding: expect.stringContaining("ECONNREFUSED") });
  expect(JSON.stringify(away.report)).not.toContain("s3cret");
  const mismatch = await diagnose(dbFile, "--bus", "postgres");
  expect(mismatch.of("bus")!.finding).toContain("expected a PostgreSQL database");
});

if (NATS_SERVER === null) console.log("doctor.test.ts: a bus is skipped, as no nats-server is installed");
test.skipIf(NATS_SERVER === null)("a bus that works is told", async () => {
  using dir = tempDir();
  await using broker = await startNatsServer();
  const { of } = await diagnose(join(dir.path, "x.db"), "--bus", `nats://127.0.0.1:${broker.port}`);
  expect(of("bus")).toMatchObject({ level: "ok", subject: "bus" });
});

test("wrong usage", async () => {
  for (const args of [
    ["--bus", "kafka://h"],
    ["--db-file", "x.txt"],
    ["--timeout", "0"],
    ["--fast"],
    ["x.db"],
  ]) {
    const { code, stderr } = await runCli(["doctor", ...args]);
    expect({ args, code }).toEqual({ args, code: 2 });
    expect(stderr).not.toBe("");
  }
  expect((await runCli(["doctor", "--help"])).stdout).toStartWith("Usage: stock-db-server doctor");
});
