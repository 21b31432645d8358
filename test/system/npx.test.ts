/**
 * `npx stock-db-server`: what ends npx ends the server, and what was left behind on purpose stays.
 */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../support/free-port.ts";
import { allPids, isAlive, readProc } from "../support/processes.ts";
import { get } from "../support/requests.ts";
import { waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const PROJECT = join(import.meta.dir, "../..");

/** A project that depends on this package, as npm lays it out. */
const dependent = tempDir();
afterAll(() => dependent[Symbol.dispose]());
const cwd = dependent.path;
mkdirSync(join(cwd, "node_modules/.bin"), { recursive: true });
writeFileSync(join(cwd, "package.json"), '{"name":"dependent","dependencies":{"stock-db-server":"*"}}');
symlinkSync(PROJECT, join(cwd, "node_modules/stock-db-server"));
symlinkSync("../stock-db-server/bin/stock-db-server.js", join(cwd, "node_modules/.bin/stock-db-server"));

/**
 * Every process whose command line names the database: npm, its shell, the launcher, the server and
 * its hub.
 */
function processesWith(dbFile: string): number[] {
  return allPids().filter((pid) => readProc(pid, "cmdline").includes(dbFile) && isAlive(pid));
}

async function serves(port: number): Promise<void> {
  await waitUntil("it serves", async () => (await get(`http://127.0.0.1:${port}/ready`)).status === 200);
}

for (const runner of [["npx"], ["npm", "exec", "--"]]) {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    test(`${signal} to ${runner.join(" ")} ends the server`, async () => {
      const port = await freePort();
      const dbFile = join(cwd, `${runner[0]}-${signal}.db`);
      const log = join(cwd, `${runner[0]}-${signal}.log`);
      const npx = Bun.spawn([...runner, "stock-db-server", "--db-file", dbFile, "--port", String(port)], {
        cwd,
        stdin: "ignore",
        stdout: Bun.file(log),
        stderr: "inherit",
      });
      try {
        await serves(port);
        npx.kill(signal);
        await npx.exited;
        await waitUntil("all are gone", () => processesWith(dbFile).length === 0);
        // Not killed: what was under way was finished.
        expect(readFileSync(log, "utf8")).toContain("Server has been shut down.");
      } finally {
        for (const pid of processesWith(dbFile)) process.kill(pid, "SIGKILL");
      }
    });
  }
}

for (const [how, script] of [
  ["nohup … &", 'nohup "$@" >/dev/null 2>&1 &'],
  ["setsid … &", 'setsid "$@" >/dev/null 2>&1 &'],
  ["a double fork", '(setsid sh -c \'"$@" >/dev/null 2>&1 & \' sh "$@" &)'],
  ["setsid … & under npx", 'export npm_command=exec; setsid "$@" >/dev/null 2>&1 &'],
] as const) {
  test(`${how}: a server whose parent has ended serves on`, async () => {
    const port = await freePort();
    const dbFile = join(cwd, `${how.replaceAll(/\W+/g, "-")}.db`);
    const { npm_command: _, ...env } = process.env;
    const command = [
      "node",
      join(PROJECT, "bin/stock-db-server.js"),
      "--db-file",
      dbFile,
      "--port",
      String(port),
    ];
    const shell = Bun.spawn(["sh", "-c", script, "sh", ...command], {
      cwd,
      env,
      stdio: ["ignore", "ignore", "inherit"],
    });
    try {
      expect(await shell.exited).toBe(0);
      await serves(port);
      await Bun.sleep(1_500); // three looks at the parent
      await serves(port);
    } finally {
      const [launcher] = processesWith(dbFile);
      if (launcher !== undefined) process.kill(launcher, "SIGTERM");
      await waitUntil("all are gone", () => processesWith(dbFile).length === 0).finally(() => {
        for (const pid of processesWith(dbFile)) process.kill(pid, "SIGKILL");
      });
    }
  });
}
