/** Normalized frames: one shape, whoever wrote the records; one heartbeat a socket; batches. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { NormalizedSubscriber } from "../support/normalized-subscriber.ts";
import { command, type Json, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf, untilReady } from "../support/server-processes.ts";
import { Subscriber } from "../support/subscriber.ts";

setDefaultTimeout(240_000);

async function ok(server: RunningServer, name: string, params: Record<string, unknown>): Promise<Json> {
  const { status, body } = await command(server.url, name, params);
  expect({ status, error: body?.error }).toEqual({ status: 200, error: undefined });
  return body;
}

const T = "2024-01-02T14:30:00.123456Z";

test("names, stamps and types of normalized frames don't depend on who wrote them", async () => {
  await using server = await startServer({ workers: 2 });
  await using seen = new NormalizedSubscriber({ url: server.url, symbols: ["N"] });
  await seen.until("it is subscribed", () => seen.positions.has("N"));
  const ticks = (data: object[], more: object = {}) =>
    ok(server, "save_realtime_data", {
      ticker: "N",
      data_type: "trade",
      index_col: "timestamp",
      data,
      ...more,
    });
  const bars = (data: object[], more: object = {}) =>
    ok(server, "save_stock_data", { ticker: "N", index_col: "date", data, ...more });
  const saves: (() => Promise<unknown>)[] = [
    () =>
      ticks([{ TS: 1704205800123456, Price: "1.5", SIZE: 2, Venue: "X", trade_id: 9 }], { index_col: "TS" }),
    () =>
      ticks([{ timestamp: "2024-01-02 09:30:00.123456-05:00", price: 1.5, size: 3, ref: "a", i: "b" }], {
        id_col: "ref",
      }),
    () => ticks([{ timestamp: T, price: 10, size: 1, ask_price: 11, ask_size: 2 }], { data_type: "quote" }),
    () =>
      ticks([{ timestamp: T, bid_price: 10, bid_size: "9007199254740993", ask_price: null }], {
        data_type: "quote",
      }),
    () => ticks([{ timestamp: T, price: 1, size: null }], { data_type: "heartbeats" }),
    () => bars([{ Date: "2024-01-02", Open: 1, close: "2", note: "n" }], { index_col: "Date" }),
    () => bars([{ day: "2024-01-02T00:00:00", high: 3 }], { index_col: "day" }),
    () => bars([{ date: "2024-01-02T15:00:00Z", low: 3 }], { interval: "hourly" }),
    () => bigBar(server),
    () =>
      ok(server, "save_options_data", {
        ticker: "N",
        data: [{ option_ticker: "O:N", expiration: "2024-06-21", strike: 5, type: "C", timestamp: T }],
      }),
    () =>
      ok(server, "save_financial_info", {
        ticker: "N",
        financial_data: { date: "2024-01-02", Market_Cap: 5 },
      }),
    () =>
      ok(server, "save_corporate_actions", {
        ticker: "N",
        data: [{ Ex_Date: "2024-01-03", type: "split", ratio: "7:1" }],
      }),
    () => ok(server, "delete_ticks", { ticker: "N", data_type: "quote", all: true }),
    () => ok(server, "delete_bars", { ticker: "N", interval: "daily", start_date: "2024-01-02" }),
    () => ok(server, "rename_ticker", { ticker: "N", new_ticker: "NEW" }),
  ];
  for (const [index, save] of saves.entries()) {
    await save();
    await waitUntil("it is told", () => seen.updates.length > index);
  }
  const told = seen.updates.map(({ ticker, position, epoch, ...rest }) => {
    expect({ ticker, epoch }).toEqual({ ticker: "N", epoch: seen.epoch! });
    return rest;
  });
  expect(seen.updates.map(({ position }) => position)).toEqual(saves.map((_, index) => index + 1));
  const day = "2024-01-02T00:00:00.000000Z";
  expect(told as unknown[]).toEqual([
    { type: "trade", records: [{ timestamp: T, price: 1.5, size: 2, id: "9", extra: { venue: "X" } }] },
    { type: "trade", records: [{ timestamp: T, price: 1.5, size: 3, id: "a", extra: { i: "b" } }] },
    { type: "quote", records: [{ timestamp: T, bid_price: 10, bid_size: 1, ask_price: 11, ask_size: 2 }] },
    {
      type: "quote",
      records: [{ timestamp: T, bid_price: 10, bid_size: 9007199254740992, ask_price: null, ask_size: null }],
    },
    { type: "tick", data_type: "heartbeats", records: [{ timestamp: T, price: 1, size: null }] },
    {
      type: "bar",
      interval: "daily",
      records: [{ timestamp: day, open: 1, close: 2, extra: { note: "n" } }],
    },
    { type: "bar", interval: "daily", records: [{ timestamp: day, high: 3 }] },
    { type: "bar", interval: "hourly", records: [{ timestamp: "2024-01-02T15:00:00.000000Z", low: 3 }] },
    {
      type: "bar",
      interval: "5min",
      records: [{ timestamp: "2024-01-02T14:30:00.000000Z", close: 4, volume: 9007199254740992, vwap: 4.5 }],
    },
    {
      type: "option",
      records: [
        {
          option_ticker: "O:N",
          timestamp: T,
          expiration_date: "2024-06-21T00:00:00.000000Z",
          strike_price: 5,
          option_type: "call",
        },
      ],
    },
    { type: "financial", records: [{ date: day, market_cap: 5 }] },
    {
      type: "corporate_action",
      records: [{ ex_date: "2024-01-03T00:00:00.000000Z", type: "split", ratio: 7, seq: 0 }],
    },
    { type: "tick_delete", data_type: "quote", start: null, end: null, removed: 2 },
    { type: "bar_delete", interval: "daily", start: day, end: null, removed: 1 },
    { type: "ticker_rename", old: "N", new: "NEW", renamed: 8 },
  ]);
  expect(seen.faults).toEqual([]);
  // Integers have all their digits, which JSON.parse rounds.
  for (const exact of ['"volume":9007199254740993,'])
    expect(seen.texts.filter((text) => text.includes(exact)).length).toBe(1);

  // A snapshot, what was missed, and why not all is told.
  await ok(server, "save_realtime_data", {
    ticker: "M",
    data_type: "trade",
    index_col: "t",
    data: [{ t: T, price: 2, size: 1 }],
  });
  await ok(server, "save_stock_data", { ticker: "M", index_col: "d", data: [{ d: "2024-01-02", close: 5 }] });
  await using fresh = new NormalizedSubscriber({ url: server.url, symbols: ["M"] });
  const snapshot = await fresh.until("a snapshot", () => fresh.ofType("snapshot")[0]);
  expect(snapshot).toMatchObject({
    ...{ type: "snapshot", ticker: "M", position: 2, quote: null },
    trade: { timestamp: T, price: 2, size: 1 },
    bars: { daily: { timestamp: day, close: 5 } },
  });
  await using back = new NormalizedSubscriber({ url: server.url, symbols: ["M"], query: { since: "M:1" } });
  await back.until("the bar", () => back.updates[0]);
  expect(back.ofType("recovery")).toMatchObject([
    { ticker: "M", position: 1, recovered: true, from: 2, to: 2 },
  ]);
  await using ahead = new NormalizedSubscriber({ url: server.url, symbols: ["M"], query: { since: "M:9" } });
  const refused = await ahead.until("why not", () => ahead.ofType("recovery")[0]);
  expect(refused).toMatchObject({
    recovered: false,
    code: "position_ahead",
    position: 2,
    snapshot: { quote: null },
  });
});

async function bigBar(server: RunningServer): Promise<void> {
  const body =
    '{"command":"save_stock_data","params":{"ticker":"N","index_col":"datetime","interval":"5m",' +
    '"data":[{"datetime":1704205800,"close":4,"vwap":4.5,"volume":9007199254740993}]}}';
  const answer = await fetch(`${server.url}/db_command`, {
    method: "POST",
    body,
    headers: { "content-type": "application/json" },
  });
  expect(answer.status).toBe(200);
}

test("the frames as they were are the default, beside normalized ones of the same ticker", async () => {
  await using server = await startServer({ workers: 2 });
  await using sent = await Subscriber.open(server.wsUrl, "X");
  await using also = await Subscriber.open(server.wsUrl, "X");
  await using seen = new NormalizedSubscriber({ url: server.url, symbols: ["X"] });
  await seen.until("it is subscribed", () => seen.positions.has("X"));
  for (let price = 1; price <= 30; price++) await saveTrade(server.url, "X", price);
  for (const each of [sent, also]) {
    await waitUntil("all came", () => each.updates.length === 30);
    expect(each.prices).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    expect(each.faults).toEqual([]);
  }
  await waitUntil("all came", () => seen.updates.length === 30);
  expect(seen.updates.map(({ records }) => records[0].price)).toEqual(sent.prices);
});

test("one heartbeat a socket names what moved, and every ticker once; nothing is missed over kills of workers and hub", async () => {
  await using server = await startServer({ workers: 2, flags: ["--heartbeat-interval", "0.2"] });
  const symbols = Array.from({ length: 300 }, (_, i) => `H${i}`);
  await saveTrade(server.url, "H7", 1);
  await using idle = new NormalizedSubscriber({ url: server.url, symbols, query: { batch: "true" } });
  await using sent = Subscriber.ask(server.wsUrl, {
    symbols: symbols.join(","),
    heartbeat: "socket",
    snapshot: "false",
  });
  const named = (): string[] => idle.ofType("heartbeat").flatMap(({ positions }) => Object.keys(positions));
  await idle.until("each is named", () => new Set(named()).size === 300);
  // Once is enough: nothing moved meanwhile.
  expect(named().length).toBe(300);
  await sent.until("each is named", () => sent.positions.size === 300);
  const before = idle.ofType("heartbeat").length;
  await idle.until("ten heartbeats", () => idle.ofType("heartbeat").length >= before + 10);
  // Nothing moves: they are empty.
  expect(
    idle
      .ofType("heartbeat")
      .slice(-10)
      .every(({ positions }) => Object.keys(positions).length === 0),
  ).toBe(true);
  expect(sent.heartbeats.every(({ symbol }) => symbol === "*")).toBe(true);

  let price = 1;
  let isOver = false;
  const saving = (async () => {
    while (!isOver) {
      price++;
      await Promise.all([7, 8, 9].map((i) => saveTrade(server.url, `H${i}`, price).catch(() => null)));
    }
  })();
  for (const victim of ["worker", "hub", "worker"] as const) {
    const goal = idle.updates.length + 60;
    await idle.until("updates come", () => idle.updates.length >= goal);
    const { workers, hub } = processesOf(server);
    process.kill(victim === "hub" ? hub : workers[0]!, "SIGKILL");
    await untilReady(server);
  }
  const goal = idle.updates.length + 60;
  await idle.until("updates come", () => idle.updates.length >= goal);
  isOver = true;
  await saving;
  const { body } = await command(server.url, "get_positions", { tickers: ["H7", "H8", "H9"] });
  for (const [ticker, position] of Object.entries(body.positions ?? body.data)) {
    await idle.until("the last update", () => idle.positions.get(ticker) === position);
    const told = idle.updates.filter((frame) => frame.ticker === ticker).map((frame) => frame.position);
    expect(new Set(told).size).toBe(told.length);
  }
  expect(idle.faults).toEqual([]);
});

test("batch: what is due at once is one message, in order, and a message of one frame is that frame", async () => {
  await using server = await startServer({ workers: 2 });
  const symbols = Array.from({ length: 50 }, (_, i) => `B${i}`);
  await using batched = new NormalizedSubscriber({ url: server.url, symbols, query: { batch: "true" } });
  await using plain = new NormalizedSubscriber({ url: server.url, symbols });
  for (const each of [batched, plain]) await each.until("each is named", () => each.positions.size === 50);
  for (let round = 1; round <= 20; round++)
    await Promise.all(symbols.map((symbol) => saveTrade(server.url, symbol, round)));
  for (const each of [batched, plain]) {
    await each.until("all came", () => each.updates.length === 1_000);
    expect(each.faults).toEqual([]);
    for (const symbol of symbols)
      expect(each.updates.filter(({ ticker }) => ticker === symbol).map(({ position }) => position)).toEqual(
        Array.from({ length: 20 }, (_, i) => i + 1),
      );
  }
  expect(Math.max(...plain.messages)).toBe(1);
  expect(Math.max(...batched.messages)).toBeGreaterThan(1);
  expect(batched.messages.length).toBeLessThan(plain.messages.length);
});

test("how frames are told is a matter of the whole socket, said with its first subscription", async () => {
  await using server = await startServer();
  await using subscriber = Subscriber.ask(server.wsUrl, { symbols: "" });
  await subscriber.until("it is open", () => subscriber.frames.length > 0);
  const ask = (more: object) => subscriber.subscribe(["A"], more);
  ask({ frames: "tidy" });
  ask({ frames: "normalized", heartbeat: "ticker" });
  ask({ batch: "yes" });
  ask({ frames: "normalized" });
  await subscriber.until("it is subscribed", () =>
    subscriber.frames.some(({ type }) => type === "heartbeat"),
  );
  ask({ frames: "sent" });
  await subscriber.until("four errors", () => subscriber.errors.length === 4);
  expect(subscriber.frames.flatMap(({ error }) => error ?? [])).toEqual([
    'frames: got "tidy", expected sent or normalized',
    'heartbeat: got "ticker" with normalized frames, expected "socket"',
    'batch: got "yes", expected true or false',
    "frames, heartbeat, batch: got others than those of the subscriptions before, expected them with the first",
  ]);
});

test("a replay tells normalized frames too", async () => {
  await using server = await startServer();
  await ok(server, "save_realtime_data", {
    ticker: "R",
    data_type: "trade",
    index_col: "t",
    data: [{ t: T, price: 2, size: 1 }],
  });
  await ok(server, "save_stock_data", { ticker: "R", index_col: "d", data: [{ d: "2024-01-02", close: 5 }] });
  const frames: Json[] = [];
  const query = "symbols=R&types=trade,bar&speed=max&frames=normalized";
  const socket = new WebSocket(`${server.wsUrl}/ws/replay?${query}`);
  socket.onmessage = ({ data }) => frames.push(JSON.parse(String(data)));
  await waitUntil("it is over", () => frames.some(({ type }) => type === "replay_end"));
  const at = { ticker: "R", position: null, epoch: null };
  expect(frames.filter(({ type }) => type !== "heartbeat")).toMatchObject([
    { type: "trade", ...at, records: [{ timestamp: T, price: 2, size: 1 }] },
    {
      type: "bar",
      ...at,
      interval: "daily",
      records: [{ timestamp: "2024-01-02T00:00:00.000000Z", close: 5 }],
    },
    { type: "replay_end", ...at, updates: 2 },
  ]);
});
