/**
 * Rows are deleted and tickers renamed, on whole servers of each engine with several workers, and
 * through a server in front of them: the answers, what subscribers see, what is read afterwards.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { usePostgres } from "../support/postgres.ts";
import { command, type Json, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { type Frame, Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();
const DATABASES: Record<string, (dir: string) => string | Promise<string>> = {
  sqlite: (dir) => join(dir, "test.db"),
  duckdb: (dir) => join(dir, "test.duckdb"),
  postgres: () => postgres.freshSchema(),
};
/** Enough for every worker to answer some. */
const REQUESTS = 12;

const stampOf = (n: number) => `2024-01-02T10:00:0${n}.000000Z`;

async function ok(url: string, name: string, params: Record<string, unknown>): Promise<Json> {
  const { status, body } = await command(url, name, params);
  expect({ status, body }).toMatchObject({ status: 200 });
  return body;
}

async function fill(url: string, ticker: string, last: number, type = "trade"): Promise<void> {
  await ok(url, "save_realtime_data", {
    ticker,
    data_type: type,
    index_col: "timestamp",
    data: Array.from({ length: last }, (_, i) => ({
      timestamp: stampOf(i + 1),
      price: i + 1,
      size: 1,
      id: `id-${i + 1}`,
    })),
  });
}

const saveDays = (url: string, ticker: string, closes: number[]) =>
  ok(url, "save_stock_data", {
    ticker,
    index_col: "date",
    data: closes.map((close, i) => ({ date: `2024-01-0${i + 2}`, close, open: close })),
  });

/** What every worker answers, which is the same. */
async function everywhere(url: string, name: string, params: Record<string, unknown>): Promise<Json> {
  const answers: Json[] = [];
  for (let i = 0; i < REQUESTS; i++) answers.push(await ok(url, name, params));
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  return answers[0];
}

const pricesOf = (answer: Json): number[] => answer.data.map(({ price }: Json) => price);

/** Updates of edits that it has got. */
const edits = (subscriber: Subscriber): Frame[] =>
  subscriber.updates.filter(({ data }) => /_delete$|_rename$/.test(data.type));

for (const [engine, place] of Object.entries(DATABASES)) {
  describe(engine, () => {
    const stack = new AsyncDisposableStack();
    let server: RunningServer;
    let front: RunningServer;

    beforeAll(async () => {
      const dir = stack.use(tempDir());
      server = stack.use(await startServer({ dbFile: await place(dir.path), workers: 2 }));
      front = stack.use(await startServer({ dbFile: `127.0.0.1:${server.port}` }));
    });
    afterAll(() => stack.disposeAsync());

    for (const tier of ["server", "front"] as const) {
      const url = (): string => (tier === "server" ? server.url : front.url);
      const named = (ticker: string): string => `${ticker} ${tier}`;

      test(`${tier}: ticks go, one update tells it, and no worker answers what was`, async () => {
        const ticker = named("TICKS");
        await fill(url(), ticker, 6);
        for (const at of [server.url, front.url]) {
          await everywhere(at, "get_latest_price", { ticker });
          await everywhere(at, "get_realtime_data", { ticker, data_type: "trade" });
        }
        await using one = await Subscriber.open(server.wsUrl, ticker);
        await using behind = await Subscriber.open(front.wsUrl, ticker);
        const range = { ticker, data_type: "trade", start_datetime: stampOf(5) };
        const dry = await ok(url(), "delete_ticks", { ...range, dry_run: true });
        expect(dry).toMatchObject({ removed: 2, dry_run: true, seq: null });
        expect(dry.message).toBe(`2 rows of trade ticks of ${ticker} would be removed.`);
        const answer = await ok(url(), "delete_ticks", range);
        expect(answer).toEqual({
          message: `2 rows of trade ticks of ${ticker} were removed.`,
          removed: 2,
          seq: 2,
          epoch: one.epoch,
        });
        for (const at of [server.url, front.url]) {
          expect(await everywhere(at, "get_latest_price", { ticker })).toMatchObject({ latest_price: 4 });
          const left = await everywhere(at, "get_realtime_data", { ticker, data_type: "trade" });
          expect(pricesOf(left)).toEqual([1, 2, 3, 4]);
        }
        await ok(url(), "delete_ticks", { ticker, data_type: "*", ids: ["id-1", "id-4", "none"] });
        await saveTrade(server.url, ticker, 9, stampOf(9));
        for (const subscriber of [one, behind]) {
          await subscriber.until("all updates", () => subscriber.seqs.length === 3);
          expect(subscriber.seqs).toEqual([2, 3, 4]);
          expect(edits(subscriber).map(({ data }) => data)).toEqual([
            { type: "tick_delete", data_type: "trade", start: stampOf(5), end: null, removed: 2 },
            {
              type: "tick_delete",
              data_type: "*",
              start: null,
              end: null,
              ids: ["id-1", "id-4", "none"],
              removed: 2,
            },
          ]);
          expect(subscriber.faults).toEqual([]);
        }
      });

      test(`${tier}: bars go, and the averages of those that are left are theirs`, async () => {
        const ticker = named("BARS");
        await saveDays(url(), ticker, [1, 2, 3, 4, 5]);
        await ok(url(), "get_stock_data", { ticker });
        const range = { ticker, interval: "daily", start_date: "2024-01-03", end_date: "2024-01-04" };
        expect(await ok(url(), "delete_bars", range)).toMatchObject({ removed: 2, seq: 2 });
        const { data } = await everywhere(url(), "get_stock_data", { ticker });
        await saveDays(url(), `${ticker} same`, [1]);
        await ok(url(), "save_stock_data", {
          ticker: `${ticker} same`,
          index_col: "date",
          data: [
            { date: "2024-01-05", close: 4, open: 4 },
            { date: "2024-01-06", close: 5, open: 5 },
          ],
        });
        const same = await ok(url(), "get_stock_data", { ticker: `${ticker} same` });
        const shown = (rows: Json[]) => rows.map(({ ticker: _, write_timestamp: __, ...row }) => row);
        expect(shown(data)).toEqual(shown(same.data));
        expect(await ok(url(), "delete_bars", { ticker, interval: "5min", all: true })).toMatchObject({
          message: `0 rows of 5min bars of ${ticker} were removed.`,
          removed: 0,
          seq: null,
        });
        expect(await ok(url(), "delete_bars", { ticker, interval: "daily", all: true })).toMatchObject({
          removed: 3,
          seq: 3,
        });
      });

      test(`${tier}: a repeated request is answered as the first time`, async () => {
        const ticker = named("REPEATED");
        await fill(url(), ticker, 2);
        const request = { ticker, data_type: "trade", all: true, save_id: "once" };
        const first = await ok(url(), "delete_ticks", request);
        await saveTrade(url(), ticker, 3, stampOf(3));
        expect(await ok(url(), "delete_ticks", request)).toEqual({ ...first, repeated: true });
        const other = await command(url(), "delete_ticks", { ...request, data_type: "*" });
        expect(other).toMatchObject({
          status: 409,
          body: { error: expect.stringContaining("was used for another request") },
        });
        const renaming = { ticker, new_ticker: `${ticker} 2`, save_id: "once" };
        const renamed = await ok(url(), "rename_ticker", renaming);
        expect(await ok(url(), "rename_ticker", renaming)).toEqual({ ...renamed, repeated: true });
      });

      test(`${tier}: a renaming is told to subscribers of both tickers`, async () => {
        const [ticker, fresh] = [named("OLD"), named("NEW")];
        await fill(url(), ticker, 2);
        await saveDays(url(), ticker, [7]);
        for (const each of [ticker, fresh]) await everywhere(url(), "get_latest_price", { ticker: each });
        await everywhere(url(), "get_stock_data", { ticker: fresh });
        await using old = await Subscriber.open(server.wsUrl, ticker);
        await using behind = await Subscriber.open(front.wsUrl, fresh);
        await using quotes = Subscriber.ask(server.wsUrl, { symbols: fresh, types: "quote" });
        await quotes.until("it is subscribed", () => quotes.heartbeats.length > 0);
        const taken = await command(url(), "rename_ticker", { ticker: fresh, new_ticker: ticker });
        expect(taken).toMatchObject({
          status: 409,
          body: { error: expect.stringContaining("rename_ticker") },
        });
        expect(await ok(url(), "rename_ticker", { ticker, new_ticker: fresh, dry_run: true })).toMatchObject({
          message: `3 rows of ${ticker} would be renamed to ${fresh}.`,
          renamed: 3,
          seq: null,
        });
        const answer = await ok(url(), "rename_ticker", { ticker, new_ticker: fresh });
        expect(answer).toMatchObject({ renamed: 3, seq: 1 });
        expect(await everywhere(url(), "get_latest_price", { ticker: fresh })).toMatchObject({
          latest_price: 2,
        });
        expect((await everywhere(url(), "get_stock_data", { ticker: fresh })).data).toHaveLength(1);
        expect((await everywhere(url(), "get_stock_data", { ticker })).data).toEqual([]);
        const data = { type: "ticker_rename", old: ticker, new: fresh, renamed: 3 };
        for (const subscriber of [old, behind, quotes]) {
          await subscriber.until("the update", () => edits(subscriber).length > 0);
          expect(edits(subscriber)).toMatchObject([{ data, seq: subscriber === old ? 3 : 1 }]);
        }
      });
    }

    test("subscribers of some types get what concerns these, also from the log", async () => {
      const ticker = "TYPES";
      const ask = async (types: string, since?: number) => {
        const more: Record<string, string> = since === undefined ? {} : { since: String(since) };
        const subscriber = Subscriber.ask(server.wsUrl, { symbol: ticker, types, ...more });
        await subscriber.until(`${types} is subscribed`, () => subscriber.heartbeats.length > 0);
        return subscriber;
      };
      await fill(server.url, ticker, 3);
      await fill(server.url, ticker, 3, "quote");
      await saveDays(server.url, ticker, [1, 2]);
      const filters = ["trade", "quote", "bar", "tick_delete", "bar_delete", "*"];
      filters.push("*,-trade", "*,-tick_delete", "*,-ticker_rename");
      const live = await Promise.all(filters.map((types) => ask(types)));
      const one = { ticker, end_datetime: stampOf(1) };
      await ok(server.url, "delete_ticks", { ...one, data_type: "trade" });
      await ok(front.url, "delete_ticks", { ...one, data_type: "quote" });
      await ok(server.url, "delete_ticks", { ticker, start_datetime: stampOf(3), data_type: "*" });
      await ok(server.url, "rename_ticker", { ticker, new_ticker: "TYPES 2" });
      await saveDays(server.url, ticker, [1]); // 8
      await ok(server.url, "delete_bars", { ticker, interval: "daily", all: true }); // 9
      await ok(server.url, "rename_ticker", { ticker: "TYPES 2", new_ticker: ticker }); // 10
      const isEdit = ({ data }: Frame) => /_delete$|_rename$/.test(data.type);
      const late = await Promise.all(filters.map((types) => ask(types, 3)));
      for (const subscribers of [live, late]) {
        for (const [index, types] of filters.entries()) {
          const subscriber = subscribers[index]!;
          const wanted = expectedOf(types);
          await subscriber.until(
            `${types} has all`,
            () => subscriber.updates.filter(isEdit).length >= wanted.length,
          );
          expect([types, subscriber.updates.filter(isEdit).map(({ seq }) => seq)]).toEqual([types, wanted]);
          await subscriber[Symbol.asyncDispose]();
        }
      }
    });

    test("get_updates has them as subscribers got them", async () => {
      await fill(server.url, "LOGGED", 2);
      await ok(server.url, "delete_ticks", { ticker: "LOGGED", data_type: "trade", all: true });
      for (const url of [server.url, front.url]) {
        const { updates, recovered } = await ok(url, "get_updates", { ticker: "LOGGED", since: 1 });
        expect([recovered, updates]).toEqual([
          true,
          [
            {
              symbol: "LOGGED",
              data: { type: "tick_delete", data_type: "trade", start: null, end: null, removed: 2 },
              seq: 2,
            },
          ],
        ]);
      }
    });

    test("wrong parameters are 400, and change nothing", async () => {
      await fill(server.url, "WRONG", 1);
      const ticks = { ticker: "WRONG", data_type: "trade" };
      const wrong: [string, Record<string, unknown>, string][] = [
        ["delete_ticks", { data_type: "trade", all: true }, "Missing 'ticker'"],
        ["delete_ticks", { ticker: "WRONG", all: true }, "Missing 'data_type'"],
        ["delete_ticks", ticks, '"all": true'],
        ["delete_ticks", { ...ticks, start_datetime: null, end_datetime: "" }, '"all": true'],
        ["delete_ticks", { ...ticks, all: "yes" }, "all: got"],
        ["delete_ticks", { ...ticks, all: true, end_datetime: stampOf(1) }, "one or the other"],
        ["delete_ticks", { ...ticks, end_datetime: "soon" }, "end_datetime: cannot read"],
        ["delete_ticks", { ...ticks, ids: [] }, "ids: got"],
        ["delete_ticks", { ...ticks, ids: "id-1" }, "ids: got"],
        ["delete_ticks", { ...ticks, ids: ["id-1", null] }, "ids[1]"],
        ["delete_ticks", { ...ticks, ids: new Array(10_001).fill("x") }, "10001 ids"],
        ["delete_ticks", { ...ticks, all: true, dry_run: 1 }, "dry_run: got"],
        ["delete_bars", { ticker: "WRONG", all: true }, "Missing 'interval'"],
        ["delete_bars", { ticker: "WRONG", interval: "soon", all: true }, "interval: got"],
        ["delete_bars", { ticker: "WRONG", interval: "daily" }, '"all": true'],
        ["rename_ticker", { ticker: "WRONG" }, "Missing 'new_ticker'"],
        ["rename_ticker", { ticker: "WRONG", new_ticker: "WRONG" }, "new_ticker: got"],
        ["save_realtime_data", { ...saveOf("tick_delete") }, "data_type: got"],
        ["save_realtime_data", { ...saveOf("tick_delete trade") }, "data_type: got"],
        ["save_realtime_data", { ...saveOf("bar_delete") }, "data_type: got"],
        ["save_realtime_data", { ...saveOf("ticker_rename") }, "data_type: got"],
      ];
      for (const [name, params, words] of wrong)
        expect([name, params, await command(server.url, name, params)]).toMatchObject([
          name,
          params,
          { status: 400, body: { error: expect.stringContaining(words) } },
        ]);
      expect(pricesOf(await ok(server.url, "get_realtime_data", ticks))).toEqual([1]);
    });
  });
}

/** Positions 4 … 10 of the test of types: what each filter lets through. */
function expectedOf(types: string): number[] {
  const removals = { trade: [4, 6], quote: [5, 6], bar: [9], tick_delete: [4, 5, 6], bar_delete: [9] };
  const renamings = [7, 10];
  const all = [4, 5, 6, 7, 9, 10];
  if (types === "*") return all;
  const without = /^\*,-(.*)$/.exec(types)?.[1];
  if (without === "ticker_rename") return all.filter((seq) => !renamings.includes(seq));
  // Those of every type concern the others, too.
  if (without === "trade") return all.filter((seq) => seq !== 4);
  if (without === "tick_delete") return all.filter((seq) => seq > 6);
  return [...removals[types as keyof typeof removals], ...renamings].sort((a, b) => a - b);
}

const saveOf = (type: string) => ({
  ticker: "WRONG",
  data_type: type,
  index_col: "timestamp",
  data: [{ timestamp: stampOf(1), price: 1, size: 1 }],
});

test("a read-only server refuses them", async () => {
  await using server = await startServer({ flags: ["--read-only"] });
  for (const [name, params] of [
    ["delete_ticks", { ticker: "A", data_type: "trade", all: true }],
    ["delete_bars", { ticker: "A", interval: "daily", all: true, dry_run: true }],
    ["rename_ticker", { ticker: "A", new_ticker: "B" }],
  ] as const)
    expect(await command(server.url, name, params)).toMatchObject({
      status: 403,
      body: { error: expect.stringContaining("--read-only") },
    });
});
