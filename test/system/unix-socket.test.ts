/** `--unix-socket`: the first worker listens there too, whichever process has that place. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { failingStart } from "../support/failing-start.ts";
import { addKey, bearer } from "../support/keys.ts";
import { saveTrade } from "../support/requests.ts";
import { BUN_LAUNCHER, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

async function ask(path: string, door: string, headers: Record<string, string> = {}): Promise<number> {
  const response = await fetch(`http://localhost${door}`, {
    unix: path,
    headers: { connection: "close", ...headers },
  });
  await response.arrayBuffer();
  return response.status;
}

test("requests and WebSockets come by it, with the mode of the flag, and it is gone after a stop", async () => {
  using dir = tempDir();
  const path = join(dir.path, "stocks.sock");
  const server = await startServer({ flags: ["--unix-socket", path, "--access-log", "on"] });
  expect((statSync(path).mode & 0o777).toString(8)).toBe("660");
  expect(await ask(path, "/health")).toBe(200);
  expect(await ask(path, "/health", { host: "evil.example" })).toBe(403);
  // Probes aren't logged.
  expect(await ask(path, "/v1/tickers")).toBe(200);
  await server.logged(/unix.*\/v1\/tickers/);
  const socket = connect(path);
  let heard = "";
  socket.on("data", (bytes) => {
    heard += bytes.toString("latin1");
  });
  const handshake = [
    ...["GET /ws?symbols=A&snapshot=false HTTP/1.1", "Host: localhost", "Connection: Upgrade"],
    ...["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="],
  ];
  socket.write(`${handshake.join("\r\n")}\r\n\r\n`);
  await waitUntil("it is subscribed", () => heard.includes("heartbeat"));
  expect((await saveTrade(server.url, "A", 7)).status).toBe(200);
  await waitUntil("the update has come", () => heard.includes('"price":7'));
  expect(await server.stop()).toBe(0);
  expect(existsSync(path)).toBe(false);
  await server[Symbol.asyncDispose]();
});

test("it goes over to the worker that takes the place of the first one", async () => {
  using dir = tempDir();
  const path = join(dir.path, "stocks.sock");
  await using server = await startServer({
    flags: ["--unix-socket", path, "--unix-socket-mode", "0600"],
    workers: 2,
  });
  expect((statSync(path).mode & 0o777).toString(8)).toBe("600");
  let failed = 0;
  let isOver = false;
  const asking = (async () => {
    for (; !isOver; await Bun.sleep(5)) if ((await ask(path, "/live").catch(() => 0)) !== 200) failed++;
  })();
  process.kill(server.pid, "SIGHUP");
  await server.logged("Rolling restart done");
  isOver = true;
  await asking;
  expect(failed).toBe(0);
  expect(await ask(path, "/health")).toBe(200);
  for (const worker of processesOf(server).workers) process.kill(worker, "SIGKILL");
  await waitUntil("it answers again", async () => (await ask(path, "/health")) === 200);
});

test("a file that a killed server has left is taken over; another's never", async () => {
  using dir = tempDir();
  const path = join(dir.path, "stocks.sock");
  const database = ["--db-file", join(dir.path, "a.db"), "--port", "0"];
  const killed = Bun.spawn([...BUN_LAUNCHER, ...database, "--unix-socket", path], {
    stdout: "ignore",
    stderr: "ignore",
  });
  await waitUntil("it listens", async () => (await ask(path, "/live")) === 200);
  const second = await failingStart([
    "--db-file",
    join(dir.path, "b.db"),
    "--port",
    "0",
    "--unix-socket",
    path,
  ]);
  expect([second.code, second.output]).toEqual([1, expect.stringContaining("another program listens there")]);
  expect(await ask(path, "/live")).toBe(200);
  killed.kill("SIGKILL");
  await killed.exited;
  expect(existsSync(path)).toBe(true);
  await using server = await startServer({ flags: ["--unix-socket", path] });
  expect(await ask(path, "/health")).toBe(200);
  const file = join(dir.path, "notes.txt");
  writeFileSync(file, "mine");
  for (const [other, expected] of [
    [file, "a file that is no socket"],
    [join(dir.path, "none", "a.sock"), "--unix-socket"],
    [join(dir.path, "x".repeat(100)), "expected a path of at most 90"],
  ]) {
    const { code, output } = await failingStart([
      ...["--db-file", join(dir.path, "c.db"), "--port", "0"],
      ...["--unix-socket", other!],
    ]);
    expect([code, output]).toEqual([1, expect.stringContaining(expected!)]);
  }
  expect(server.port).toBeGreaterThan(0);
});

test("a peer of it is a trusted proxy with --trust-proxy unix alone", async () => {
  using dir = tempDir();
  const keys = join(dir.path, "some.keys");
  const [inner, any] = [
    await addKey(keys, "inner", "read", ["--from", "10.0.0.0/8"]),
    await addKey(keys, "any", "read"),
  ];
  const path = (name: string): string => join(dir.path, `${name}.sock`);
  await using _trusting = await startServer({
    flags: ["--keys", keys, "--unix-socket", path("trusting"), "--trust-proxy", "unix"],
  });
  await using _plain = await startServer({
    flags: ["--keys", keys, "--unix-socket", path("plain"), "--trust-proxy", "127.0.0.1"],
  });
  const told = { "x-forwarded-for": "10.1.2.3" };
  const door = "/v1/tickers";
  expect(await ask(path("trusting"), door, { ...bearer(inner), ...told })).toBe(200);
  expect(await ask(path("trusting"), door, { ...bearer(inner), "x-forwarded-for": "8.8.8.8" })).toBe(401);
  expect(await ask(path("trusting"), door, bearer(inner))).toBe(401);
  expect(await ask(path("plain"), door, { ...bearer(inner), ...told })).toBe(401);
  for (const name of ["trusting", "plain"]) {
    expect(await ask(path(name), door, bearer(any))).toBe(200);
    expect(await ask(path(name), door)).toBe(401);
  }
});
