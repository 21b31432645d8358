/**
 * The supervisor over real processes: `supervised-child.ts` follows the control protocol and
 * misbehaves on demand.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SAME_STOP_MS } from "../../src/supervisor/signals.ts";
import { openNotifySocket } from "../support/notify-socket.ts";
import { isAlive } from "../support/processes.ts";
import {
  listenerCount,
  type SupervisorProcess,
  type SupervisorSetup,
  startSupervisor,
  until,
  WAIT_MS_MAX,
} from "../support/supervisor-process.ts";

setDefaultTimeout(3 * WAIT_MS_MAX);

async function serving(setup: SupervisorSetup = {}): Promise<SupervisorProcess> {
  const server = startSupervisor(setup);
  await server.line(/Serving on/);
  return server;
}

const namesOf = (server: SupervisorProcess): string => [...server.pids().keys()].sort().join(", ");

/** Waits for another process under that name. @returns Its pid. */
async function successor(server: SupervisorProcess, name: string, oldPid: number): Promise<number> {
  await until(
    () => ![undefined, oldPid].includes(server.pids().get(name)),
    `a successor of ${name}`,
    server.output,
  );
  return server.pidOf(name);
}

test("N workers listen on the port, and SIGTERM ends all of them, the hub last, with exit code 0", async () => {
  await using server = await serving({ settings: { workers: 3 } });
  const port = await server.port();
  expect([...server.pids().keys()].sort()).toEqual(["Hub", "Worker 0", "Worker 1", "Worker 2"]);
  expect(listenerCount(port)).toBe(3);
  const { runtimeDir } = await server.ask();
  expect(existsSync(runtimeDir)).toBe(true);
  const pids = [...server.pids().values()];

  server.signal("SIGTERM");
  expect(await server.exited).toBe(0);
  expect(pids.filter(isAlive)).toEqual([]);
  expect(listenerCount(port)).toBe(0);
  expect(existsSync(runtimeDir)).toBe(false);
  expect(server.lines(/\) stopped$/).at(-1)).toContain("Hub");
});

test("a killed worker is replaced at once and its neighbour is left alone, however often", async () => {
  await using server = await serving();
  const neighbour = server.pidOf("Worker 0");
  for (let death = 1; death <= 3; death++) {
    const pid = server.pidOf("Worker 1");
    process.kill(pid, "SIGKILL");
    await server.line(/Worker 1 \(pid \d+\) died of signal 9; starting another$/, death);
    await successor(server, "Worker 1", pid);
  }
  expect(server.pidOf("Worker 0")).toBe(neighbour);
});

test("a killed hub is replaced and the workers stay", async () => {
  await using server = await serving();
  const before = server.pids();
  process.kill(server.pidOf("Hub"), "SIGKILL");
  await successor(server, "Hub", before.get("Hub")!);
  expect(server.pidOf("Worker 0")).toBe(before.get("Worker 0")!);
  expect(server.pidOf("Worker 1")).toBe(before.get("Worker 1")!);
});

test("a worker whose event loop hangs, and one that is stopped, are found and replaced", async () => {
  await using server = await serving({ settings: { livenessTimeoutMs: 3_000 } });
  const hanging = server.pidOf("Worker 0");
  const stopped = server.pidOf("Worker 1");
  server.misbehave(`hang-${hanging}`);
  process.kill(stopped, "SIGSTOP");
  await successor(server, "Worker 0", hanging);
  await successor(server, "Worker 1", stopped);
  expect(server.lines(/has not answered for 3 s; killing it/)).toHaveLength(2);
  expect((await server.ask()).pid).toBeGreaterThan(0);
});

test("the time in which the supervisor itself was stopped is not held against its workers", async () => {
  const livenessTimeoutMs = 2_000;
  await using server = await serving({ settings: { livenessTimeoutMs } });
  const before = server.pids();
  server.signal("SIGSTOP");
  await Bun.sleep(1.5 * livenessTimeoutMs);
  server.signal("SIGCONT");
  const { pings } = await server.ask();
  await until(async () => (await server.ask()).pings > pings + 2, "further pings");
  expect(server.pids()).toEqual(before);
});

for (const [behaviour, reason] of [
  ["refuse-hub", "Start failed: Hub did not start: the fixture refuses"],
  ["refuse-worker", /Start failed: Worker \d did not start: the fixture refuses/],
  ["die-hub", "Start failed: Hub did not start: exited with code 3 before it was ready"],
  ["die-worker", /Start failed: Worker \d did not start: exited with code 3 before it was ready/],
] as const) {
  test(`${behaviour} ends the start with the reason`, async () => {
    await using server = startSupervisor({ misbehave: [behaviour] });
    expect(await server.exited).toBe(1);
    expect(server.lines(/CRITICAL/)).toHaveLength(1);
    expect(server.lines(/CRITICAL/)[0]).toMatch(reason);
    expect(server.lines(/starting another/)).toEqual([]);
  });
}

test("a replacement that can't boot is tried again with pauses, and serves once it can", async () => {
  await using server = await serving();
  const pid = server.pidOf("Worker 0");
  server.misbehave("refuse-worker");
  process.kill(pid, "SIGKILL");
  await server.line(/Worker 0 \(pid \d+\) did not start: the fixture refuses; starting another in/, 2);
  server.behave("refuse-worker");
  await successor(server, "Worker 0", pid);
});

for (const reusePort of [false, true]) {
  test(`a port that a ${reusePort ? "reusePort" : "plain"} listener has ends the start before any child`, async () => {
    const other = Bun.serve({ hostname: "0.0.0.0", port: 0, reusePort, fetch: () => new Response("other") });
    const port = other.port!;
    await using server = startSupervisor({ settings: { port } });
    expect(await server.exited).toBe(1);
    expect(server.output()).toContain(`Port ${port} on 127.0.0.1 is already in use by another program`);
    expect(server.lines(/Starting|pid/)).toEqual([]);
    await other.stop(true);
  });
}

test("a second copy of the server on the port is refused, and the first goes on", async () => {
  await using first = await serving();
  const port = await first.port();
  await using second = startSupervisor({ settings: { port } });
  expect(await second.exited).toBe(1);
  expect(second.output()).toContain(`Port ${port} on 127.0.0.1 is already served by another stock-db-server`);
  expect((await first.ask()).pid).toBeGreaterThan(0);
});

test("what overruns its time is terminated, then killed, and the exit code is still 0", async () => {
  await using server = await serving({
    settings: { workerRestartTimeoutMs: 2_000 },
    misbehave: ["hold-worker"],
  });
  server.signal("SIGTERM");
  expect(await server.exited).toBe(0);
  expect(server.lines(/Worker \d .* has not finished within 2 s; terminating it/)).toHaveLength(2);
  expect(server.lines(/Worker \d .* does not end; killing it/)).toHaveLength(2);
  expect(server.lines(/Worker \d .* died of signal 9 while stopping/)).toHaveLength(2);
  expect(server.lines(/Hub .* stopped/)).toHaveLength(1);
});

test("a child that dies while the server stops is not replaced", async () => {
  await using server = await serving({ misbehave: ["hold-worker"] });
  server.signal("SIGTERM");
  await server.line(/SIGTERM: stopping/);
  process.kill(server.pidOf("Worker 0"), "SIGKILL");
  await server.line(/Worker 0 \(pid \d+\) died of signal 9 while stopping/);
  server.behave("hold-worker");
  expect(await server.exited).toBe(0);
  expect(server.lines(/starting another/)).toEqual([]);
});

test("a second SIGINT stops at once", async () => {
  await using server = await serving({ misbehave: ["hold-worker"] });
  const pids = [...server.pids().values()];
  server.signal("SIGINT");
  await server.line(/SIGINT: stopping/);
  await Bun.sleep(SAME_STOP_MS + 100);
  expect(pids.every(isAlive)).toBe(true);
  server.signal("SIGINT");
  expect(await server.exited).toBe(130);
  expect(pids.filter(isAlive)).toEqual([]);
});

test("one Ctrl+C that arrives several times still drains", async () => {
  await using server = await serving({ misbehave: ["hold-worker"] });
  for (let copies = 0; copies < 3; copies++) server.signal("SIGINT");
  await server.line(/SIGINT: stopping/);
  server.behave("hold-worker");
  expect(await server.exited).toBe(0);
  expect(server.lines(/\) stopped$/)).toHaveLength(3);
});

test("SIGTERM while a child still boots ends the start with exit code 0", async () => {
  await using server = startSupervisor({ misbehave: ["stall-worker"] });
  await server.line(/Hub \(pid \d+\) ready/);
  server.signal("SIGTERM");
  expect(await server.exited).toBe(0);
  expect(server.lines(/CRITICAL/)).toEqual([]);
});

test("SIGHUP replaces every worker, one at a time, with never fewer listeners; the hub stays", async () => {
  await using server = await serving({ settings: { workers: 3 } });
  const port = await server.port();
  const before = server.pids();
  const counts = new Set<number>();
  server.signal("SIGHUP");
  await until(() => {
    counts.add(listenerCount(port));
    return server.lines(/Rolling restart done/).length > 0;
  }, "the end of the rolling restart");
  expect(Math.min(...counts)).toBeGreaterThanOrEqual(3);
  expect(Math.max(...counts)).toBeLessThanOrEqual(4);
  const after = server.pids();
  expect(after.get("Hub")).toBe(before.get("Hub")!);
  for (const name of ["Worker 0", "Worker 1", "Worker 2"]) {
    expect(after.has(name)).toBe(true);
    expect(after.get(name)).not.toBe(before.get(name)!);
  }
  expect(server.lines(/starting another/)).toEqual([]);
});

test("SIGHUP during a rolling restart brings exactly one more", async () => {
  await using server = await serving({ misbehave: ["hold-worker"] });
  server.signal("SIGHUP");
  await server.line(/Rolling restart of 2 workers/);
  for (let more = 1; more <= 3; more++) {
    server.signal("SIGHUP");
    await server.line(/SIGHUP: one more rolling restart will follow/, more);
  }
  server.behave("hold-worker");
  await server.line(/Rolling restart done/, 2);
  server.signal("SIGTERM");
  expect(await server.exited).toBe(0);
  expect(server.lines(/Rolling restart of/)).toHaveLength(2);
});

test("a rolling restart whose new worker can't boot leaves the old ones in service", async () => {
  await using server = await serving();
  const before = server.pids();
  server.misbehave("refuse-worker");
  server.signal("SIGHUP");
  await server.line(/Rolling restart given up: Worker 0 did not start: the fixture refuses/);
  expect(server.pids()).toEqual(before);

  server.behave("refuse-worker");
  server.signal("SIGHUP");
  await server.line(/Rolling restart done/);
  expect(server.pidOf("Worker 0")).not.toBe(before.get("Worker 0")!);
});

test("SIGTERM in a rolling restart ends it and everything", async () => {
  await using server = await serving({ misbehave: ["hold-worker"] });
  server.signal("SIGHUP");
  await server.line(/Worker 0 \(pid \d+\) ready/, 2);
  server.signal("SIGTERM");
  await server.line(/SIGTERM: stopping/);
  server.behave("hold-worker");
  expect(await server.exited).toBe(0);
  expect(server.lines(/Rolling restart (done|given up)/)).toEqual([]);
});

test("SIGTTIN adds a worker, SIGTTOU removes one, and the last one stays", async () => {
  await using server = await serving();
  const port = await server.port();
  server.signal("SIGTTIN");
  await until(() => listenerCount(port) === 3, "the third listener");
  await until(() => server.pids().has("Worker 2"), "the third worker");
  for (const left of [2, 1]) {
    server.signal("SIGTTOU");
    await until(() => listenerCount(port) === left, `${left} listeners`);
  }
  server.signal("SIGTTOU");
  await server.line(/SIGTTOU: the last worker stays/);
  await until(() => namesOf(server) === "Hub, Worker 0", "the end of the others", server.output);
  expect(server.lines(/starting another/)).toEqual([]);
});

test("signals for the workers that arrive during the start are carried out after it", async () => {
  await using server = startSupervisor();
  await server.line(/Starting 2 workers/);
  server.signal("SIGTTIN");
  server.signal("SIGHUP");
  await server.line(/Rolling restart done/);
  await until(() => namesOf(server) === "Hub, Worker 0, Worker 1, Worker 2", "three workers", server.output);
});

test("when the supervisor is killed, no child stays, not even one that hangs, and the port is free", async () => {
  const folder = mkdtempSync(join(tmpdir(), "orphans-"));
  await using server = await serving({ env: { XDG_RUNTIME_DIR: folder } });
  const port = await server.port();
  const { runtimeDir } = await server.ask();
  const pids = [...server.pids().values()];
  server.misbehave(`hang-${server.pidOf("Worker 0")}`);
  server.signal("SIGKILL");
  await until(() => !pids.some(isAlive), "the end of all children");
  await until(() => listenerCount(port) === 0, "the port to be free");

  expect(existsSync(runtimeDir)).toBe(true);
  await using next = await serving({ settings: { port }, env: { XDG_RUNTIME_DIR: folder } });
  expect((await next.ask()).runtimeDir).not.toBe(runtimeDir);
  expect(existsSync(runtimeDir)).toBe(false);
  next.signal("SIGTERM");
  expect(await next.exited).toBe(0);
  rmSync(folder, { recursive: true });
});

test("systemd is told of readiness, life, reload and stop, by the supervisor alone", async () => {
  const target = `@stock-db-supervisor-${process.pid}`;
  using socket = openNotifySocket(target);
  await using server = startSupervisor({ env: { NOTIFY_SOCKET: target, WATCHDOG_USEC: "100000" } });
  const notices: string[] = [];
  const notice = (pattern: RegExp) =>
    until(
      () => {
        notices.push(...socket.receive());
        return notices.some((text) => pattern.test(text));
      },
      `a notice like ${pattern}`,
      () => notices.join(" | "),
    );
  await notice(/^READY=1\nSTATUS=Serving on http:\/\/localhost:\d+ with 2 workers$/);
  await notice(/^WATCHDOG=1$/);
  expect(notices[0]).toStartWith("READY=1");
  expect((await server.ask()).notifySocket).toBeUndefined();

  notices.length = 0;
  server.signal("SIGHUP");
  await notice(/^RELOADING=1\nMONOTONIC_USEC=\d+\n/);
  await notice(/^READY=1/);
  server.signal("SIGTTIN");
  await notice(/^STATUS=Serving on .* with 3 workers$/);
  server.signal("SIGTERM");
  await notice(/^STOPPING=1/);
  expect(await server.exited).toBe(0);
});

test("the watchdog is silent while no worker answers", async () => {
  const target = `@stock-db-watchdog-${process.pid}`;
  using socket = openNotifySocket(target);
  await using server = startSupervisor({ env: { NOTIFY_SOCKET: target, WATCHDOG_USEC: "100000" } });
  await until(() => socket.receive().includes("WATCHDOG=1"), "the first beat");
  server.misbehave("stall-worker");
  for (const name of ["Worker 0", "Worker 1"]) process.kill(server.pidOf(name), "SIGKILL");
  await server.line(/died of signal 9; starting another/, 2);
  socket.receive();
  await Bun.sleep(300); // six beats
  expect(socket.receive()).toEqual([]);
});
