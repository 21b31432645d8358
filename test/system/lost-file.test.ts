/** The database file removed or replaced under a running server: nothing may be answered as stored any more. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { startServer, waitUntil } from "../support/server.ts";

setDefaultTimeout(180_000);

const SAVE = { ticker: "A", index_col: "date", data: [{ date: "2024-01-02", close: 1 }] };

for (const how of ["removed", "replaced"] as const) {
  test(`${how}: saves and health are 503 and say so; put back, all goes on`, async () => {
    await using server = await startServer();
    expect((await server.command("save_stock_data", SAVE)).status).toBe(200);
    const aside = `${server.dbFile}.aside`;
    renameSync(server.dbFile, aside);
    if (how === "replaced") writeFileSync(server.dbFile, "");
    const refused = await server.command("save_stock_data", SAVE);
    expect(refused.status).toBe(503);
    expect(JSON.stringify(refused.body)).toContain(`was ${how} while the server had it open`);
    for (const path of ["/health", "/ready"]) expect((await fetch(server.url + path)).status).toBe(503);
    expect((await fetch(`${server.url}/live`)).status).toBe(200);
    rmSync(server.dbFile, { force: true });
    renameSync(aside, server.dbFile);
    expect((await server.command("save_stock_data", SAVE)).status).toBe(200);
    await waitUntil(
      "the server is ready again",
      async () => (await fetch(`${server.url}/ready`)).status === 200,
    );
  });
}
