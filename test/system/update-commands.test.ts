/**
 * The commands that tell what was saved and what is stored, on each engine, and through a server in
 * front of it.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { Save, SaveTicks } from "../../src/storage/contract.ts";
import { openTarget } from "../../src/storage/engines.ts";
import { usePostgres } from "../support/postgres.ts";
import { command, type Json, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();
const DATABASES: Record<string, (dir: string) => string | Promise<string>> = {
  sqlite: (dir) => join(dir, "test.db"),
  duckdb: (dir) => join(dir, "test.duckdb"),
  postgres: () => postgres.freshSchema(),
};

const saveDay = (url: string, ticker: string, close: number, extra: Record<string, unknown> = {}) =>
  command(url, "save_stock_data", {
    ticker,
    index_col: "date",
    data: [{ date: "2024-01-02", close, ...extra }],
  });

/** Without a content that subscribers could have seen. */
const COPIED: SaveTicks = {
  kind: "ticks",
  ticker: "COPIED",
  part: "trade",
  rows: [["2024-01-02 10:00:00.000000", 1, 1, null, null, null, null, 0]],
  onDuplicate: "replace",
};

/** A copy into a database that others save to: its rows are no updates that could be told. */
const MIXED: Save[] = [1, 2, 3, 4].map((n) => {
  const update = { saveId: `mixed-${n}`, repeated: false, frame: `{"symbol":"MIXED","data":[${n}]}` };
  const stamp = `2024-01-02 10:00:00.00000${n}`;
  const rows: SaveTicks["rows"] = [[stamp, n, 1, null, null, null, null, 0]];
  return { ...COPIED, ticker: "MIXED", rows, ...(n === 3 ? {} : { update }) };
});

async function post(url: string, body: string): Promise<string> {
  const answer = await fetch(`${url}/db_command`, {
    method: "POST",
    headers: { "content-type": "application/json", connection: "close" },
    body,
  });
  expect(answer.status).toBe(200);
  return answer.text();
}

for (const [engine, place] of Object.entries(DATABASES)) {
  describe(engine, () => {
    const stack = new AsyncDisposableStack();
    let server: RunningServer;
    let front: RunningServer;

    beforeAll(async () => {
      const dir = stack.use(tempDir());
      const dbFile = await place(dir.path);
      const database = await openTarget({ dbFile, durability: "normal" });
      await database.writer.commit([COPIED]);
      await database.writer.commit(MIXED);
      await database.close();
      server = stack.use(await startServer({ dbFile, workers: 2 }));
      front = stack.use(await startServer({ dbFile: `127.0.0.1:${server.port}` }));
    });
    afterAll(() => stack.disposeAsync());

    /** Both tiers give the same answer, to the letter. */
    async function ask(name: string, params: Record<string, unknown>): Promise<Json> {
      const body = JSON.stringify({ command: name, params });
      const text = await post(server.url, body);
      expect(await post(front.url, body)).toBe(text);
      return JSON.parse(text);
    }

    test("updates come back as they were sent, with their positions, from wherever one left off", async () => {
      const ticker = "O'Neil 株";
      const before = Date.now();
      for (const price of [1, 2, 3]) await saveTrade(server.url, ticker, price);
      await saveDay(front.url, ticker, 4, { note: "ä" });
      // Nothing new.
      await saveTrade(front.url, ticker, 3);

      const all = await ask("get_updates", { ticker, since: 0 });
      expect(all).toMatchObject({ ticker, seq: 4, recovered: true });
      expect(all.updates.map(({ seq }: Json) => seq)).toEqual([1, 2, 3, 4]);
      expect(all.updates[3]).toEqual({
        symbol: ticker,
        data: [{ date: "2024-01-02", close: 4, note: "ä" }],
        seq: 4,
      });
      expect(all.updates[1].data.payload[0].price).toBe(2);

      const two = await ask("get_updates", { ticker, since: 1, limit: 2, epoch: all.epoch });
      expect(two).toEqual({ ...all, updates: all.updates.slice(1, 3) });
      // One at least, however long.
      expect(await ask("get_updates", { ticker, since: 1, characters: 1 })).toEqual({
        ...all,
        updates: all.updates.slice(1, 2),
      });
      expect((await ask("get_updates", { ticker, since: 4 })).updates).toEqual([]);
      expect(await ask("get_updates", { ticker, since: new Date(before).toISOString() })).toEqual(all);
      expect((await ask("get_updates", { ticker, since: "2200-01-01" })).updates).toEqual([]);

      const stored = await ask("get_updates", { ticker, since: 2, stored: true });
      expect(stored.updates.map(({ seq, type }: Json) => [seq, type])).toEqual([
        [3, "trade"],
        [4, "bar"],
      ]);
      for (const { saved_at } of stored.updates)
        expect(saved_at).toBeWithin(before - 1_000, Date.now() + 1_000);
    });

    test("where updates can't be given, the answer says why", async () => {
      await saveTrade(server.url, "WHY", 1);
      const { epoch } = await ask("get_positions", { tickers: [] });
      const refusal = { epoch, ticker: "WHY", seq: 1, recovered: false, updates: [] };
      const other = await ask("get_updates", { ticker: "WHY", since: 0, epoch: "another" });
      expect(other).toEqual({ ...refusal, code: "epoch_changed", reason: expect.any(String) });
      const ahead = await ask("get_updates", { ticker: "WHY", since: 2, epoch });
      expect(ahead).toEqual({ ...refusal, code: "position_ahead", reason: expect.any(String) });
      expect(await ask("get_updates", { ticker: "NOBODY", since: 0 })).toMatchObject({
        seq: 0,
        recovered: true,
        updates: [],
      });
      for (const params of [
        { ticker: "WHY" },
        { ticker: "WHY", since: -1 },
        { ticker: "WHY", since: 0, limit: 10_001 },
        { ticker: "WHY", since: "soon" },
        { since: 0 },
      ])
        expect((await command(server.url, "get_updates", params)).status).toBe(400);
    });

    test("an update whose content isn't kept ends an answer", async () => {
      expect(await ask("get_updates", { ticker: "COPIED", since: 0 })).toMatchObject({
        seq: 1,
        recovered: false,
        code: "not_kept",
      });
      const { updates } = await ask("get_updates", { ticker: "COPIED", since: 0, stored: true });
      for (const { seq, frame } of updates) expect([seq, frame]).toEqual([1, ""]);
      await saveTrade(server.url, "COPIED", 2);
      const after = await ask("get_updates", { ticker: "COPIED", since: 1 });
      expect([after.recovered, after.updates.length, after.updates[0].seq]).toEqual([true, 1, 2]);
    });

    test("a hole is told with its place, and what lies before and after it can be asked for", async () => {
      const told = (frames: Json[]): number[] => frames.map(({ seq }) => seq);
      const hole = await ask("get_updates", { ticker: "MIXED", since: 0 });
      expect(hole).toMatchObject({ seq: 4, recovered: false, code: "not_kept", gap: { from: 3, to: 3 } });
      expect(told(hole.updates)).toEqual([1, 2]);
      const before = await ask("get_updates", { ticker: "MIXED", since: 0, limit: 2 });
      expect([before.recovered, before.gap, told(before.updates)]).toEqual([true, undefined, [1, 2]]);
      const after = await ask("get_updates", { ticker: "MIXED", since: 3 });
      expect([after.recovered, told(after.updates)]).toEqual([true, [4]]);

      for (const { wsUrl } of [server, front]) {
        await using back = Subscriber.ask(wsUrl, { symbol: "MIXED", since: "0" });
        const first = await waitUntil("its first frame", () => back.frames[0]);
        expect(first).toMatchObject({
          seq: 4,
          data: { recovered: false, code: "not_kept", snapshot: { trade: { price: 4 } } },
        });
        await using late = Subscriber.ask(wsUrl, { symbol: "MIXED", since: "3" });
        await waitUntil("the update", () => late.updates.length === 1);
        expect(late.frames[0]).toMatchObject({ seq: 3, data: { recovered: true, from: 4, to: 4 } });
      }
    });

    test("a time is told for each position, to a server in front", async () => {
      const before = Date.now();
      await saveTrade(server.url, "TIMED", 1);
      const { positions, times } = await ask("get_positions", { tickers: ["TIMED", "NOBODY"], times: true });
      expect(positions).toEqual({ TIMED: 1 });
      expect(Object.keys(times)).toEqual(["TIMED"]);
      expect(times.TIMED).toBeWithin(before - 1_000, Date.now() + 1_000);
      expect((await command(server.url, "get_positions", { times: true })).status).toBe(400);
    });

    test("a number is a position, whatever it looks like", async () => {
      await saveTrade(server.url, "NUMBER", 1);
      for (const since of [20240101, "20240101", Date.now(), String(Date.now())])
        expect((await ask("get_updates", { ticker: "NUMBER", since })).code).toBe("position_ahead");
      for (const since of ["99999999999999999", 2 ** 53, "1.5", 1.5, "-1", ""])
        expect((await command(server.url, "get_updates", { ticker: "NUMBER", since })).status).toBe(400);
      const { code } = await ask("get_updates", { ticker: "NUMBER", since: "2020-01-01", epoch: "another" });
      expect(code).toBe("epoch_changed");
    });

    test("positions of some tickers or of all, without those that had no update", async () => {
      await saveTrade(server.url, "P1", 1);
      await saveTrade(server.url, "P1", 2);
      await saveTrade(server.url, "__proto__", 1);
      const some = await ask("get_positions", { tickers: ["P1", "NOBODY"] });
      expect(some.positions).toEqual({ P1: 2 });
      const all = await ask("get_positions", {});
      expect(all.epoch).toBe(some.epoch);
      expect(Object.entries(all.positions)).toContainEqual(["__proto__", 1]);
      expect(all.positions.P1).toBe(2);
    });

    test("a snapshot holds the newest of each kind, all digits, and its position", async () => {
      expect(await ask("get_snapshot", { ticker: "NOBODY" })).toMatchObject({
        seq: 0,
        quote: null,
        trade: null,
        bar: { daily: null, hourly: null },
      });
      await post(
        server.url,
        '{"command":"save_realtime_data","params":{"ticker":"SNAP","index_col":"t","data":[{"t":"2024-01-02T10:00:00.000001","price":0.30000000000000004,"size":9007199254740993,"ask_price":null,"ask_size":4}]}}',
      );
      await saveTrade(server.url, "SNAP", 7, "2024-01-02T10:00:01Z");
      await saveDay(server.url, "SNAP", 8, { open: 1, volume: 5 });
      const { epoch } = await ask("get_positions", { tickers: [] });
      const body = '{"command":"get_snapshot","params":{"ticker":"SNAP"}}';
      const text = await post(front.url, body);
      expect(await post(server.url, body)).toBe(text);
      expect(text).toContain('"bid_size":9007199254740993,');
      expect(JSON.parse(text)).toEqual({
        ticker: "SNAP",
        seq: 3,
        epoch,
        quote: {
          timestamp: "2024-01-02T10:00:00.000001Z",
          bid_price: 0.1 + 0.2,
          bid_size: 2 ** 53,
          ask_price: null,
          ask_size: 4,
        },
        trade: { timestamp: "2024-01-02T10:00:01.000000Z", price: 7, size: 1 },
        bar: {
          daily: {
            date: "2024-01-02T00:00:00.000000Z",
            open: 1,
            high: null,
            low: null,
            close: 8,
            volume: 5,
          },
          hourly: null,
        },
      });
    });

    test("tickers page by page, types of ticks, and ticks with their seq", async () => {
      for (const ticker of ["T3", "T1", "T2"]) await saveDay(server.url, ticker, 1);
      const data = [5, 6].map((price) => ({ timestamp: "2024-01-02T10:00:00Z", price, size: 1 }));
      for (const data_type of ["trade", "auction"])
        await command(server.url, "save_realtime_data", {
          ticker: "T1",
          index_col: "timestamp",
          data_type,
          data,
        });

      const found: string[] = [];
      for (let after: string | null = null; ; ) {
        const { tickers } = await ask("get_tickers", { kind: "daily", limit: 2, after });
        found.push(...tickers);
        if (tickers.length < 2) break;
        after = tickers.at(-1);
      }
      expect(found.filter((ticker) => /^T\d$/.test(ticker))).toEqual(["T1", "T2", "T3"]);
      expect(new Set(found).size).toBe(found.length);
      expect((await ask("get_tickers", { kind: "ticks" })).tickers).toContain("T1");
      expect((await command(server.url, "get_tickers", { kind: "weekly" })).status).toBe(400);
      expect((await ask("get_tick_types", { ticker: "T1" })).types.toSorted()).toEqual(["auction", "trade"]);
      expect((await ask("get_tick_types", { ticker: "NOBODY" })).types).toEqual([]);

      const params = { ticker: "T1", data_type: "trade" };
      const plain = await ask("get_realtime_data", params);
      const numbered = await ask("get_realtime_data", { ...params, include_seq: true });
      expect(numbered.data).toEqual(plain.data.map((row: Json, seq: number) => ({ ...row, seq })));
      expect(Object.keys(numbered.data[0]).at(-1)).toBe("seq");
      expect(await ask("get_realtime_data", params)).toEqual(plain);
    });
  });
}
