/**
 * Live bars: whatever happens to trades, workers and the hub, what subscribers of all workers were
 * told last of each bar is what the stored trades make of it.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { BarBuilder } from "../../src/analysis/bar-builder.ts";
import { openGrid } from "../../src/calendar/open-grid.ts";
import { parseTimeframe } from "../../src/calendar/timeframe.ts";
import { microsOfStamp } from "../../src/market/stamp-micros.ts";
import { type NormalizedFrame, NormalizedSubscriber } from "../support/normalized-subscriber.ts";
import { usePostgres } from "../support/postgres.ts";
import { randomNumbers } from "../support/random.ts";
import { command, get, type Json } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf, untilReady } from "../support/server-processes.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(300_000);

const postgres = usePostgres();

interface Bar {
  timestamp: string;
  open: number | null;
  high: number | null;
  low: number | null;
  close: number | null;
  volume: number | null;
  vwap: number | null;
  trade_count: number;
}

function save(server: RunningServer, data: object[], more: object = {}): Promise<Json> {
  const params = { ticker: "T", data_type: "trade", index_col: "timestamp", data, ...more };
  return command(server.url, "save_realtime_data", params);
}

function at(ms: number): string {
  return new Date(ms).toISOString();
}

/** What the kernel of bars makes of the stored trades, by the start of each bar. */
async function computed(
  server: RunningServer,
  timeframe: string,
): Promise<Map<string, Omit<Bar, "timestamp">>> {
  const { body } = await command(server.url, "get_realtime_data", { ticker: "T", data_type: "trade" });
  const rows = (body.data ?? []) as { timestamp: string; price: number; size: number }[];
  const builder = new BarBuilder(openGrid({ timeframe: parseTimeframe(timeframe) }));
  builder.addTrades({
    micros: Float64Array.from(rows, ({ timestamp }) => microsOfStamp(timestamp)),
    prices: Float64Array.from(rows, ({ price }) => price),
    sizes: { values: Float64Array.from(rows, ({ size }) => size), wide: null },
    counts: null,
  });
  builder.close();
  const bars = builder.take();
  return new Map(
    Array.from({ length: bars.rows }, (_, row) => {
      const { start, open, high, low, close, volume, vwap, count } = bars.at(row);
      return [at(start / 1_000), { open, high, low, close, volume, vwap, trade_count: count }];
    }),
  );
}

const CLOSED: ReadonlySet<string> = new Set(["bars", "updated_bars"]);

/** What a client that keeps the newest version of each bar has. */
function told(frames: readonly NormalizedFrame[], timeframe: string): Map<string, Omit<Bar, "timestamp">> {
  const state = new Map<string, Omit<Bar, "timestamp">>();
  for (const frame of frames) {
    if (!CLOSED.has(frame.type) || frame.timeframe !== timeframe) continue;
    for (const { timestamp, end: _, ...bar } of frame.records)
      if (bar.trade_count === 0) state.delete(at(Date.parse(timestamp)));
      else state.set(at(Date.parse(timestamp)), bar);
  }
  return state;
}

function bars(server: RunningServer, query: Record<string, string>, symbols = ["T"]): NormalizedSubscriber {
  return new NormalizedSubscriber({ url: server.url, symbols, query });
}

async function subscribed(subscriber: NormalizedSubscriber): Promise<void> {
  await subscriber.until("it is subscribed", () => subscriber.positions.has("T"));
}

/** Trades that come, come late, are corrected and removed, until `isOver`. */
async function trade(server: RunningServer, seed: number, isOver: () => boolean): Promise<void> {
  const random = randomNumbers(seed);
  const known: { id: string; timestamp: string }[] = [];
  for (let i = 1; !isOver(); i++) {
    const what = random();
    const now = Date.now();
    const price = 100 + Math.floor(random() * 1_000) / 100;
    const size = 1 + Math.floor(random() * 500);
    const old = known[Math.floor(random() * known.length)];
    try {
      if (what < 0.7 || old === undefined) {
        const lateMs = what < 0.15 ? random() * 6_000 : 0;
        const fresh = { id: `${seed}-${i}`, timestamp: at(now - lateMs) };
        const { status } = await save(server, [{ ...fresh, price, size }]);
        if (status === 200) known.push(fresh);
      } else if (what < 0.9) await save(server, [{ ...old, price, size }]);
      else if (what < 0.95) {
        // The bounds tell which bars it concerns.
        const bounds = { start_datetime: old.timestamp, end_datetime: old.timestamp };
        await command(server.url, "delete_ticks", {
          ticker: "T",
          data_type: "trade",
          ids: [old.id],
          ...bounds,
        });
      } else {
        const from = now - 1_000 - random() * 4_000;
        const range = { start_datetime: at(from), end_datetime: at(from + 400) };
        await command(server.url, "delete_ticks", { ticker: "T", data_type: "trade", ...range });
      }
    } catch {
      // The connection's worker was killed.
    }
    await Bun.sleep(random() * 40);
  }
}

async function expectSettled(
  server: RunningServer,
  all: readonly NormalizedSubscriber[],
  since: number,
): Promise<void> {
  for (const timeframe of ["1s", "2s"]) {
    const expected = await computed(server, timeframe);
    for (const each of all) {
      const wrong = (): string[] => {
        const state = told(each.frames, timeframe);
        const wanted = [...expected.keys()].filter((start) => Date.parse(start) >= since);
        return [...new Set([...state.keys(), ...wanted])].filter(
          (start) => !Bun.deepEquals(state.get(start), expected.get(start)),
        );
      };
      await waitUntil(`every ${timeframe} bar is told as it is stored`, () => wrong().length === 0).catch(
        () => {
          const [start] = wrong();
          const history = each.frames.filter((frame) =>
            frame.records?.[0]?.timestamp?.startsWith(start!.slice(0, 19)),
          );
          expect({ wrong: wrong(), told: history, stored: expected.get(start!) }).toEqual({
            wrong: [],
            told: [],
            stored: undefined,
          });
        },
      );
      expect(each.ofType("bars_gap")).toEqual([]);
    }
  }
}

/** A bar is a function of the stored trades up to a position: nobody was told another one. */
function expectOneVersionAPosition(all: readonly NormalizedSubscriber[]): number {
  const versions = new Map<string, string>();
  let same = 0;
  for (const frame of all.flatMap(({ frames }) => frames)) {
    if (!CLOSED.has(frame.type)) continue;
    for (const record of frame.records) {
      const key = `${frame.epoch} ${frame.timeframe} ${record.timestamp} ${frame.position}`;
      const text = JSON.stringify(record);
      if (versions.has(key)) same++;
      expect(`${key} ${versions.get(key) ?? text}`).toBe(`${key} ${text}`);
      versions.set(key, text);
    }
  }
  return same;
}

for (const engine of ["SQLite", "DuckDB", "PostgreSQL"] as const) {
  test(`${engine}: random trades, late ones, corrections and deletions, over kills of workers and the hub`, async () => {
    using dir = tempDir();
    const dbFile =
      engine === "PostgreSQL"
        ? await postgres.freshSchema()
        : join(dir.path, engine === "DuckDB" ? "bars.duckdb" : "bars.db");
    await using server = await startServer({ workers: 2, dbFile, flags: ["--heartbeat-interval", "0.2"] });
    await using stack = new AsyncDisposableStack();
    const all = [
      ...Array.from({ length: 4 }, () => bars(server, { bars: "1s,2s", types: "trade", snapshot: "false" })),
      new NormalizedSubscriber({ url: server.url, symbols: ["T"], query: { bars: "1s,2s" }, isStream: true }),
    ];
    for (const each of all) stack.use(each);
    for (const each of all) await subscribed(each);
    const since = Date.now() + 1_000;
    let isOver = false;
    const trading = Promise.all([1, 2, 3].map((seed) => trade(server, seed, () => isOver)));
    const victims = engine === "SQLite" ? ["worker", "hub", "cut", "worker"] : ["cut", "worker"];
    for (const victim of victims) {
      const goal = all[0]!.ofType("bars").length + 3;
      await waitUntil("bars are told", () => all[0]!.ofType("bars").length >= goal);
      if (victim === "cut") for (const each of all.slice(1, 3)) each.cut();
      else {
        const { workers, hub } = processesOf(server);
        process.kill(victim === "hub" ? hub : workers[0]!, "SIGKILL");
        await untilReady(server);
      }
    }
    const goal = all[0]!.ofType("bars").length + 3;
    await waitUntil("bars are told", () => all[0]!.ofType("bars").length >= goal);
    isOver = true;
    await trading;
    await expectSettled(server, all, since);
    expect(expectOneVersionAPosition(all)).toBeGreaterThan(0);
    expect(all.flatMap((each) => each.ofType("updated_bars")).length).toBeGreaterThan(0);
    for (const each of all) expect(each.faults.filter((fault) => !fault.includes("came after"))).toEqual([]);
  });
}

test("closed by the clock, empty ones on request, the running one at its interval, and a late trade corrects", async () => {
  await using server = await startServer({ workers: 2, flags: ["--heartbeat-interval", "0.2"] });
  await using plain = bars(server, { bars: "1s" });
  await using empty = bars(server, { bars: "1Sec", empty_bars: "true", partial: "100ms" });
  for (const each of [plain, empty]) await subscribed(each);
  await waitUntil("empty bars close", () => empty.ofType("bars").length >= 2);
  expect(plain.ofType("bars")).toEqual([]);
  expect(empty.ofType("bars")[0]!.records).toMatchObject([{ open: null, volume: 0, trade_count: 0 }]);
  // Alone in its second.
  const now = Date.now();
  const start = Math.ceil(now / 1_000) * 1_000;
  await Bun.sleep(start - now + 50);
  await save(server, [{ timestamp: at(start + 10), price: 5, size: 2 }]);
  const stamp = at(start).replace("Z", "000Z");
  const of = (each: NormalizedSubscriber, type: string) =>
    each.ofType(type).filter(({ records }) => records[0].timestamp === stamp);
  await waitUntil("the running bar is told", () => of(empty, "partial_bars").length > 0);
  expect(of(plain, "bars")).toEqual([]);
  const bar = {
    timestamp: stamp,
    end: at(start + 1_000).replace("Z", "000Z"),
    open: 5,
    high: 5,
    low: 5,
    close: 5,
  };
  for (const each of [plain, empty]) {
    const [closed] = await waitUntil(
      "it closes without another trade",
      () => of(each, "bars").length > 0 && of(each, "bars"),
    );
    expect(closed as unknown).toEqual({
      ...{ type: "bars", ticker: "T", position: 1, epoch: each.epoch!, timeframe: "1s" },
      records: [{ ...bar, volume: 2, vwap: 5, trade_count: 1 }],
    });
    // The end of the bar, and the grace.
    expect(Date.now()).toBeGreaterThanOrEqual(start + 2_000);
  }
  await save(server, [{ timestamp: at(start + 5), price: 7, size: 2 }]);
  for (const each of [plain, empty]) {
    const [changed] = await waitUntil(
      "it is corrected",
      () => of(each, "updated_bars").length > 0 && of(each, "updated_bars"),
    );
    expect(changed).toMatchObject({
      position: 2,
      records: [{ ...bar, open: 7, high: 7, volume: 4, vwap: 6, trade_count: 2 }],
    });
  }
  // What changes nothing of it isn't told.
  await save(server, [{ timestamp: at(start - 60_000), price: 1, size: 1 }]);
  await waitUntil("an older one changes", () => plain.ofType("updated_bars").length === 2);
  expect(plain.ofType("updated_bars")[1]).toMatchObject({
    position: 3,
    records: [{ timestamp: at(start - 60_000).replace("Z", "000Z"), trade_count: 1 }],
  });
  // All of its trades are gone.
  const bounds = { start_datetime: at(start), end_datetime: at(start + 999) };
  await command(server.url, "delete_ticks", { ticker: "T", data_type: "trade", ...bounds });
  for (const each of [plain, empty]) {
    const gone = await waitUntil(
      "it is empty",
      () => of(each, "updated_bars").length > 1 && of(each, "updated_bars").at(-1),
    );
    expect(gone).toMatchObject({
      position: 4,
      records: [{ open: null, close: null, volume: 0, trade_count: 0 }],
    });
  }
  for (const each of [plain, empty]) expect(each.ofType("bars_gap")).toEqual([]);
});

test("who comes back is told what closed and what changed meanwhile; what can't be told is a gap", async () => {
  await using server = await startServer({ workers: 2 });
  await save(server, [{ timestamp: at(Date.now()), price: 1, size: 1 }]);
  const { body } = await command(server.url, "get_positions", { tickers: ["T"] });
  const first = Date.now();
  await save(server, [{ timestamp: at(first), price: 2, size: 1 }]);
  await save(server, [{ timestamp: at(first - 3_600_000), price: 3, size: 1 }]);
  await Bun.sleep(2_500);
  await using back = bars(server, { bars: "1s", since: "T:1", epoch: body.epoch });
  await waitUntil(
    "both are told",
    () => back.ofType("bars").length > 0 && back.ofType("updated_bars").length > 0,
  );
  const state = told(back.frames, "1s");
  expect(state).toEqual(await computed(server, "1s"));

  const gapOf = async (query: Record<string, string>): Promise<NormalizedFrame> => {
    await using each = bars(server, { bars: "1s", ...query });
    return await waitUntil("a gap is told", () => each.ofType("bars_gap")[0]);
  };
  expect(await gapOf({ since: "T:1", epoch: "other" })).toMatchObject({
    start: null,
    reason: "epoch_changed",
  });
  await using live = bars(server, { bars: "1s" });
  await subscribed(live);
  await save(server, [{ timestamp: at(first), price: 9, size: 1, id: "x" }]);
  await waitUntil("it is told", () => live.ofType("updated_bars").length === 1);
  // Nobody knows which bars a trade of an id was in, but for those that are remembered.
  await command(server.url, "delete_ticks", { ticker: "T", data_type: "trade", ids: ["x"] });
  await waitUntil("the bar is told again", () => live.ofType("updated_bars").length === 2);
  expect(live.ofType("bars_gap")).toMatchObject([{ start: null, reason: "not_told", timeframe: "1s" }]);
  expect(told(live.frames, "1s").get(at(Math.floor(first / 1_000) * 1_000))).toMatchObject({ close: 2 });
});

test("who comes back is told that a bar has lost all of its trades", async () => {
  await using server = await startServer({ workers: 2 });
  const start = Math.floor(Date.now() / 1_000) * 1_000 - 10_000;
  await save(server, [{ timestamp: at(start), price: 2, size: 1 }]);
  await save(server, [{ timestamp: at(start + 2_000), price: 3, size: 1 }]);
  const { body } = await command(server.url, "get_positions", { tickers: ["T"] });
  const since = { since: `T:${body.positions.T}`, epoch: body.epoch };
  for (const from of [start, start + 2_000]) {
    const bounds = { start_datetime: at(from), end_datetime: at(from + 999) };
    await command(server.url, "delete_ticks", { ticker: "T", data_type: "trade", ...bounds });
  }
  await using back = bars(server, { bars: "1s", ...since });
  const gone = await waitUntil("both are told", () => {
    const found = back.ofType("updated_bars").map(({ records: [record] }) => record);
    return found.length === 2 && found;
  });
  expect(gone.map(({ timestamp, trade_count }) => [Date.parse(timestamp), trade_count])).toEqual([
    [start, 0],
    [start + 2_000, 0],
  ]);
});

test("who had nothing of a ticker yet is told all of its bars when he comes back", async () => {
  await using server = await startServer();
  const now = Math.floor(Date.now() / 1_000) * 1_000;
  for (let n = 0; n < 10; n++)
    await save(server, [{ id: `${n}`, timestamp: at(now - 20_000 + n * 1_000), price: 1 + n, size: 1 }]);
  await using again = bars(server, { bars: "1s", since: "T:0" });
  await again.until("the bars before are told", () => told(again.frames, "1s").size >= 10);
  expect(again.ofType("bars_gap")).toEqual([]);
});

test("bars are asked for by message too, beside types or alone, of quotes, and with what can't be they are refused", async () => {
  await using server = await startServer({ workers: 1 });
  const frames: Json[] = [];
  const socket = new WebSocket(`${server.wsUrl}/ws?symbols=`);
  socket.onmessage = ({ data }) => frames.push(JSON.parse(String(data)));
  await waitUntil("it is open", () => frames.length > 0);
  const ask = async (message: object): Promise<Json> => {
    const before = frames.length;
    socket.send(JSON.stringify(message));
    return waitUntil("it is answered", () =>
      frames.slice(before).find(({ type }) => type === "subscription" || type === "error"),
    );
  };
  const refused = async (more: object) => (await ask({ action: "subscribe", symbols: ["T"], ...more })).error;
  expect(await refused({ bars: "1Parsec" })).toContain('bars: got "1Parsec"');
  expect(await refused({ bars: [] })).toContain("bars: got []");
  expect(await refused({ bars: "1Min", partial: "1ms" })).toContain('partial: got "1ms"');
  expect(await refused({ bars: "1Min", calendar: "MOON" })).toContain('calendar: got "MOON"');
  expect(await refused({ bars: "1Min", source: "tea" })).toContain('source: got "tea"');
  expect(await refused({ partial: "1s" })).toContain('partial: expected "bars" beside it');
  expect(await refused({ symbols: ["*"], bars: "1Min" })).toContain('bars: got them for "*"');
  const many = Array.from({ length: 6 }, (_, i) => `${i + 1}Min`);
  const list = await ask({
    action: "subscribe",
    symbols: ["T"],
    bars: many,
    calendar: "XNYS",
    session: "extended",
  });
  expect(list.subscriptions).toEqual([
    { symbol: "T", types: [], bars: many.map((name) => name.replace("Min", "min")) },
  ]);
  expect(await refused({ bars: many })).toContain("expected at most 10");
  const beside = await ask({
    action: "subscribe",
    symbols: ["T"],
    types: ["trade"],
    bars: "1s",
    source: "quotes",
  });
  expect(beside.subscriptions[0]).toMatchObject({
    types: ["trade"],
    bars: [...list.subscriptions[0].bars, "1s"],
  });
  const fewer = await ask({ action: "unsubscribe", symbols: ["T"], bars: many });
  expect(fewer.subscriptions).toEqual([{ symbol: "T", types: ["trade"], bars: ["1s"] }]);
  const alone = await ask({ action: "unsubscribe", symbols: ["T"], types: ["trade"] });
  expect(alone.subscriptions).toEqual([{ symbol: "T", types: [], bars: ["1s"] }]);
  const quote = { timestamp: at(Date.now()), bid_price: 10, bid_size: 1, ask_price: 12, ask_size: 1 };
  await save(server, [quote], { data_type: "quote" });
  const bar = await waitUntil("a bar of quotes", () => frames.find(({ type }) => type === "bars"));
  expect(bar).toMatchObject({
    source: "quotes",
    records: [{ open: 11, close: 11, volume: null, trade_count: 1 }],
  });
  const none = await ask({ action: "unsubscribe", symbols: ["T"] });
  expect(none.subscriptions).toEqual([]);
  socket.close();
});

test("clients that come and go leave nothing behind, however they leave", async () => {
  await using server = await startServer({ workers: 1 });
  const figures = async (): Promise<Json> => (await get(`${server.url}/stats/performance`)).body.worker;
  const symbols = Array.from({ length: 20 }, (_, i) => `L${i}`);
  for (let round = 0; round < 3; round++) {
    const clients = [1, 2, 3, 4].map(
      (each) =>
        new NormalizedSubscriber({
          ...{ url: server.url, symbols, isStream: each === 4 },
          query: { bars: each === 1 ? "1s" : "1s,1Min", since: "L0:1", partial: "1s", source: "quotes" },
        }),
    );
    await waitUntil("all is watched", async () => {
      const { liveBars, subscribers } = await figures();
      return liveBars === 40 && subscribers === 4;
    });
    // Some while they begin, some later.
    if (round > 0) await Bun.sleep(500);
    for (const each of clients) await each[Symbol.asyncDispose]();
    await waitUntil("nothing is left", async () => {
      const { liveBars, subscribers, subscriptions, tickersWatched } = await figures();
      return liveBars + subscribers + subscriptions + tickersWatched === 0;
    });
  }
});
