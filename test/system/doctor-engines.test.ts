/** `doctor` on DuckDB, PostgreSQL and another server: what it says, and that it changes nothing. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import type { DoctorReport } from "../../src/cli/doctor.ts";
import type { Finding } from "../../src/storage/diagnosis.ts";
import { SCHEMA_VERSION } from "../../src/storage/duckdb/schema.ts";
import { openTarget } from "../../src/storage/engines.ts";
import { schemaOf, usePostgres } from "../support/postgres.ts";
import { runCli } from "../support/run-cli.ts";
import { startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();

async function diagnose(dbFile: string) {
  const { code, stdout, stderr } = await runCli(["doctor", "--json", "--db-file", dbFile]);
  expect(stderr).toBe("");
  expect(stdout).not.toContain("s3cret");
  const report = JSON.parse(stdout) as DoctorReport;
  expect(report.ok).toBe(code === 0);
  for (const finding of report.findings) if (finding.level !== "ok") expect(finding.advice).toBeString();
  return (subject: string): Finding | undefined =>
    report.findings.find((finding) => finding.subject === subject);
}

const TRADE = ["2024-01-02 10:00:00.000000", 1, 1, null, null, null, null, 0] as const;

async function fill(dbFile: string, rows = 1) {
  const database = await openTarget({ dbFile, durability: "normal" });
  const ticks = Array.from({ length: rows }, (_, seq) => [...TRADE.slice(0, 7), seq] as [...typeof TRADE]);
  await database.writer.commit([
    { kind: "ticks", ticker: "A", part: "trade", rows: ticks, onDuplicate: "replace" },
  ]);
  return database;
}

test("DuckDB: a good file, one that isn't there or is empty, and nothing is changed", async () => {
  using dir = tempDir();
  const path = join(dir.path, "a.duckdb");
  expect((await diagnose(path))("file")).toMatchObject({ level: "warning" });
  expect(readdirSync(dir.path)).toEqual([]);

  writeFileSync(path, "");
  expect((await diagnose(path))("file")).toMatchObject({ level: "ok" });
  expect(readFileSync(path)).toHaveLength(0);

  await (await fill(path)).close();
  const bytes = readFileSync(path);
  const of = await diagnose(path);
  for (const subject of ["file", "WAL", "server", "engine", "schema", "folder", "integrity"])
    expect(of(subject)).toMatchObject({ level: "ok" });
  expect(of("schema")?.finding).toContain(`version ${SCHEMA_VERSION}`);
  expect(readFileSync(path).equals(bytes)).toBe(true);
  expect(readdirSync(dir.path).sort()).toEqual(["a.duckdb", "a.duckdb.epoch"]);
});

test("DuckDB: keys that are stored twice are counted", async () => {
  using dir = tempDir();
  const path = join(dir.path, "a.duckdb");
  await (await fill(path, 3)).close();
  expect((await diagnose(path))("keys")).toMatchObject({ level: "ok" });
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  await connection.run("INSERT INTO realtime_data BY NAME SELECT * FROM realtime_data WHERE seq < 2");
  connection.closeSync();
  instance.closeSync();
  const keys = (await diagnose(path))("keys");
  expect(keys?.level).toBe("warning");
  expect(keys?.finding).toContain("2 of realtime_data");
});

test("DuckDB: open elsewhere, damaged, of another format", async () => {
  using dir = tempDir();
  const path = join(dir.path, "a.duckdb");
  const database = await fill(path, 5_000);
  expect((await diagnose(path))("server")).toMatchObject({ level: "warning" });
  await database.close();

  const good = readFileSync(path);
  const flipped = Buffer.from(good);
  flipped[4_100]! ^= 1; // within a header, which has a checksum
  writeFileSync(path, flipped);
  const open = (await diagnose(path))("open");
  expect(open).toMatchObject({ level: "fail", advice: "keep the file and its .wal, then put back a copy" });
  expect(open?.finding).toContain("checksum");
  writeFileSync(path, good);

  truncateSync(path, 20_000);
  const damaged = await diagnose(path);
  expect([damaged("open")?.level, damaged("integrity")?.level, damaged("schema")?.level]).toContain("fail");
  writeFileSync(path, "no database at all");
  expect((await diagnose(path))("file")).toMatchObject({ level: "fail" });
});

test("PostgreSQL: empty, filled, without rights, of a newer server, and away", async () => {
  const url = await postgres.freshSchema();
  const schema = schemaOf(url);
  const empty = await diagnose(url);
  expect(empty("schema")).toMatchObject({ level: "ok" });
  expect(empty("schema")?.finding).toContain("no tables yet");
  expect(await postgres.admin`SELECT 1 FROM pg_tables WHERE schemaname = ${schema}`).toHaveLength(0);

  await (await fill(url)).close();
  const filled = await diagnose(url);
  for (const subject of ["connection", "engine", "writable", "schema", "rights", "connections"])
    expect(filled(subject)).toMatchObject({ level: "ok" });

  await postgres.admin.unsafe(`CREATE ROLE guest LOGIN; GRANT USAGE ON SCHEMA ${schema} TO guest;
    GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO guest`);
  expect((await diagnose(url.replace("postgres@", "guest:s3cret@")))("rights")).toMatchObject({
    level: "fail",
  });

  await postgres.admin.unsafe(`UPDATE ${schema}.stock_db_schema SET version = 99`);
  expect((await diagnose(url))("schema")).toMatchObject({ level: "fail" });
  expect((await diagnose("postgresql://a:s3cret@127.0.0.1:1/b"))("connection")).toMatchObject({
    level: "fail",
  });
  const nowhere = url.replace("/postgres?", "/nowhere?");
  expect((await diagnose(nowhere))("connection")?.advice).toContain("create the database");
});

test("another server: healthy, and away", async () => {
  await using server = await startServer();
  const of = await diagnose(`127.0.0.1:${server.port}`);
  expect(of("server")).toMatchObject({ level: "ok" });
  expect(of("server")?.finding).toContain("sqlite");
  expect((await diagnose("http://a:s3cret@127.0.0.1:1"))("server")).toMatchObject({ level: "fail" });
});
