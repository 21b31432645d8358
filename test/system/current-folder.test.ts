/** What lies in the folder in which somebody starts the server has no say in what it does. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { foreignFolder } from "../support/foreign-folder.ts";
import { readProc } from "../support/processes.ts";
import { runSql, saveTrade } from "../support/requests.ts";
import { startServer } from "../support/server.ts";
import { childrenOf, roleOf } from "../support/server-processes.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const PROJECT = join(import.meta.dir, "../..");
const LAUNCHER = ["node", join(PROJECT, "bin/stock-db-server.js")];
const MAIN = [process.execPath, join(PROJECT, "src/main.ts")];

async function printedConfig(command: string[], cwd: string, env = {}): Promise<string> {
  const child = Bun.spawn([...command, "serve", "--print-config"], {
    cwd,
    env: { PATH: process.env.PATH!, HOME: cwd, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output = await child.stdout.text();
  expect(await child.exited).toBe(0);
  return output;
}

for (const workers of [1, 2]) {
  test(`--workers ${workers}: .env and bunfig.toml reach no process of a server that the launcher starts`, async () => {
    using dir = tempDir();
    const { trace } = foreignFolder(dir.path);
    // The server's own folder is the foreign one.
    const launcher = ["sh", "-c", 'cd "$0" && exec "$@"', dir.path, ...LAUNCHER, "serve"];
    await using server = await startServer({ workers, launcher });
    expect((await saveTrade(server.url, "A", 1)).status).toBe(200);
    const sql = await runSql(server.url, "WITH n(i) AS (VALUES (1), (2), (3), (4)) SELECT i FROM n");
    expect(sql.body).toMatchObject({ data: [{ i: 1 }, { i: 2 }, { i: 3 }, { i: 4 }] });
    const ours = treeOf(server.pid);
    const roles = ours.map(roleOf);
    expect(roles).toContain("hub");
    expect(roles).toContain("sql-runner");
    for (const pid of ours) expect(readProc(pid, "environ")).not.toContain("FOREIGN");
    expect(server.log()).toContain("(durability full)");
    expect(existsSync(trace)).toBe(false);
  });
}

for (const [name, args] of [
  ["check", ["check", "--url", "http://127.0.0.1:9"]],
  ["doctor", ["doctor", "--db-file", "none.db"]],
  ["import", ["import", "none.csv", "--db-file", "none.db"]],
] as const) {
  test(`${name}: bunfig.toml has no effect`, async () => {
    using dir = tempDir();
    const { trace } = foreignFolder(dir.path);
    const child = Bun.spawn([...LAUNCHER, ...args], { cwd: dir.path, stdio: ["ignore", "ignore", "ignore"] });
    await child.exited;
    expect(existsSync(trace)).toBe(false);
  });
}

test("the launcher takes settings from the environment, not from .env", async () => {
  using dir = tempDir();
  const { trace } = foreignFolder(dir.path);
  const plain = await printedConfig(LAUNCHER, dir.path);
  expect(plain).not.toContain("FOREIGN");
  expect(plain).toMatch(/sql-max-rows.*: 1000000,/);
  expect(await printedConfig(LAUNCHER, dir.path, { STOCK_DB_SQL_MAX_ROWS: "7" })).toMatch(
    /sql-max-rows.*: 7,/,
  );
  expect(existsSync(trace)).toBe(false);
});

test.skipIf(process.platform !== "linux")(
  "the main module, started by hand, doesn't read .env either, but a file that is named",
  async () => {
    using dir = tempDir();
    foreignFolder(dir.path);
    expect(await printedConfig(MAIN, dir.path)).toMatch(/sql-max-rows.*: 1000000,/);
    expect(await printedConfig(MAIN, dir.path, { STOCK_DB_SQL_MAX_ROWS: "7" })).toMatch(/sql-max-rows.*: 7,/);
    const named = [process.execPath, "--env-file=.env", join(PROJECT, "src/main.ts")];
    expect(await printedConfig(named, dir.path)).toMatch(/sql-max-rows.*: 3,/);
  },
);

/** The process and all that descend from it. */
function treeOf(root: number): number[] {
  const tree = [root];
  for (const pid of tree) tree.push(...childrenOf(pid));
  return tree;
}
