/** `--audit-log`: who did what, from where, with what outcome. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, readFileSync, renameSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { command, get, type Json, runSql, saveTrade } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

/** With those of refusals, which have a file of their own. */
function linesOf(path: string): Json[] {
  return textOf(path)
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function textOf(path: string): string {
  return readFileSync(path, "utf8") + readFileSync(refusedOf(path), "utf8");
}

function refusedOf(path: string): string {
  return path.replace(".jsonl", "_refused.jsonl");
}

async function keyOf(path: string, name: string, may: string): Promise<string> {
  const { stdout } = await runCli(["keys", "add", name, "--may", may, "--keys", path, "--json"]);
  return (JSON.parse(stdout) as { key: string }).key;
}

test("sign-ins, refusals, statements that write, deletions, renamings and changes of keys are told", async () => {
  using dir = tempDir();
  const [keys, audit] = [join(dir.path, "a.keys"), join(dir.path, "audit.jsonl")];
  const [admin, reader] = [await keyOf(keys, "chief", "admin"), await keyOf(keys, "desk", "read")];
  await using server = await startServer({ flags: ["--keys", keys, "--audit-log", audit], workers: 2 });
  const as = (key: string) => ({ authorization: `Bearer ${key}` });
  const run = async (key: string, name: string, params: object): Promise<number> => {
    const answer = await fetch(`${server.url}/db_command`, {
      method: "POST",
      headers: { "content-type": "application/json", connection: "close", ...as(key) },
      body: JSON.stringify({ command: name, params }),
    });
    await answer.arrayBuffer();
    return answer.status;
  };
  const trade = { timestamp: "2024-01-02T15:00:00Z", price: 1, size: 1 };
  const save = { ticker: "A", data_type: "trade", index_col: "timestamp", data: [trade] };
  expect(await run(admin, "save_realtime_data", save)).toBe(200);
  expect((await get(`${server.url}/v1/tickers`, as(reader))).status).toBe(200);
  expect(await run(reader, "save_realtime_data", save)).toBe(403);
  expect((await get(`${server.url}/v1/tickers`)).status).toBe(401);
  const sql = "UPDATE realtime_data SET price = 2";
  expect(await run(admin, "execute_sql", { sql_query: sql, query_type: "raw" })).toBe(200);
  expect(await run(admin, "execute_sql", { sql_query: "DROP TABLE nothing", query_type: "raw" })).toBe(400);
  expect(await run(admin, "execute_sql", { sql_query: "SELECT 1", query_type: "select" })).toBe(200);
  expect(await run(admin, "rename_ticker", { ticker: "A", new_ticker: "B" })).toBe(200);
  const removal = { ticker: "B", data_type: "trade", all: true };
  expect(await run(admin, "delete_ticks", { ...removal, dry_run: true })).toBe(200);
  expect(await run(admin, "delete_ticks", removal)).toBe(200);
  const alpaca = new WebSocket(`${server.wsUrl}/v2/sip`);
  alpaca.onopen = () => alpaca.send(JSON.stringify({ action: "auth", key: "a", secret: reader }));
  await waitUntil("it is closed", () => alpaca.readyState === WebSocket.CLOSED);
  await keyOf(keys, "late", "read");
  const hasLate = (): boolean => linesOf(audit).some(({ added }) => added?.[0] === "late");
  await waitUntil("it is known", hasLate);
  expect((await runCli(["keys", "revoke", "desk", "--keys", keys])).code).toBe(0);

  const has = (wanted: object): boolean =>
    linesOf(audit).some((line) =>
      Object.entries(wanted).every(([name, value]) => Bun.deepEquals(line[name], value)),
    );
  const from = "127.0.0.1";
  for (const wanted of [
    { what: "signed_in", who: "chief", from, outcome: "ok" },
    { what: "signed_in", who: "desk", from, outcome: "ok" },
    { what: "refused", who: "desk", from, outcome: 403, method: "POST", path: "/db_command" },
    { what: "refused", who: "-", from, outcome: 401, method: "GET", path: "/v1/tickers" },
    { what: "sql", who: "chief", from, outcome: "ok", sql },
    { what: "sql", who: "chief", from, outcome: 400, sql: "DROP TABLE nothing" },
    { what: "rename", who: "chief", from, outcome: "ok", ticker: "A", newTicker: "B", rows: 1 },
    { what: "delete", who: "chief", from, outcome: "ok", ticker: "B", kind: "ticks", part: "trade", rows: 1 },
    { what: "refused", from, outcome: 403, path: "/v2/sip" },
    { what: "keys", added: ["late"], gone: [] },
    { what: "keys", added: [], gone: ["desk"] },
  ])
    await waitUntil(JSON.stringify(wanted), () => has(wanted));
  const text = textOf(audit);
  expect(readFileSync(audit, "utf8")).not.toContain('"refused"');
  for (const key of [admin, reader]) expect(text).not.toContain(key);
  expect(linesOf(audit).filter(({ what }) => what === "delete")).toHaveLength(1);
  expect(text).not.toContain("SELECT 1");
  for (const file of [audit, refusedOf(audit)]) expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("refusals of messages and of Alpaca's REST are told, each as a line that can be read", async () => {
  using dir = tempDir();
  const [keys, audit] = [join(dir.path, "a.keys"), join(dir.path, "audit.jsonl")];
  const added = ["keys", "add", "desk", "--may", "read,stream", "--tickers", "A", "--keys", keys, "--json"];
  const { key } = JSON.parse((await runCli(added)).stdout) as { key: string };
  await using server = await startServer({ flags: ["--keys", keys, "--audit-log", audit] });
  const headers = { authorization: `Bearer ${key}` };
  const rest = await get(`${server.url}/v2/stocks/B/trades`, headers);
  expect([rest.status, rest.body.code]).toEqual([403, 40_310_000]);
  expect((await get(`${server.url}/v2/stocks/A/trades`)).body.code).toBe(40_110_000);
  const told: Json[] = [];
  const socket = new WebSocket(`${server.wsUrl}/ws?symbols=A`, { headers });
  socket.onmessage = ({ data }) => told.push(JSON.parse(String(data)));
  await waitUntil("it is open", () => socket.readyState === WebSocket.OPEN);
  socket.send(JSON.stringify({ action: "subscribe", symbols: ["B"] }));
  const alpaca = new WebSocket(`${server.wsUrl}/v2/sip`, { headers });
  const heard: Json[] = [];
  alpaca.onmessage = ({ data }) => heard.push(...JSON.parse(String(data)));
  await waitUntil("it is let in", () => heard.length >= 2);
  alpaca.send(JSON.stringify({ action: "subscribe", trades: ["C"] }));
  await get(`${server.url}/v1/trades?symbols=${encodeURIComponent("😀".repeat(50))}`, headers);
  for (const wanted of [
    { path: "/v2/stocks/B/trades", outcome: 403, who: "desk" },
    { path: "/v2/stocks/A/trades", outcome: 401, who: "-" },
    { path: "/ws", outcome: 403, who: "desk" },
    { path: "/v2/sip", outcome: 403, who: "desk" },
    { path: "/v1/trades", outcome: 403, who: "desk" },
  ])
    await waitUntil(JSON.stringify(wanted), () =>
      linesOf(audit).some((line) =>
        Object.entries(wanted).every(([name, value]) => Bun.deepEquals(line[name], value)),
      ),
    );
  socket.close();
  alpaca.close();
});

test("a flood of refusals is cut, and counted", async () => {
  using dir = tempDir();
  const [keys, audit] = [join(dir.path, "a.keys"), join(dir.path, "audit.jsonl")];
  await keyOf(keys, "desk", "read");
  await using server = await startServer({ flags: ["--keys", keys, "--audit-log", audit] });
  const ask = async (): Promise<void> => void (await (await fetch(`${server.url}/v1/tickers`)).arrayBuffer());
  for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 100 }, ask));
  await Bun.sleep(1_000);
  await ask();
  await waitUntil("the rest is counted", () => linesOf(audit).some(({ what }) => what === "left_out"));
  const lines = linesOf(audit);
  const told = lines.filter(({ what }) => what === "refused").length;
  const leftOut = lines.reduce((sum, { refusals = 0 }) => sum + refusals, 0);
  expect(told + leftOut).toBe(2_001);
  expect(leftOut).toBeGreaterThan(0);
});

test("- is standard output; without keys nobody has a name", async () => {
  await using server = await startServer({ flags: ["--audit-log", "-"] });
  await saveTrade(server.url, "A", 1);
  await runSql(server.url, "DELETE FROM realtime_data");
  await command(server.url, "delete_ticks", { ticker: "A", data_type: "trade", all: true });
  await server.logged('"what":"sql","who":"-","from":"127.0.0.1","outcome":"ok"');
  await server.logged('"what":"delete"');
});

test.each(["db", "duckdb"])(
  "a restore is told by the next server that keeps an audit: %s",
  async (ending) => {
    using dir = tempDir();
    const inDir = (name: string): string => join(dir.path, name);
    const [dbFile, audit, to] = [inDir(`a.${ending}`), inDir("audit.jsonl"), inDir("backups")];
    const cli = async (...argv: string[]): Promise<Json> => {
      const { code, stdout, stderr } = await runCli([...argv, "--db-file", dbFile, "--json"]);
      expect({ code, stderr }).toMatchObject({ code: 0 });
      return JSON.parse(stdout) as Json;
    };
    const flags = ["--audit-log", audit];
    const restores = (): Json[] => linesOf(audit).filter(({ what }) => what === "restore");
    {
      await using server = await startServer({ dbFile, flags });
      expect((await saveTrade(server.url, "A", 1)).status).toBe(200);
    }
    const { name, taken_at } = await cli("backup", "--to", to);
    const begun = Date.now();
    const first = await cli("restore", "--from", to, "--replace");
    const second = await cli("restore", "--from", to, "--replace");
    {
      // Without an audit there is nowhere to tell it.
      await using server = await startServer({ dbFile });
      expect((await saveTrade(server.url, "A", 2)).status).toBe(200);
    }
    for (let starts = 0; starts < 2; starts++) {
      await using server = await startServer({ dbFile, flags, workers: 2 });
      expect((await saveTrade(server.url, "A", 3 + starts)).status).toBe(200);
    }
    const told = { who: "-", from: "-", outcome: "ok", backup: name, takenAt: taken_at };
    expect(restores()).toMatchObject([
      { ...told, epoch: first.epoch, replaced: first.replaced },
      { ...told, epoch: second.epoch, replaced: second.replaced },
    ]);
    for (const { restoredAt, user } of restores()) {
      expect(user).toBe(userInfo().username);
      expect(Date.parse(restoredAt)).toBeWithin(begun, Date.now());
    }
    expect(existsSync(`${dbFile}.restored`)).toBe(false);
  },
);

test("a file that was put back by hand is told as a restore too", async () => {
  using dir = tempDir();
  const [dbFile, audit] = [join(dir.path, "a.db"), join(dir.path, "audit.jsonl")];
  const save = async (price: number): Promise<void> => {
    await using server = await startServer({ dbFile, flags: ["--audit-log", audit] });
    expect((await saveTrade(server.url, "A", price)).status).toBe(200);
  };
  await save(1);
  cpSync(dbFile, `${dbFile}.copy`);
  await save(2);
  expect(textOf(audit)).not.toContain("restore");
  renameSync(`${dbFile}.copy`, dbFile);
  await save(3);
  expect(linesOf(audit).filter(({ what }) => what === "restore")).toMatchObject([
    { who: "-", outcome: "ok", found: expect.stringContaining("a copy or a backup") },
  ]);
});
