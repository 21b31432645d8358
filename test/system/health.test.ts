/** `/health` and `/ready`: what they tell beside their status. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { get, type Json } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { childrenOf, roleOf } from "../support/server-processes.ts";

setDefaultTimeout(120_000);

test("/health tells the disk, how long the hub takes, and what isn't ready", async () => {
  await using server = await startServer({ flags: ["--liveness-timeout", "4"] });
  const health = async (): Promise<Json> => (await get(`${server.url}/health`)).body;
  await waitUntil("the hub has answered", async () => (await health()).hub.lag_ms > 0);
  const { disk, hub, reasons, status } = await health();
  expect([status, hub.connected, reasons]).toEqual(["healthy", true, []]);
  expect(disk.free_bytes).toBeGreaterThan(0);
  expect(await get(`${server.url}/ready`)).toMatchObject({ status: 200, body: { reasons: [] } });
  expect((await get(`${server.url}/live`)).body).not.toHaveProperty("hub");

  const [stopped] = childrenOf(server.pid).filter((pid) => roleOf(pid) === "hub");
  process.kill(stopped!, "SIGSTOP");
  const notReady = await waitUntil("it is not ready", async () => {
    const { status, body } = await get(`${server.url}/ready`);
    return status === 503 && body.reasons.length > 0 && (body as Json);
  });
  expect(notReady.message).toBe(notReady.reasons.join("; "));
  expect(notReady.reasons[0]).toMatch(/^the database's writer (has not answered for|is away)/);
  // SQLite is read by the worker itself. The hub is killed, and another takes its place.
  await waitUntil("another hub answers", async () => {
    const { status, reasons, hub } = await health();
    expect(status).toBe("healthy");
    return reasons.length === 0 && hub.connected && childrenOf(server.pid).every((pid) => pid !== stopped);
  });
});
