/**
 * What can't be served ends the start soon, with the reason and a non-zero code; one process or
 * many alike.
 */
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { failingStart } from "../support/failing-start.ts";
import { isAlive } from "../support/processes.ts";
import { saveTrade } from "../support/requests.ts";
import { BUN_LAUNCHER, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { listenerCount } from "../support/supervisor-process.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

/**
 * Said to take a second or two, and far from the time that is given to a start; a machine that does
 * much else may take long.
 */
const START_FAILS_WITHIN_MS = 25_000;

for (const workers of ["1", "2"]) {
  const flags = (dbFile: string, port = 0): string[] => [
    "--db-file",
    dbFile,
    "--port",
    String(port),
    "--workers",
    workers,
  ];

  test(`a port that another server has (--workers ${workers})`, async () => {
    await using first = await startServer({ workers: 2 });
    using dir = tempDir();
    const second = await failingStart(flags(join(dir.path, "other.db"), first.port));
    expect(second.output).toContain(`Port ${first.port} on 127.0.0.1 is already served by another`);
    expect(second.code).toBe(1);
    expect(second.tookMs).toBeLessThan(START_FAILS_WITHIN_MS);
    expect(existsSync(join(dir.path, "other.db"))).toBe(false);
    expect((await saveTrade(first.url, "AAPL", 1)).status).toBe(200);
  });

  test(`a database that another server serves (--workers ${workers})`, async () => {
    await using first = await startServer({ workers: 2 });
    const second = await failingStart(flags(first.dbFile));
    expect(second.output).toContain("is served by another stock-db-server");
    expect(second.code).toBe(1);
    expect(second.tookMs).toBeLessThan(START_FAILS_WITHIN_MS);
    expect((await saveTrade(first.url, "AAPL", 1)).status).toBe(200);
  });

  test(`a file that can't be served (--workers ${workers})`, async () => {
    using dir = tempDir();
    const garbage = join(dir.path, "garbage.db");
    writeFileSync(garbage, "this is no database".repeat(1000));
    const folder = join(dir.path, "folder.db");
    mkdirSync(folder);
    const newer = join(dir.path, "newer.db");
    using db = new Database(newer);
    db.run("CREATE TABLE t (x)");
    db.run("PRAGMA user_version = 99");

    for (const [path, reason] of [
      [garbage, "not a database"],
      [folder, "directory"],
      [newer, "written by a newer server"],
    ] as const) {
      const { code, output, tookMs } = await failingStart(flags(path));
      expect(output).toContain(reason);
      expect(output).toContain(path);
      expect(code).toBe(1);
      expect(tookMs).toBeLessThan(START_FAILS_WITHIN_MS);
      // One line says it, and there is no stack.
      expect(output.split("\n").filter((line) => line.includes("[CRITICAL]")).length).toBe(1);
      expect(output).not.toMatch(/^\s+at /m);
    }
  });
}

test("when the supervisor is killed, no child stays, the port is free, and the next start clears up", async () => {
  using dir = tempDir();
  const runtime = join(dir.path, "run");
  mkdirSync(runtime, { mode: 0o700 });
  const dbFile = join(dir.path, "test.db");
  const env = { ...process.env, XDG_RUNTIME_DIR: runtime };
  const serve = [...BUN_LAUNCHER, "--db-file", dbFile, "--port", "0", "--workers", "2"];
  await using killed = Bun.spawn(serve, { env, stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  let log = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of killed.stdout) log += decoder.decode(chunk);
  })();
  await waitUntil("it serves", () => log.includes("Serving on"));
  const port = Number(/Serving on http:\/\/[^:]+:(\d+)/.exec(log)?.[1]);
  const { hub, workers } = processesOf({ pid: killed.pid });
  expect(workers.length).toBe(2);
  expect(readdirSync(runtime).length).toBe(1);

  killed.kill("SIGKILL");
  await killed.exited;
  await waitUntil("its children are gone", () => ![hub, ...workers].some(isAlive));
  await reading;
  await waitUntil("the port is free", () => listenerCount(port) === 0);
  const [left] = readdirSync(runtime);

  await using next = await startServer({
    dbFile,
    workers: 2,
    flags: ["--port", String(port)],
    env: { XDG_RUNTIME_DIR: runtime },
  });
  expect(readdirSync(runtime)).not.toContain(left!);
  expect(readdirSync(runtime).length).toBe(1);
  await next.stop();
  expect(readdirSync(runtime)).toEqual([]);
});
