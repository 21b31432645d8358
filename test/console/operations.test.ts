/** The page of operations in a browser. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { expectAccessible, hasBrowser, takePicture, useBrowser } from "../support/browser.ts";
import { addKey } from "../support/keys.ts";
import { RawWebSocket } from "../support/raw-web-socket.ts";
import { saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

describe.skipIf(!hasBrowser)("operations", () => {
  const visit = useBrowser();
  const dir = tempDir();
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({ workers: 2 });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  });

  test("rates, workers, writers; a connection is ended after a question; an outage is told", async () => {
    const client = await RawWebSocket.open(server.port, "/ws?symbols=AAPL,SPY&slow=gap");
    await saveTrade(server.url, "AAPL", 101, "2024-01-02T15:00:00Z");
    const expected = [/Failed to load resource/];
    await using opened = await visit(server.url, { path: "/console#/operations", expected });
    const { page, problems } = opened;
    await page.getByRole("grid", { name: "Workers" }).getByRole("row").nth(2).waitFor();
    await page.getByRole("grid", { name: "Writers" }).getByText("AAPL trade").waitFor();
    await page.getByRole("grid", { name: "Requests" }).getByText("/metrics").waitFor();
    const connections = page.getByRole("grid", { name: "Connections" });
    const row = connections.getByRole("row").filter({ hasText: "gap: AAPL, SPY" });
    await row.waitFor();
    await expectAccessible(page);
    await takePicture(page, "console-operations");
    await row.getByRole("button", { name: /^End / }).click();
    await page.getByRole("button", { name: "End it" }).click();
    await waitUntil("the client is told", () => client.ended);
    await row.waitFor({ state: "detached" });
    await page.setViewportSize({ width: 390, height: 760 });
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
    await expectAccessible(page);
    await page.context().setOffline(true);
    await page.getByText(/What is shown is \d+ s old/).waitFor();
    await page.context().setOffline(false);
    await page.getByText(/What is shown is/).waitFor({ state: "detached" });
    expect(problems).toEqual([]);
  });

  test("a key without the right sees which one is missing", async () => {
    const keys = join(dir.path, "some.keys");
    const key = await addKey(keys, "reader", "read,metrics");
    await using guarded = await startServer({ flags: ["--keys", keys] });
    const expected = [/Failed to load resource/];
    await using opened = await visit(guarded.url, { path: "/console#/operations", key, expected });
    const { page, problems } = opened;
    await page.getByText("Memory of all processes").waitFor();
    await page.getByText(/admin/).first().waitFor();
    await expectAccessible(page);
    expect(problems).toEqual([]);
  });
});
