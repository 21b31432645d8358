/** A SQLite file that becomes shorter under a server: nothing else changes. */
import { Database } from "bun:sqlite";
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { fillTicks, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const dir = tempDir();
afterAll(() => dir[Symbol.dispose]());

async function answers(server: RunningServer): Promise<void> {
  const price = await server.command("get_latest_price", { ticker: "KEPT" });
  expect([price.status, JSON.stringify(price.body)]).toEqual([200, expect.any(String)]);
  expect((await saveTrade(server.url, "KEPT", 1, new Date().toISOString())).status).toBe(200);
}

test.each([1, 2])(
  "after a large delete, with --workers %d: reads and saves go on, and a restart finds all",
  async (workers) => {
    const dbFile = join(dir.path, `${workers}.db`);
    {
      await using server = await startServer({ dbFile, workers });
      for (const ticker of ["KEPT", "GONE"])
        expect((await fillTicks(server.url, ticker, ticker === "GONE" ? 500_000 : 1_000)).status).toBe(200);
      await waitUntil("it is in the file", () => statSync(dbFile).size > 30e6);
      const full = statSync(dbFile).size;
      const removed = await server.command("delete_ticks", { ticker: "GONE", data_type: "trade", all: true });
      expect([removed.status, JSON.stringify(removed.body)]).toEqual([200, expect.any(String)]);
      await waitUntil("the file is shorter", async () => {
        // Nothing is saved meanwhile: it waits for that.
        expect((await server.command("get_latest_price", { ticker: "KEPT" })).status).toBe(200);
        return statSync(dbFile).size < full / 1.5;
      });
      await answers(server);
      // Grown again, and looked at meanwhile.
      for (let n = 0; n < 3; n++) {
        expect((await fillTicks(server.url, `AGAIN${n}`, 100_000)).status).toBe(200);
        await answers(server);
      }
      expect((await fetch(`${server.url}/health`)).status).toBe(200);
      expect(server.log()).not.toContain("truncated");
    }
    using db = new Database(dbFile);
    expect(db.query("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    db.close();
    await using server = await startServer({ dbFile, workers });
    await answers(server);
    // One that another program cuts is noticed as before.
    truncateSync(dbFile, Math.floor(statSync(dbFile).size / 2));
    await waitUntil("it is told", async () => {
      const { status, body } = await server.command<{ error?: string }>("get_latest_price", {
        ticker: "KEPT",
      });
      return status === 503 && body.error?.includes("truncated") === true;
    });
  },
);
