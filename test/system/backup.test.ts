/**
 * Backups of a file that a server goes on serving, and what comes back of them: on SQLite and
 * DuckDB, under saves, with kills in the middle, on a full disk, and damaged.
 */
import { Database } from "bun:sqlite";
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { failingStart } from "../support/failing-start.ts";
import { saveNumbered, storedNumbers } from "../support/numbered-saves.ts";
import { usePostgres } from "../support/postgres.ts";
import { unpackable } from "../support/random.ts";
import { runCli } from "../support/run-cli.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const CLIENTS = 8;
const MARK = "stock-db-server-backups.json";
const MAIN = resolve(import.meta.dir, "../../src/main.ts");
const dir = tempDir();
afterAll(() => dir[Symbol.dispose]());
let folders = 0;
const freshFolder = (): string => join(dir.path, `folder-${folders++}`);

interface Told {
  name: string;
  taken_at: string;
  bytes: number;
  new_bytes: number;
  opened: boolean;
  removed: number;
}

async function backUp(dbFile: string, to: string, ...flags: string[]): Promise<Told> {
  const { code, stdout, stderr } = await runCli([
    "backup",
    "--db-file",
    dbFile,
    "--to",
    to,
    "--json",
    ...flags,
  ]);
  if (code !== 0) throw new Error(`backup ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

const restore = (from: string, dbFile: string, ...flags: string[]) =>
  runCli(["restore", "--from", from, "--db-file", dbFile, ...flags]);

/** Rows that take much room and can't be packed. */
async function fill(server: Awaited<ReturnType<typeof startServer>>, megabytes: number): Promise<void> {
  for (let part = 0; part < megabytes; part++) {
    const { status } = await server.command("save_realtime_data", {
      ticker: "LARGE",
      data_type: "trade",
      index_col: "timestamp",
      data: Array.from({ length: 250 }, (_, row) => ({
        timestamp: new Date(Date.UTC(2024, 0, 2) + part * 1_000 + row).toISOString(),
        price: 1 + row,
        size: 1,
        note: unpackable(1_500),
      })),
    });
    expect(status).toBe(200);
  }
}

describe.each([
  { engine: "sqlite", ending: ".db" },
  { engine: "duckdb", ending: ".duckdb" },
])("$engine", ({ engine, ending }) => {
  test("holds all that was answered before its moment, and is of one moment", async () => {
    const dbFile = `${freshFolder()}${ending}`;
    const to = freshFolder();
    await using server = await startServer({ dbFile, workers: 2 });
    const saves = saveNumbered(server, CLIENTS);
    await waitUntil("saves are answered", () => saves.answered() > 200);
    const backups: Told[] = [];
    for (let n = 0; n < 3; n++) backups.push(await backUp(dbFile, to, "--keep", "2"));
    const stored = await saves.stop();
    expect(backups.map(({ removed }) => removed)).toEqual([0, 0, 1]);
    expect(await storedNumbers(server, CLIENTS)).toEqual(stored);
    const { stdout } = await runCli(["backup", "list", "--to", to, "--json"]);
    const kept = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(kept).toMatchObject(backups.slice(1).map(({ name }) => ({ name, engine })));
    for (const { taken_at } of backups.slice(1)) {
      const restored = `${freshFolder()}${ending}`;
      const { code, stdout: told, stderr } = await restore(to, restored, "--at", taken_at);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(told).toContain(`restored as of ${taken_at}`);
      await using copy = await startServer({ dbFile: restored });
      const found = await storedNumbers(copy, CLIENTS);
      const answered = saves.answeredBy(Date.parse(taken_at));
      expect(answered.reduce((all, count) => all + count)).toBeGreaterThan(0);
      for (const [client, count] of found.entries())
        expect(count).toBeWithin(answered[client]!, stored[client]! + 1);
    }
  });

  test("takes the room of what has changed, and keeps what users have made", async () => {
    const dbFile = `${freshFolder()}${ending}`;
    const to = freshFolder();
    await using server = await startServer({ dbFile });
    const raw = (sql_query: string) => server.command("execute_sql", { sql_query, query_type: "raw" });
    expect((await raw("CREATE TABLE mine (n INTEGER)")).status).toBe(200);
    expect((await raw("INSERT INTO mine VALUES (42)")).status).toBe(200);
    await fill(server, 6);
    const first = await backUp(dbFile, to);
    expect(first).toMatchObject({ opened: true, new_bytes: first.bytes });
    await saveOne(server, "A");
    const second = await backUp(dbFile, to);
    expect(second.new_bytes).toBeGreaterThan(0);
    expect(second.new_bytes).toBeLessThan(first.bytes / 2);
    // The second needs chunks of the first, which is no backup any more.
    const third = await backUp(dbFile, to, "--keep", "1");
    expect(third.removed).toBe(2);
    const verified = await runCli(["backup", "verify", "--to", to, "--all"]);
    expect(verified).toMatchObject({ code: 0, stdout: `${third.name}: restored and opened\n` });
    const restored = `${freshFolder()}${ending}`;
    expect((await restore(to, restored)).code).toBe(0);
    await using copy = await startServer({ dbFile: restored });
    const { body } = await copy.command("execute_sql", {
      sql_query: "SELECT n FROM mine",
      query_type: "select",
    });
    expect(body).toMatchObject({ data: [{ n: 42 }] });
    const large = await copy.command<{ data: unknown[] }>("get_realtime_data", {
      ticker: "LARGE",
      data_type: "trade",
      index_col: "timestamp",
    });
    expect(large.body.data.length).toBe(6 * 250);
  });

  test("a restore takes the place of a database, which stays beside it, and begins a new epoch", async () => {
    const dbFile = `${freshFolder()}${ending}`;
    const to = freshFolder();
    let before: { epoch: string };
    {
      await using server = await startServer({ dbFile });
      await saveOne(server, "A");
      await backUp(dbFile, to);
      before = await saveOne(server, "B");
      const { code, stderr } = await restore(to, dbFile, "--replace");
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: `restore: a server has ${dbFile}: stop it first\n`,
      });
    }
    const unasked = await restore(to, dbFile);
    expect(unasked).toMatchObject({ code: 1 });
    expect(unasked.stderr).toContain(`${dbFile} is there already: --replace`);
    const { code, stdout } = await restore(to, dbFile, "--replace", "--json");
    expect(code).toBe(0);
    const { epoch, replaced } = JSON.parse(stdout);
    expect(epoch).not.toBe(before.epoch);
    {
      await using server = await startServer({ dbFile });
      expect(server.log()).not.toContain("a new epoch of positions begins");
      const told = await server.command<{ epoch: string }>("get_positions", {});
      expect(told.body.epoch).toBe(epoch);
      expect(await tickers(server)).toEqual(["A"]);
      const since = await server.command("get_updates", { ticker: "B", since: 0, epoch: before.epoch });
      expect(since.body).toMatchObject({ recovered: false });
    }
    const old = `${freshFolder()}${ending}`;
    cpSync(replaced, old);
    await using server = await startServer({ dbFile: old });
    expect(await tickers(server)).toEqual(["A", "B"]);
  });

  test("kills in the middle leave no half backup, and no half database", async () => {
    const dbFile = `${freshFolder()}${ending}`;
    const to = freshFolder();
    {
      await using server = await startServer({ dbFile });
      await fill(server, 20);
      await killWhen(["backup", "--db-file", dbFile, "--to", to], () => someIn(to, "unfinished-backup-"));
      await killWhen(["backup", "--db-file", dbFile, "--to", to], () => someIn(to, "unfinished-copy-"));
      expect((await runCli(["backup", "list", "--to", to])).stdout).toBe("");
      // The server goes on, whatever the killed ones left behind.
      await saveOne(server, "A");
      await backUp(dbFile, to);
      expect(readdirSync(to).sort()).toEqual([...backupsIn(to), MARK]);
    }
    await killWhen(["restore", "--from", to, "--db-file", dbFile, "--replace"], () =>
      existsSync(`${dbFile}.restoring`),
    );
    {
      await using server = await startServer({ dbFile });
      expect(await tickers(server)).toEqual(["A", "LARGE"]);
    }
    expect((await restore(to, dbFile, "--replace")).code).toBe(0);
    expect(existsSync(`${dbFile}.restoring`)).toBe(false);
    await using server = await startServer({ dbFile });
    expect(await tickers(server)).toEqual(["A", "LARGE"]);
  });

  test("a damaged backup is told, and isn't restored", async () => {
    const dbFile = `${freshFolder()}${ending}`;
    const to = freshFolder();
    {
      await using server = await startServer({ dbFile });
      await fill(server, 1);
      await backUp(dbFile, to);
    }
    const held = readFileSync(dbFile);
    damage(join(to, backupsIn(to)[0]!, "chunks.pack"));
    const verified = await runCli(["backup", "verify", "--to", to]);
    expect(verified).toMatchObject({ code: 1, stdout: expect.stringContaining("DAMAGED: ") });
    const restored = await restore(to, dbFile, "--replace");
    expect(restored).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("chunks.pack is damaged at byte"),
    });
    expect(readFileSync(dbFile).equals(held)).toBe(true);
    const beside = readdirSync(dir.path).filter((name) => join(dir.path, name).startsWith(`${dbFile}.re`));
    expect(beside).toEqual([]);
  });

  test("goes on at its times, which health and metrics tell", async () => {
    const dbFile = `${freshFolder()}${ending}`;
    const to = freshFolder();
    await using server = await startServer({ dbFile });
    const health = async () =>
      (await (await fetch(`${server.url}/health`)).json()) as {
        last_backup?: { taken_at: string; failed: boolean };
      };
    expect((await health()).last_backup).toBeUndefined();
    await using child = Bun.spawn(
      [
        process.execPath,
        "--no-orphans",
        MAIN,
        "backup",
        "--db-file",
        dbFile,
        "--to",
        to,
        "--every",
        "1s",
        "--keep",
        "2",
      ],
      { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    );
    await waitUntil("two backups are there", () => existsSync(to) && backupsIn(to).length === 2);
    const first = backupsIn(to)[0]!;
    await waitUntil("the older one has gone", () => !backupsIn(to).includes(first));
    await waitUntil("health tells", async () => (await health()).last_backup !== undefined);
    const { last_backup } = await health();
    expect(last_backup!.failed).toBe(false);
    expect(Date.parse(last_backup!.taken_at)).toBeWithin(Date.now() - 60_000, Date.now() + 1);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
    expect(await child.stdout.text()).toMatch(/^\S+Z \S+Z: .* are new and take .*; restored and opened; /);
  });
});

const disk = join(dir.path, "disk");
mkdirSync(disk);
const mount = () => Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk]).exitCode === 0;
const hasDisk = Bun.which("mount") !== null && process.getuid?.() === 0 && mount();
if (!hasDisk) console.log("backup.test.ts: the full disk is skipped: to mount one takes root");

test.skipIf(!hasDisk)("a full disk: the backup says so, and those before stay", async () => {
  const dbFile = `${freshFolder()}.db`;
  const to = join(disk, "backups");
  await using server = await startServer({ dbFile });
  try {
    await saveOne(server, "A");
    const first = await backUp(dbFile, to);
    await fill(server, 8);
    const { code, stderr } = await runCli(["backup", "--db-file", dbFile, "--to", to]);
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringMatching(/no space left/i) });
    expect(backupsIn(to)).toEqual([first.name]);
    expect(readdirSync(to).sort()).toEqual([first.name, MARK]);
    const health = (await (await fetch(`${server.url}/health`)).json()) as object;
    expect(health).toMatchObject({ last_backup: { taken_at: first.taken_at, failed: true } });
    const { stdout } = await runCli(["backup", "verify", "--to", to]);
    expect(stdout).toBe(`${first.name}: restored and opened\n`);
  } finally {
    Bun.spawnSync(["umount", "-l", disk]);
  }
});

test("a folder with anything else in it is left alone", async () => {
  const dbFile = `${freshFolder()}.db`;
  await using server = await startServer({ dbFile });
  await saveOne(server, "A");
  const to = freshFolder();
  mkdirSync(join(to, "copy-of-photos"), { recursive: true });
  const { code, stderr } = await runCli(["backup", "--db-file", dbFile, "--to", to]);
  expect({ code, stderr }).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("has other files in it"),
  });
  expect(readdirSync(to)).toEqual(["copy-of-photos"]);
  // What others put into it later stays, too.
  const own = freshFolder();
  await backUp(dbFile, own);
  writeFileSync(join(own, "film.partial"), "");
  await backUp(dbFile, own, "--keep", "1");
  expect(readdirSync(own)).toContain("film.partial");
});

test("what is damaged of an older backup is taken anew, and the others can be had", async () => {
  const dbFile = `${freshFolder()}.db`;
  const to = freshFolder();
  await using server = await startServer({ dbFile });
  await fill(server, 1);
  const first = await backUp(dbFile, to);
  damage(join(to, first.name, "chunks.pack"));
  const second = await backUp(dbFile, to);
  expect(second.new_bytes).toBe(second.bytes);
  rmSync(join(to, second.name, "chunks.pack"));
  const third = await backUp(dbFile, to);
  expect(third.new_bytes).toBe(third.bytes);
  writeFileSync(join(to, first.name, "backup.json"), "");
  const fourth = await backUp(dbFile, to, "--keep", "2");
  const listed = await runCli(["backup", "list", "--to", to]);
  expect(listed).toMatchObject({ code: 1, stderr: expect.stringContaining(`${first.name}/backup.json: `) });
  expect(listed.stdout.trim().split("\n")).toHaveLength(2);
  expect((await restore(to, `${freshFolder()}.db`, "--at", fourth.taken_at)).code).toBe(0);
});

test("a clock that was set back loses no backup", async () => {
  const dbFile = `${freshFolder()}.db`;
  const to = freshFolder();
  await using server = await startServer({ dbFile });
  await saveOne(server, "A");
  const first = await backUp(dbFile, to);
  const manifest = join(to, first.name, "backup.json");
  writeFileSync(manifest, readFileSync(manifest, "utf8").replace(first.taken_at, "2131-01-01T00:00:00.000Z"));
  renameSync(join(to, first.name), join(to, "2131-01-01T00-00-00.000Z"));
  const second = await backUp(dbFile, to, "--keep", "1");
  expect(backupsIn(to)).toEqual([second.name]);
});

test("a file that another program is changing isn't taken half", async () => {
  const dbFile = `${freshFolder()}.db`;
  using db = new Database(dbFile, { create: true });
  db.run("CREATE TABLE t (a, b)");
  db.run(
    "WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n LIMIT 20000) INSERT INTO t SELECT a, 3 FROM n",
  );
  db.run("PRAGMA cache_size = 5");
  db.run("BEGIN");
  db.run("UPDATE t SET b = 4");
  const { code, stderr } = await runCli(["backup", "--db-file", dbFile, "--to", freshFolder()]);
  expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining("locked") });
  db.run("ROLLBACK");
});

test("a journal of the file before isn't rolled into the restored one", async () => {
  const dbFile = `${freshFolder()}.db`;
  const to = freshFolder();
  {
    await using server = await startServer({ dbFile });
    await saveOne(server, "A");
    await backUp(dbFile, to);
  }
  const target = `${freshFolder()}.db`;
  await using child = Bun.spawn([process.execPath, "-e", HOT_JOURNAL, target], { stdout: "pipe" });
  await waitUntil("it is in the middle of a transaction", () => existsSync(`${target}-journal`));
  await child.stdout.getReader().read();
  child.kill("SIGKILL");
  await child.exited;
  const { code, stdout } = await restore(to, target, "--replace");
  expect(code).toBe(0);
  expect(existsSync(`${target}-journal`)).toBe(false);
  expect(stdout).toContain(`${target}.replaced-`);
  await using server = await startServer({ dbFile: target });
  expect(await tickers(server)).toEqual(["A"]);
});

const HOT_JOURNAL = `
  const db = new (require("bun:sqlite").Database)(process.argv.at(-1), { create: true });
  db.run("CREATE TABLE t (a, b)");
  db.run(\`WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n LIMIT 20000)
    INSERT INTO t SELECT a, 3 FROM n\`);
  db.run("PRAGMA cache_size = 5");
  db.run("BEGIN");
  db.run("UPDATE t SET b = 4");
  console.log("in the middle");
  setInterval(() => {}, 1000);
`;

test("two at once wait for each other, and backups of different databases don't mix", async () => {
  const [one, other] = [`${freshFolder()}.db`, `${freshFolder()}.duckdb`];
  const to = freshFolder();
  await using first = await startServer({ dbFile: one });
  await using second = await startServer({ dbFile: other });
  await saveOne(first, "A");
  await saveOne(second, "B");
  const taken = await Promise.all([backUp(one, to), backUp(one, to), backUp(one, to)]);
  expect(new Set(taken.map(({ name }) => name)).size).toBe(3);
  const refused = await runCli(["backup", "--db-file", other, "--to", to]);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(`has backups of ${one}`) });
  expect((await backUp(other, to, "--moved")).new_bytes).toBeGreaterThan(0);
});

test.each([
  [["--db-file", "gone.db", "--to", "DIR"], 1, "there is no database gone.db"],
  [["--db-file", "a.db"], 2, "expected --to DIR"],
  [["--to", "DIR", "--every", "5"], 2, '--every "5": expected a time such as 30s, 15m, 1h or 1d'],
  [["--to", "DIR", "--keep", "0"], 2, '--keep "0": expected a whole number from 1'],
  [["make", "--to", "DIR"], 2, '"make": expected list or verify'],
  [["list", "--to", "DIR", "--keep", "3"], 2, "--keep goes with the making of backups alone"],
  [["list", "--to", "DIR"], 1, "there is no folder"],
  [["--db-file", "localhost:1", "--to", "DIR"], 1, "make backups where its database is"],
] as const)("backup %p ends with %p", async (flags, code, words) => {
  const to = freshFolder();
  const outcome = await runCli(["backup", ...flags.map((flag) => (flag === "DIR" ? to : flag))]);
  expect(outcome).toMatchObject({ code, stderr: expect.stringContaining(words) });
  expect(existsSync(to)).toBe(false);
});

test("restore names what is wrong", async () => {
  const dbFile = `${freshFolder()}.db`;
  const to = freshFolder();
  {
    await using server = await startServer({ dbFile });
    await saveOne(server, "A");
    await backUp(dbFile, to);
  }
  const words = async (...flags: string[]) => (await restore(to, ...(flags as [string]))).stderr;
  expect(await words(`${freshFolder()}.db`, "--at", "2001-01-01")).toContain(
    "no backup was taken by 2001-01-01",
  );
  expect(await words(`${freshFolder()}.db`, "--at", "soon")).toContain(
    '--at "soon": expected a date or time',
  );
  expect(await words(`${freshFolder()}.duckdb`)).toContain("is a backup of sqlite");
  expect(await words("postgresql://u:secret@127.0.0.1:1/db")).toContain(
    "expected the path of a SQLite or DuckDB file",
  );
});

test.each([".db", ".duckdb"])("no server begins on a %s that is being replaced", async (ending) => {
  const dbFile = `${freshFolder()}${ending}`;
  const to = freshFolder();
  {
    await using server = await startServer({ dbFile });
    await fill(server, 8);
    await backUp(dbFile, to);
  }
  const child = spawnCli(["restore", "--from", to, "--db-file", dbFile, "--replace"]);
  while (!existsSync(`${dbFile}.restoring`)) await Bun.sleep(1);
  child.kill("SIGSTOP");
  const started = await failingStart(["--db-file", dbFile, "--port", "0"]);
  expect(started.code).toBe(1);
  child.kill("SIGCONT");
  expect(await child.exited).toBe(0);
});

test("several backups of one DuckDB file at once", async () => {
  const dbFile = `${freshFolder()}.duckdb`;
  await using server = await startServer({ dbFile });
  await fill(server, 2);
  const folders = [freshFolder(), freshFolder(), freshFolder()];
  const taken = await Promise.all(folders.map((to) => backUp(dbFile, to)));
  expect(new Set(taken.map(({ bytes }) => bytes)).size).toBe(1);
  expect(readdirSync(dir.path).filter((name) => name.includes("backup-hold"))).toEqual([]);
});

describe("PostgreSQL", () => {
  const postgres = usePostgres();
  test("names its tools, and looks for what they left", async () => {
    const url = await postgres.freshSchema();
    const to = freshFolder();
    const nothing = await runCli(["backup", "--db-file", url, "--to", to]);
    expect(nothing).toMatchObject({ code: 1, stderr: "" });
    expect(nothing.stdout).toContain("it is not archived");
    expect(nothing.stdout).toContain(`there is no base backup and no dump in ${to}`);
    expect(nothing.stdout).toContain("pg_basebackup");
    mkdirSync(to);
    writeFileSync(join(to, "cut.sql"), "CREATE TABLE a ();\n");
    const cut = await runCli(["backup", "--db-file", url, "--to", to]);
    expect(cut).toMatchObject({
      code: 1,
      stdout: expect.stringContaining("doesn't end as pg_dump ends a file"),
    });
    writeFileSync(
      join(to, "whole.sql"),
      "CREATE TABLE a ();\n--\n-- PostgreSQL database dump complete\n--\n",
    );
    const whole = await runCli(["backup", "--db-file", url, "--to", to]);
    expect(whole).toMatchObject({ code: 0, stdout: expect.stringContaining("whole.sql is complete") });
  });
});

function backupsIn(to: string): string[] {
  return readdirSync(to).filter((name) => existsSync(join(to, name, "backup.json")));
}

function someIn(to: string, prefix: string): boolean {
  return existsSync(to) && readdirSync(to).some((name) => name.startsWith(prefix));
}

/** One bit in the middle. */
function damage(path: string): void {
  const bytes = readFileSync(path);
  bytes[Math.floor(bytes.length / 2)]! ^= 1;
  writeFileSync(path, bytes);
}

async function saveOne(
  server: Awaited<ReturnType<typeof startServer>>,
  ticker: string,
): Promise<{ epoch: string }> {
  const { status, body } = await server.command<{ epoch: string }>("save_realtime_data", {
    ticker,
    data_type: "trade",
    index_col: "timestamp",
    data: [{ timestamp: "2024-01-02T15:00:00Z", price: 1, size: 1 }],
  });
  expect(status).toBe(200);
  return body;
}

async function tickers(server: Awaited<ReturnType<typeof startServer>>): Promise<string[]> {
  const { tickers: found } = (await (await fetch(`${server.url}/v1/tickers`)).json()) as {
    tickers: { symbol: string }[];
  };
  return found.map(({ symbol }) => symbol);
}

function spawnCli(args: string[]): Bun.Subprocess {
  return Bun.spawn([process.execPath, "--no-orphans", MAIN, ...args], {
    ...{ stdin: "ignore", stdout: "ignore", stderr: "ignore" },
  });
}

/** Starts a subcommand, and kills it as soon as the condition holds. */
async function killWhen(args: string[], condition: () => boolean): Promise<void> {
  await using child = spawnCli(args);
  while (!condition() && child.exitCode === null) await Bun.sleep(1);
  expect(child.exitCode).toBeNull();
  child.kill("SIGKILL");
  await child.exited;
}
