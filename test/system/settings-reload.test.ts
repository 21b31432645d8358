/** SIGHUP takes over what can change of the settings in files. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addKey, bearer } from "../support/keys.ts";
import { openNotifySocket } from "../support/notify-socket.ts";
import { command, get } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

const ORIGIN = "https://desk.example";

/** Whether a page of the origin is let in, by every worker that may answer. */
async function letsIn({ url }: RunningServer, origin: string): Promise<boolean> {
  for (let i = 0; i < 8; i++) {
    const { headers } = await fetch(`${url}/health`, { headers: { origin, connection: "close" } });
    if (headers.get("access-control-allow-origin") !== origin) return false;
  }
  return true;
}

test("workers get what has changed in the file and in files of secrets; the rest is named", async () => {
  using dir = tempDir();
  const [file, secret, keys] = ["a.toml", "hosts", "b.keys"].map((name) => join(dir.path, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(file, 'slow-request = 0\nws-symbols-max = 10\naccess-log = "off"\n');
  writeFileSync(secret, "a.example\n");
  await using server = await startServer({
    flags: ["--config", file, "--access-log", "errors"],
    env: { STOCK_DB_ALLOW_HOST_FILE: secret },
    workers: 2,
  });
  const before = processesOf(server).workers;
  const key = await addKey(keys, "desk", "read");
  writeFileSync(
    file,
    `slow-request = 0.5\nws-symbols-max = 20\nallow-origin = ["${ORIGIN}"]\nworkers = 5\n` +
      `access-log = "on"\nlog-level = "DEBUG"\nkeys = "${keys}"\ndb-pool-size = 7\n`,
  );
  writeFileSync(secret, "b.example\n");
  process.kill(server.pid, "SIGHUP");
  await server.logged("Rolling restart done");
  const taken = /SIGHUP: taken over: (.*)/.exec(server.log())![1]!.split(", ");
  expect(taken).toEqual([
    "--allow-host a.example → b.example",
    `--allow-origin none → ${ORIGIN}`,
    expect.stringMatching(/^--keys .*test\.db\.keys → .*b\.keys$/),
    "--ws-symbols-max 10 → 20",
    "--log-level INFO → DEBUG",
    "--slow-request 0 → 0.5",
  ]);
  // A flag beats the file, also on its second reading: --workers and --access-log.
  await server.logged("SIGHUP: changed, but in force only after a stop and a start: --db-pool-size");
  expect(await letsIn(server, ORIGIN)).toBe(true);
  expect((await get(`${server.url}/v1/tickers`)).status).toBe(401);
  expect((await get(`${server.url}/v1/tickers`, bearer(key))).status).toBe(200);
  const host = async (name: string): Promise<number> =>
    (await get(`${server.url}/live`, { host: name })).status;
  expect([await host("a.example"), await host("b.example")]).toEqual([403, 200]);
  expect(processesOf(server).workers.some((worker) => before.includes(worker))).toBe(false);
});

test("a file that is wrong changes nothing, and says what is wrong", async () => {
  using dir = tempDir();
  const file = join(dir.path, "a.toml");
  writeFileSync(file, `allow-origin = ["${ORIGIN}"]\n`);
  await using server = await startServer({ flags: ["--config", file], workers: 2 });
  const before = processesOf(server).workers.sort();
  for (const [text, expected] of [
    [
      "log-level = 'LOUD'\nallow-origin = []\n",
      'log-level: expected one of DEBUG, INFO, WARNING, ERROR, CRITICAL, got "LOUD"',
    ],
    ["allow-orgin = []\n", '"allow-orgin": no such setting'],
    ["= 5", "expected TOML"],
    ['keys = "/nowhere/a.keys"\n', "there is no file /nowhere/a.keys"],
    ['allow-origin = ["*"]\n', "any page could read and write without a key"],
  ] as const) {
    writeFileSync(file, text);
    process.kill(server.pid, "SIGHUP");
    await waitUntil(`it tells ${expected}`, () =>
      server
        .log()
        .split("\n")
        .some((line) => line.includes("[ERROR] - SIGHUP: nothing is changed") && line.includes(expected)),
    );
  }
  rmSync(file);
  process.kill(server.pid, "SIGHUP");
  await server.logged("ENOENT");
  expect(processesOf(server).workers.sort()).toEqual(before);
  expect(await letsIn(server, ORIGIN)).toBe(true);
  // What a new worker can't start with is given up, and later ones start as before.
  writeFileSync(file, `audit-log = "${file}/audit.jsonl"\n`);
  process.kill(server.pid, "SIGHUP");
  await server.logged("Rolling restart given up");
  await server.logged("SIGHUP: nothing is taken over after all");
  for (const worker of processesOf(server).workers) process.kill(worker, "SIGKILL");
  await waitUntil("both are back", async () => {
    const { workers } = processesOf(server);
    return (
      workers.length === 2 && !workers.some((worker) => before.includes(worker)) && letsIn(server, ORIGIN)
    );
  });
});

test("one process takes over at once what needs no new workers, and its WebSockets stay", async () => {
  using dir = tempDir();
  const file = join(dir.path, "a.toml");
  writeFileSync(file, "");
  await using server = await startServer({ flags: ["--config", file] });
  const socket = new WebSocket(`${server.wsUrl}/ws?symbol=A`);
  let frames = 0;
  socket.onmessage = () => frames++;
  await waitUntil("it is told something", () => frames > 0);
  writeFileSync(
    file,
    `allow-origin = ["${ORIGIN}"]\nread-only = true\nheartbeat-interval = 5\nlog-level = "DEBUG"\naccess-log = "on"\n`,
  );
  process.kill(server.pid, "SIGHUP");
  await server.logged("SIGHUP: changed, but in force only after a stop and a start: --heartbeat-interval");
  await waitUntil("the page is let in", () => letsIn(server, ORIGIN));
  const save = {
    ticker: "A",
    data_type: "trade",
    index_col: "timestamp",
    data: [{ timestamp: "2024-01-02T15:00:00Z", price: 1, size: 1 }],
  };
  expect((await command(server.url, "save_realtime_data", save)).status).toBe(403);
  await server.logged(/\[DEBUG\]/);
  await server.logged(/\[INFO\].*POST \/db_command/);
  const before = frames;
  await waitUntil("it goes on", () => frames > before);
  expect(socket.readyState).toBe(WebSocket.OPEN);
  socket.close();
  writeFileSync(file, "read-only = maybe");
  process.kill(server.pid, "SIGHUP");
  await server.logged("SIGHUP: nothing is changed");
  expect((await command(server.url, "save_realtime_data", save)).status).toBe(403);
});

test("systemd is told when one process reads its settings again, right or wrong", async () => {
  using dir = tempDir();
  const target = `@stock-db-reload-${process.pid}`;
  using notices = openNotifySocket(target);
  const file = join(dir.path, "a.toml");
  writeFileSync(file, "");
  await using server = await startServer({ flags: ["--config", file], env: { NOTIFY_SOCKET: target } });
  const heard: string[] = [];
  for (const text of ["read-only = true", "read-only = maybe"]) {
    heard.length = 0;
    notices.receive();
    writeFileSync(file, text);
    process.kill(server.pid, "SIGHUP");
    await waitUntil("it is told", () => {
      heard.push(...notices.receive());
      return heard.some((notice) => notice.startsWith("READY=1"));
    });
    expect(heard[0]).toStartWith("RELOADING=1");
  }
});
