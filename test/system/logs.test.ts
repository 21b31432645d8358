/**
 * The log as its readers meet it: line format, what each mode logs, files per worker, and what must
 * never be in it.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { get, saveTrade } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";

setDefaultTimeout(180_000);

const LINE =
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} \[PID:\d+\]( \[Worker-\d+\])? \[(DEBUG|INFO|WARNING|ERROR|CRITICAL)\] - \S.*$/;
const LOG_FILE_BYTES_MAX = 5 * 1024 * 1024;

const linesOf = (text: string): string[] => text.split("\n").filter((line) => line !== "");

for (const workers of [1, 2]) {
  test(`every line has the one format, in UTC, through the whole life of a server (--workers ${workers})`, async () => {
    await using server = await startServer({
      workers,
      flags: ["--access-log", "on"],
      env: { TZ: "Asia/Kathmandu" },
    });
    await saveTrade(server.url, "AAPL", 1);
    await get(`${server.url}/a"b\\c%0a%1b[31m`);
    process.kill(server.pid, "SIGHUP");
    await server.logged(/SIGHUP|Rolling restart done/);
    expect(await server.stop()).toBe(0);

    const lines = linesOf(server.log());
    expect(lines.filter((line) => !LINE.test(line))).toEqual([]);
    expect(lines.some((line) => line.includes("[Worker-0]"))).toBe(workers > 1);
    for (const line of lines) {
      expect(Math.abs(Date.parse(`${line.slice(0, 23)}Z`) - Date.now())).toBeLessThan(60_000);
    }
    expect(server.log()).toMatch(/- 127\.0\.0\.1 - "POST \/db_command HTTP\/1\.1" 200 \d+B \d+ms "Bun/);
    expect(server.log()).not.toContain("\x1b");
  });
}

test("--access-log on, errors and off; probes only at DEBUG", async () => {
  const logged = async (flags: string[]) => {
    await using server = await startServer({ flags });
    await saveTrade(server.url, "AAPL", 1);
    await get(`${server.url}/nope`);
    await get(`${server.url}/health`);
    await server.stop();
    const has = (part: string) => server.log().includes(part);
    return { save: has("POST /db_command"), wrong: has("GET /nope"), probe: has("GET /health") };
  };
  expect(await logged([])).toEqual({ save: false, wrong: true, probe: false });
  expect(await logged(["--access-log", "on"])).toEqual({ save: true, wrong: true, probe: false });
  expect(await logged(["--access-log", "on", "--log-level", "DEBUG"])).toEqual({
    save: true,
    wrong: true,
    probe: true,
  });
  expect(await logged(["--access-log", "off"])).toEqual({ save: false, wrong: false, probe: false });
  expect(await logged(["--log-level", "ERROR"])).toEqual({ save: false, wrong: false, probe: false });
});

test("a worker has its own file, which is put aside at 5 MB", async () => {
  await using server = await startServer({
    workers: 2,
    flags: ["--log-file", "logs/server.log", "--access-log", "on"],
  });
  const folder = join(server.dir, "logs");
  await waitUntil("the files are there", () => readdirSync(folder).length >= 3);
  expect(readdirSync(folder).sort()).toEqual(["server.log", "server_worker_0.log", "server_worker_1.log"]);

  const agent = "a".repeat(250);
  const target = `/nope?${"x".repeat(950)}`;
  await waitUntil("a file was put aside", async () => {
    for (let i = 0; i < 20; i++) {
      const requests = Array.from({ length: 50 }, () =>
        fetch(server.url + target, { headers: { "user-agent": agent } }),
      );
      await Promise.all(requests.map(async (request) => (await request).bytes()));
    }
    return (
      existsSync(join(folder, "server_worker_0.log.1")) || existsSync(join(folder, "server_worker_1.log.1"))
    );
  });
  await server.stop();
  for (const name of readdirSync(folder)) {
    expect(name).toMatch(/^server(_worker_[01])?\.log(\.[1-5])?$/);
    expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(LOG_FILE_BYTES_MAX);
  }
  for (const worker of [0, 1]) {
    const text = readFileSync(join(folder, `server_worker_${worker}.log`), "utf8");
    expect(linesOf(text).every((line) => LINE.test(line) && line.includes(`[Worker-${worker}]`))).toBe(true);
  }
  expect(readFileSync(join(folder, "server.log"), "utf8")).toContain("Serving on");
});
