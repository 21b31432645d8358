/**
 * The folder that the server was started from is moved away, comes back, or holds another version.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { get, runSql, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const PROJECT = join(import.meta.dir, "../..");

function install(root: string): string[] {
  for (const part of ["src", "package.json", "sample"]) {
    cpSync(join(PROJECT, part), join(root, part), { recursive: true });
  }
  symlinkSync(join(PROJECT, "node_modules"), join(root, "node_modules"));
  return [process.execPath, "--no-orphans", join(root, "src/main.ts"), "serve"];
}

function setVersion(root: string, version: string): void {
  const path = join(root, "package.json");
  const info = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  writeFileSync(path, JSON.stringify({ ...info, version }));
}

const status = async (server: RunningServer): Promise<number> => (await get(`${server.url}/ready`)).status;

for (const workers of [1, 2]) {
  test(`--workers ${workers}: goes on without its folder; a hub that dies then comes back with it`, async () => {
    using dir = tempDir();
    const root = join(dir.path, "installed");
    await using server = await startServer({ workers, launcher: install(root) });
    renameSync(root, `${root}.away`);

    // All that a server does, also what it hasn't done before.
    await using subscriber = await Subscriber.open(server.wsUrl, "A");
    expect((await saveTrade(server.url, "A", 1)).status).toBe(200);
    await waitUntil("the update has come", () => subscriber.updates.length === 1);
    expect((await server.command("get_latest_price", { ticker: "A" })).body.latest_price).toBe(1);
    expect((await get(`${server.url}/stats/pool`)).status).toBe(200);
    expect(await status(server)).toBe(200);
    const sql = await runSql(server.url, "SELECT 1");
    expect(sql.status).toBe(503);
    await server.logged(
      /SQL runner can't be started: \S+main\.ts is gone: the server's installation was moved or removed/,
    );

    const { hub } = processesOf(server);
    process.kill(hub, "SIGKILL");
    await server.logged(
      /Hub can't be created: \S+installed\/src\/main\.ts is gone: the server's installation was moved or removed; starting another/,
    );
    await waitUntil("/ready is 503", async () => (await status(server)) === 503);
    expect((await server.command("get_latest_price", { ticker: "A" })).body.latest_price).toBe(1);
    const save = saveTrade(server.url, "A", 2);
    await Bun.sleep(500);
    renameSync(`${root}.away`, root);
    expect((await save).status).toBe(200);
    await waitUntil("/ready is 200", async () => (await status(server)) === 200);
    expect((await runSql(server.url, "SELECT 1")).status).toBe(200);
    expect(subscriber.closed).toBeNull();
  });
}

test("a folder that holds another version starts no process of a server that runs", async () => {
  using dir = tempDir();
  const root = join(dir.path, "installed");
  await using server = await startServer({ workers: 2, launcher: install(root) });
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  await server.logged(`stock-db-server ${version} on Bun ${Bun.version}`);
  setVersion(root, "99.0.0");
  const before = processesOf(server);
  process.kill(server.pid, "SIGHUP");
  await server.logged(
    `Rolling restart given up: Worker 0 did not start: the server that runs is version ${version}, and its installation is now 99.0.0`,
  );
  expect(processesOf(server)).toEqual(before);
  expect((await saveTrade(server.url, "A", 1)).status).toBe(200);

  process.kill(before.hub, "SIGKILL");
  await server.logged(
    /Hub .* did not start: the server that runs is version \S+, and its installation is now 99\.0\.0; stop it and start it again; starting another/,
  );
  setVersion(root, version);
  await waitUntil("the hub is back", async () => (await status(server)) === 200);
  expect((await saveTrade(server.url, "A", 2)).status).toBe(200);
});
