/** Keys, and a server that is slow or away, as somebody at the console sees them. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { expectAccessible, hasBrowser, useBrowser } from "../support/browser.ts";
import { addKey } from "../support/keys.ts";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

/** What a browser says of an answer of 401 or 403. */
const REFUSED = [/Failed to load resource: .* 40[13]/];
const CUT = [/WebSocket connection to .* failed/, /Failed to load resource/];

describe.skipIf(!hasBrowser)("keys", () => {
  const visit = useBrowser();
  const folder = tempDir();
  const keys = join(folder.path, "keys");
  let server: RunningServer;
  const made: Record<string, string> = {};
  beforeAll(async () => {
    made.desk = await addKey(keys, "desk", "read,stream");
    made.reader = await addKey(keys, "reader", "read");
    made.bound = await addKey(keys, "bound", "read,stream", ["--tickers", "SPY"]);
    server = await startServer({ flags: ["--sample", "--keys", keys] });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  test("without a key the page asks for one, in the server's words; a wrong one is told", async () => {
    await using opened = await visit(server.url, { expected: REFUSED });
    const { page, problems } = opened;
    const dialog = page.getByRole("dialog", { name: "Sign in" });
    await dialog.getByText(/key/i).first().waitFor();
    await expectAccessible(page);
    await dialog.getByLabel("Key").fill("sdb_wrong");
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await dialog.locator(".problem").waitFor();
    await dialog.getByLabel("Key").fill(made.desk!);
    await dialog.getByLabel("Key").press("Enter");
    await page.getByText("122.15").waitFor();
    await page.getByRole("status").getByText("Live", { exact: true }).waitFor();
    expect(page.url()).not.toContain("sdb_");
    expect(await page.evaluate<string>("JSON.stringify(localStorage)")).not.toContain("sdb_");
    await page.reload();
    await page.getByText("122.15").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await dialog.waitFor();
    expect(await page.getByText("122.15").count()).toBe(0);
    expect(problems).toEqual([]);
  });

  test("what a key may not do is told, and all else is shown", async () => {
    await using opened = await visit(server.url, { key: made.reader!, expected: REFUSED });
    await opened.page.getByText("122.15").waitFor();
    await opened.page
      .getByRole("status")
      .getByText(/Not live: .*stream/)
      .waitFor();
    expect(opened.problems).toEqual([]);
    await using other = await visit(server.url, { key: made.bound! });
    await other.page.getByText("396.33").waitFor();
    await other.page.getByText("1 in all").waitFor();
    expect(other.problems).toEqual([]);
  });

  test("a key that ends while the page is open is asked for anew", async () => {
    const key = await addKey(keys, "short", "read,stream");
    await using opened = await visit(server.url, { key, expected: [...REFUSED, ...CUT] });
    const { page, problems } = opened;
    // The server looks at the file twice a second; before that the key is a wrong one.
    await page.reload();
    await page.getByText("122.15").waitFor();
    await page.getByRole("status").getByText("Live", { exact: true }).waitFor();
    expect((await runCli(["keys", "revoke", "short", "--keys", keys])).code).toBe(0);
    await page.getByRole("dialog", { name: "Sign in" }).waitFor();
    expect(problems).toEqual([]);
  });
});

describe.skipIf(!hasBrowser)("a slow way to the server", () => {
  const visit = useBrowser();

  test("the page says that it waits, and what was asked for last is what it shows", async () => {
    await using server = await startServer({ flags: ["--sample"] });
    using slow = slowWayTo(server.url);
    await using opened = await visit(slow.url, {
      path: "/stocks/console#/chart?symbols=AAPL",
      expected: CUT,
    });
    const { page, problems } = opened;
    await page.getByText("Reading bars…").waitFor();
    await page.evaluate(`location.hash = "#/chart?symbols=SPY"`);
    await page.getByRole("heading", { name: "SPY" }).waitFor();
    slow.open();
    await page.getByRole("figure").getByText("C 396.33").waitFor();
    expect(await page.getByText("122.15").count()).toBe(0);
    slow.close();
    await page.getByRole("link", { name: "Tickers" }).click();
    await page.getByText(/The server answered with 502/).waitFor();
    slow.open();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText("122.15").waitFor();
    expect(problems).toEqual([]);
  });
});

interface SlowWay extends Disposable {
  url: string;
  /** Answers with bars wait until then. */
  open(): void;
  /** From now on nothing but the page itself is answered. */
  close(): void;
}

/** A proxy that serves the server below /stocks. It takes no WebSockets. */
function slowWayTo(url: string): SlowWay {
  const gate = Promise.withResolvers<void>();
  let isClosed = false;
  const proxy = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const { pathname: asked, search } = new URL(request.url);
      if (!asked.startsWith("/stocks/")) return new Response("Not here", { status: 404 });
      const pathname = asked.slice("/stocks".length);
      if (pathname.startsWith("/v1/") && isClosed)
        return new Response("<h1>Bad gateway</h1>", { status: 502 });
      if (pathname === "/v1/bars") await gate.promise;
      const { method, headers } = request;
      const body = method === "POST" ? await request.arrayBuffer() : null;
      return await fetch(url + pathname + search, {
        method,
        headers,
        body,
        decompress: false,
        redirect: "manual",
      });
    },
  });
  return {
    url: `http://127.0.0.1:${proxy.port}`,
    open() {
      isClosed = false;
      gate.resolve();
    },
    close() {
      isClosed = true;
    },
    [Symbol.dispose]: () => void proxy.stop(true),
  };
}
