import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openNotifySocket } from "../../test/support/notify-socket.ts";
import { createNotifier } from "./systemd.ts";

const unexpected = (message: string) => {
  throw new Error(message);
};

test("notices reach a socket file and an abstract socket", () => {
  const folder = mkdtempSync(join(tmpdir(), "notify-"));
  for (const target of [join(folder, "notify"), `@stock-db-notify-${process.pid}`]) {
    using socket = openNotifySocket(target);
    const notifier = createNotifier({ NOTIFY_SOCKET: target }, unexpected);
    notifier.ready("Serving");
    notifier.watchdog();
    notifier.status("two workers");
    notifier.stopping();
    expect(notifier.enabled).toBe(true);
    expect(socket.receive()).toEqual([
      "READY=1\nSTATUS=Serving",
      "WATCHDOG=1",
      "STATUS=two workers",
      "STOPPING=1\nSTATUS=Stopping",
    ]);
  }
  rmSync(folder, { recursive: true });
});

test("a reload carries the machine's monotonic clock", () => {
  const target = `@stock-db-reload-${process.pid}`;
  using socket = openNotifySocket(target);
  createNotifier({ NOTIFY_SOCKET: target }, unexpected).reloading();
  const us = Number(/^RELOADING=1\nMONOTONIC_USEC=(\d+)\n/.exec(socket.receive()[0]!)![1]);
  // Without suspension it runs with the uptime, which /proc rounds to 10 ms; a sleeping machine
  // only makes it smaller.
  const uptimeUs = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1e6;
  expect(us).toBeGreaterThan(process.uptime() * 1e6);
  expect(us).toBeLessThanOrEqual(uptimeUs + 20_000);
});

test("without NOTIFY_SOCKET nothing is sent and nothing warned of", () => {
  const notifier = createNotifier({ WATCHDOG_USEC: "1000000" }, unexpected);
  notifier.ready();
  notifier.reloading();
  expect([notifier.enabled, notifier.watchdogIntervalMs]).toEqual([false, null]);
});

test("a socket that is not there is warned of once", () => {
  const warnings: string[] = [];
  const notifier = createNotifier({ NOTIFY_SOCKET: "/nowhere/notify" }, (message) => warnings.push(message));
  notifier.ready();
  notifier.watchdog();
  expect(warnings).toEqual(["systemd is not told: sending to NOTIFY_SOCKET=/nowhere/notify failed"]);
});

test("an address of another kind is warned of", () => {
  const warnings: string[] = [];
  expect(createNotifier({ NOTIFY_SOCKET: "vsock:2:1" }, (message) => warnings.push(message)).enabled).toBe(
    false,
  );
  expect(warnings[0]).toContain("NOTIFY_SOCKET=vsock:2:1");
});

test("the watchdog beats at half the unit's time, at least once a second, for this process or its launcher", () => {
  const interval = (pid?: number, us = "1500000") => {
    const env = { NOTIFY_SOCKET: "@x", WATCHDOG_USEC: us, ...(pid ? { WATCHDOG_PID: `${pid}` } : {}) };
    return createNotifier(env, unexpected).watchdogIntervalMs;
  };
  expect([interval(), interval(process.pid), interval(process.ppid), interval(1 << 30)]).toEqual([
    750,
    750,
    750,
    null,
  ]);
  expect(interval(process.pid, "30000000")).toBe(1_000);
});
