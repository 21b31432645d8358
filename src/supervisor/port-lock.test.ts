import { expect, setDefaultTimeout, test } from "bun:test";
import { type PortLock, PortTakenError, portLock } from "./port-lock.ts";

setDefaultTimeout(120_000);

async function refusalOf(host: string, port: number): Promise<string> {
  let lock: PortLock | undefined;
  try {
    lock = await portLock(host, port);
  } catch (error) {
    if (error instanceof PortTakenError) return error.message;
    throw error;
  } finally {
    lock?.release();
  }
  return "";
}

test("port 0 gives a free port, which a reusePort server can then bind", async () => {
  const lock = await portLock("127.0.0.1", 0);
  expect(lock.port).toBeGreaterThan(0);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: lock.port,
    reusePort: true,
    fetch: () => new Response("ok"),
  });
  expect(await (await fetch(server.url)).text()).toBe("ok");
  await server.stop(true);
  lock.release();
});

test("a second lock is refused by port, also under another name, and granted after release", async () => {
  const lock = await portLock("127.0.0.1", 0);
  expect(await refusalOf("127.0.0.1", lock.port)).toContain(
    `Port ${lock.port} on 127.0.0.1 is already served`,
  );
  expect(await refusalOf("localhost", lock.port)).toContain("another stock-db-server");
  const { port } = lock;
  lock.release();
  expect(await refusalOf("127.0.0.1", port)).toBe("");
});

const overlaps: [string, string][] = [
  ["127.0.0.1", "127.0.0.1"],
  ["0.0.0.0", "127.0.0.1"],
  ["127.0.0.1", "0.0.0.0"],
];
for (const reusePort of [false, true]) {
  for (const [theirs, ours] of overlaps) {
    test(`a ${reusePort ? "reusePort" : "plain"} listener on ${theirs} refuses ${ours}`, async () => {
      const other = Bun.serve({ hostname: theirs, port: 0, reusePort, fetch: () => new Response("") });
      const port = other.port ?? 0; // unset once it is stopped
      const refusal = await refusalOf(ours, port);
      await other.stop(true);
      expect(refusal).toContain(`Port ${port} on ${ours} is already in use`);
    });
  }
}

test("an address that is not this machine's, and an unknown name, are named", async () => {
  expect(await refusalOf("192.0.2.1", 18_099)).toContain("192.0.2.1:18099: this machine has no such address");
  expect(await refusalOf("no-such-host.invalid", 18_099)).toContain("no-such-host.invalid:18099");
});
