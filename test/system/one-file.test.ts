/** The server as one file does all that it does from source, with nothing beside it. */
import { expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { version } from "../../package.json" with { type: "json" };
import { startCollector } from "../support/collector.ts";
import { foreignFolder } from "../support/foreign-folder.ts";
import { useOneFile } from "../support/one-file.ts";
import { usePostgres } from "../support/postgres.ts";
import { isAlive, readProc } from "../support/processes.ts";
import { command, runSql, saveTrade } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { childrenOf, roleOf } from "../support/server-processes.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const oneFile = useOneFile();
const postgres = usePostgres();
const isRoot = process.getuid!() === 0;

const TRADES = "timestamp,price,size\n2024-01-02T15:00:00Z,1.5,10\n2024-01-02T15:00:01Z,1.6,20\n";

/** With an empty environment, except for where it may unpack files. */
function launcher(cache: string): string[] {
  return ["env", "-i", `XDG_CACHE_HOME=${cache}`, oneFile(), "serve"];
}

async function run(cwd: string, args: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn([oneFile(), ...args], { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, stdout, stderr };
}

function importTrades(folder: string, dbFile: string, env: Record<string, string>) {
  writeFileSync(join(folder, "trades.csv"), TRADES);
  const flags = ["--ticker", "A", "--type", "trade", "--db-file", dbFile];
  return run(folder, ["import", "trades.csv", ...flags], env);
}

test("commands that need no database: --version, --help, --print-config, keys", async () => {
  using dir = tempDir();
  expect(await run(dir.path, ["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  expect((await run(dir.path, ["--help"])).stdout).toContain("--db-file");
  expect((await run(dir.path, ["--print-config", "--port", "7"])).stdout).toContain('"port": {"value": 7,');
  const added = await run(dir.path, ["keys", "add", "desk", "--may", "read", "--keys", "keys.json"]);
  expect(added.code).toBe(0);
  expect((await run(dir.path, ["keys", "list", "--keys", "keys.json"])).stdout).toContain("desk");
});

for (const [name, file] of [
  ["SQLite", "test.db"],
  ["DuckDB", "test.duckdb"],
] as const) {
  test(`${name}: the sample, saves, updates and SQL with two workers; then import and doctor`, async () => {
    using dir = tempDir();
    const dbFile = join(dir.path, file);
    {
      await using server = await startServer({
        launcher: launcher(dir.path),
        dbFile,
        workers: 2,
        flags: ["--sample"],
      });
      const roles = childrenOf(server.pid).map(roleOf).sort();
      expect(roles).toEqual(["hub", "worker", "worker"]);
      const { body } = await command(server.url, "get_latest_price", { ticker: "IBM" });
      expect(body.latest_price).toBeGreaterThan(0);
      const counted = await runSql(server.url, "SELECT count(*) AS n FROM daily_prices");
      expect(counted.body.data).toEqual([{ n: 4000 }]);
      // Two of its eight subscribers or more are on each worker.
      const checked = await run(dir.path, ["check", server.url, "--requests", "50"]);
      expect(checked.stdout).toContain("All is well.");
    }
    const env = { XDG_CACHE_HOME: dir.path };
    const imported = await importTrades(dir.path, dbFile, env);
    expect(imported.stdout + imported.stderr).toContain("2 trades of A");
    const diagnosed = await run(dir.path, ["doctor", "--db-file", dbFile], env);
    expect(diagnosed.stdout).toMatch(/^ok +integrity: /m);
    expect(diagnosed.code).toBe(0);
  });
}

test("one worker with an empty environment; its line to watch a ticker works when pasted", async () => {
  await using server = await startServer({ launcher: ["env", "-i", oneFile(), "serve"] });
  expect((await saveTrade(server.url, "A", 1)).status).toBe(200);
  expect((await runSql(server.url, "SELECT 1 AS one")).body.data).toEqual([{ one: 1 }]);
  const line = /Watch: +(.*)$/m.exec(server.log())![1]!;
  await using watching = Bun.spawn(["sh", "-c", `exec env ${line}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { value } = await watching.stdout.getReader().read();
  expect(new TextDecoder().decode(value)).toContain('"type":"heartbeat"');
});

test("what is loaded only for traces is in it", async () => {
  using collector = startCollector();
  await using server = await startServer({
    launcher: [oneFile(), "serve"],
    workers: 2,
    flags: ["--otlp-endpoint", collector.url],
  });
  expect((await saveTrade(server.url, "A", 1)).status).toBe(200);
  const { children } = await collector.traceOf(({ name }) => name === "POST save_realtime_data");
  expect(children.map(({ name }) => name)).toEqual(["save ticks"]);
});

test("PostgreSQL: its thread that reads statements has its WebAssembly", async () => {
  using dir = tempDir();
  await using server = await startServer({
    launcher: launcher(dir.path),
    dbFile: await postgres.freshSchema(),
  });
  expect((await saveTrade(server.url, "A", 1)).status).toBe(200);
  expect((await runSql(server.url, "SELECT 1 AS one")).body.data).toEqual([{ one: 1 }]);
  expect((await runSql(server.url, "SELECT FROM FROM")).body.details).toBe(
    "at character 13 of the statement",
  );
});

test(".env and bunfig.toml of the current folder reach no process", async () => {
  using dir = tempDir();
  const { trace } = foreignFolder(dir.path);
  await using server = await startServer({
    launcher: ["sh", "-c", 'cd "$0" && exec "$@"', dir.path, ...launcher(dir.path)],
    workers: 2,
  });
  expect((await runSql(server.url, "VALUES (1), (2), (3), (4)")).body.data).toHaveLength(4);
  for (const pid of [server.pid, ...childrenOf(server.pid)])
    expect(readProc(pid, "environ")).not.toContain("FOREIGN");
  expect(server.log()).toContain("(durability full)");
  expect((await run(dir.path, ["--print-config"])).stdout).toMatch(/sql-max-rows.*: 1000000,/);
  expect(existsSync(trace)).toBe(false);
});

test("its processes end with it however it ends, but it doesn't end with who started it", async () => {
  using dir = tempDir();
  const flags = "serve --port 0 --workers 2 > log 2>&1 & echo $!";
  const shell = Bun.spawnSync(["env", "-i", "sh", "-c", `"$0" ${flags}`, oneFile()], { cwd: dir.path });
  const pid = Number(shell.stdout.toString());
  const log = () => readFileSync(join(dir.path, "log"), "utf8");
  const url = await waitUntil("it serves", () => /Serving on (\S+)/.exec(log())?.[1]);
  expect((await runSql(url, "SELECT 1 AS one")).body.data).toEqual([{ one: 1 }]);
  const all = [pid];
  for (const each of all) all.push(...childrenOf(each));
  expect(all.map(roleOf)).toContain("sql-runner");
  process.kill(pid, "SIGKILL");
  await waitUntil("all have ended", () => !all.some(isAlive));
});

test("DuckDB's library is unpacked for its user alone, and what isn't it is replaced", async () => {
  using dir = tempDir();
  const load = async (dbFile = "test.duckdb") => {
    expect((await importTrades(dir.path, dbFile, { TMPDIR: dir.path })).code).toBe(0);
  };
  const name = `stock-db-files-${process.getuid!()}-duckdb-`;
  for (const [other, hours] of [
    ["former", 25],
    ["recent", 1],
  ] as const) {
    mkdirSync(join(dir.path, name + other));
    utimesSync(join(dir.path, name + other), new Date(), new Date(Date.now() - hours * 3_600_000));
  }
  // Two at once.
  await Promise.all([load("a.duckdb"), load("b.duckdb")]);
  expect(existsSync(join(dir.path, `${name}former`))).toBe(false);
  rmdirSync(join(dir.path, `${name}recent`));
  const folder = join(dir.path, readdirSync(dir.path).find((entry) => entry.startsWith(name))!);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(readdirSync(folder).sort()).toEqual(["duckdb.node", "libduckdb.so"]);
  const library = join(folder, "libduckdb.so");
  const whole = readFileSync(library);
  const damaged = Buffer.from(whole);
  damaged[damaged.length >> 1]! ^= 1;
  writeFileSync(library, damaged);
  await load();
  expect(readFileSync(library).equals(whole)).toBe(true);
  const { mtimeMs } = statSync(library);
  await load();
  expect(statSync(library).mtimeMs).toBe(mtimeMs);
});

test("a folder that others may write to is passed over, and so is one that can't be made", async () => {
  using dir = tempDir();
  const [open, taken] = [join(dir.path, "open"), join(dir.path, "taken")];
  mkdirSync(open);
  chmodSync(open, 0o777);
  writeFileSync(taken, "");
  const doctor = ["doctor", "--db-file", "test.duckdb"];
  const env = { CACHE_DIRECTORY: open, XDG_CACHE_HOME: taken, HOME: join(dir.path, "home"), TMPDIR: taken };
  expect((await importTrades(dir.path, "test.duckdb", { ...env, TMPDIR: dir.path })).code).toBe(0);
  expect(readdirSync(open)).toEqual([]);
  expect(readdirSync(join(dir.path, "home/.cache"))).toHaveLength(1);
  const refused = await run(dir.path, doctor, { ...env, HOME: taken });
  expect(refused.stdout).toContain(
    `FAILED  driver: no folder for the library of duckdb; tried ${open}: anybody may rename`,
  );
  expect(refused.stdout).toContain(`${taken}: EEXIST`);
  expect(refused.stdout).toContain("XDG_CACHE_HOME may name one");
});

if (!isRoot) console.log("one-file.test.ts: noexec is skipped: to mount a folder takes root");

test.skipIf(!isRoot)("a folder mounted noexec is told as such", async () => {
  using dir = tempDir();
  const script = 'mount -t tmpfs -o noexec none . && exec "$0" serve --port 0 --db-file test.duckdb';
  const child = Bun.spawn(["unshare", "--mount", "sh", "-c", script, oneFile()], {
    cwd: dir.path,
    env: { PATH: process.env.PATH!, TMPDIR: dir.path },
    stdio: ["ignore", "pipe", "pipe"],
  });
  expect(await child.stdout.text()).toContain("no program may be run from there: it is mounted noexec");
  expect(await child.exited).toBe(1);
});
