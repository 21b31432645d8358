/** The streams of Alpaca's market data, frame by frame, over a server of two workers. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { AlpacaStream } from "../support/alpaca-stream.ts";
import { RawWebSocket } from "../support/raw-web-socket.ts";
import { command, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { until } from "../support/until.ts";
import { encodeFrame, OPCODE } from "../support/web-socket-frames.ts";

const CHANNELS = ["trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "imbalances"];
const NOTHING = Object.fromEntries([...CHANNELS, "corrections", "cancelErrors"].map((name) => [name, []]));
const BAR = { open: 1, high: 3, low: 0.5, close: 2, volume: 100 };

let server: RunningServer;
let url: string;

beforeAll(async () => {
  server = await startServer({
    workers: 2,
    flags: ["--ws-symbols-max", "100", "--ws-connections-per-address", "50", "--ws-queue-kb", "64"],
  });
  url = `${server.wsUrl}/v2/sip`;
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function saveBar(ticker: string, interval: string, bar: Record<string, unknown>): Promise<void> {
  const index = "date" in bar ? "date" : "datetime";
  const answer = await command(server.url, "save_stock_data", {
    ...{ ticker, interval, index_col: index, data: [{ ...BAR, ...bar }] },
  });
  expect(answer.status).toBe(200);
}

describe.each(["msgpack", "json"] as const)("in %s", (codec) => {
  test("greets, lets in and acknowledges, each alone in its frame", async () => {
    using stream = await AlpacaStream.open(url, { codec });
    stream.send({ action: "auth", key: "k", secret: "s" });
    stream.send({ action: "subscribe", trades: ["A1"], bars: ["*"], statuses: ["A1"] });
    stream.send({ action: "subscribe", trades: ["A1", "A2"], quotes: [] });
    stream.send({ action: "unsubscribe", trades: ["A1"], statuses: ["A1"] });
    await until(() => stream.frames.length === 5);
    const first = { ...NOTHING, T: "subscription", bars: ["*"] };
    expect(stream.frames).toEqual([
      [{ T: "success", msg: "connected" }],
      [{ T: "success", msg: "authenticated" }],
      [{ ...first, trades: ["A1"], statuses: ["A1"], corrections: ["A1"], cancelErrors: ["A1"] }],
      [
        {
          ...first,
          ...{ trades: ["A1", "A2"], statuses: ["A1"] },
          ...{ corrections: ["A1", "A2"], cancelErrors: ["A1", "A2"] },
        },
      ],
      [{ ...first, trades: ["A2"], corrections: ["A2"], cancelErrors: ["A2"] }],
    ]);
  });

  test("tells trades, quotes and bars as they are saved", async () => {
    const ticker = `T-${codec}`;
    const names = [ticker];
    const minute = (after: number): string =>
      new Date((Math.floor(Date.now() / 60_000) + after) * 60_000).toISOString().replace(".000Z", "Z");
    const [before, first, second] = [minute(-1), minute(0), minute(1)];
    // Somebody stores bars as they end, so none are made of its trades.
    await saveBar(ticker, "1min", { datetime: before });
    using stream = await AlpacaStream.subscribed(
      url,
      { trades: names, quotes: names, bars: names, updatedBars: names, dailyBars: names },
      { codec },
    );
    const stamp = first.replace("Z", ".123456Z");
    const save = (type: string, index: string, data: unknown[]) =>
      command(server.url, "save_realtime_data", { ticker, data_type: type, index_col: index, data });
    await save("trade", "at", [
      { at: stamp, price: 1.5, size: 10, id: "96921", x: "D", c: ["@", "I"], z: "C" },
      { at: stamp, price: 2, size: 3 },
    ]);
    await save("index", "timestamp", [{ timestamp: stamp, price: 1, size: 1 }]);
    await save("quote", "timestamp", [
      { timestamp: stamp, bid_price: 87.66, bid_size: 1, ask_price: 87.68, ask_size: 4 },
    ]);
    await saveBar(ticker, "1min", { datetime: first, trade_count: 3, vwap: 1.25 });
    await saveBar(ticker, "1min", { datetime: second });
    await saveBar(ticker, "5min", { datetime: "2024-01-02T15:00:00Z" });
    await saveBar(ticker, "hourly", { datetime: "2024-01-02T15:00:00Z" });
    await saveBar(ticker, "1min", { datetime: first, close: 2.5 });
    await saveBar(ticker, "daily", { date: "2024-01-02" });
    await stream.until(({ T }) => T === "d");
    const rest = { S: ticker, o: 1, h: 3, l: 0.5, c: 2, v: 100, n: null, vw: null };
    const quote = { bx: "", bp: 87.66, bs: 1, ax: "", ap: 87.68, as: 4, c: [], z: "" };
    expect(stream.messages.slice(3)).toEqual([
      { T: "t", S: ticker, i: 96_921, x: "D", p: 1.5, s: 10, t: stamp, c: ["@", "I"], z: "C" },
      { T: "t", S: ticker, x: "", p: 2, s: 3, t: stamp, c: [], z: "" },
      { T: "q", S: ticker, ...quote, t: stamp },
      { T: "b", ...rest, n: 3, vw: 1.25, t: first },
      { T: "b", ...rest, t: second },
      { T: "u", ...rest, c: 2.5, t: first },
      { T: "d", ...rest, t: "2024-01-02T05:00:00Z" },
    ]);
  });
});

test("a bar that was stored before the subscription is corrected, not told as new", async () => {
  await saveBar("OLD", "1min", { datetime: "2024-01-02T15:00:00Z" });
  using stream = await AlpacaStream.subscribed(url, { bars: ["OLD"], updatedBars: ["OLD"] });
  await saveBar("OLD", "1min", { datetime: "2024-01-02T15:00:00Z", close: 2.5 });
  await saveBar("OLD", "1min", { datetime: "2024-01-02T15:01:00Z" });
  await stream.until(({ T }) => T === "b");
  expect(stream.messages.slice(3).map(({ T, t }) => `${T} ${t}`)).toEqual([
    "u 2024-01-02T15:00:00Z",
    "b 2024-01-02T15:01:00Z",
  ]);
});

test("bars of a minute are made of trades, until somebody stores bars of his own", async () => {
  const save = (ticker: string, at: number, price: number) =>
    saveTrade(server.url, ticker, price, new Date(at).toISOString());
  const tickers = ["MADE", "ROLLED1", "ROLLED2"];
  await command(server.url, "set_rollup", { tickers: "ROLLED*", intervals: ["1min"] });
  await save("ROLLED2", Date.now() - 86_400_000, 9);
  const minutesOf = async (ticker: string): Promise<number> => {
    const { status, body } = await command(server.url, "get_stock_data", { ticker, interval: "1min" });
    return status === 200 ? body.data.length : 0;
  };
  await until(async () => (await minutesOf("ROLLED2")) === 1);
  using one = await AlpacaStream.subscribed(url, { bars: tickers, updatedBars: tickers });
  using all = await AlpacaStream.subscribed(url, { bars: ["*"], updatedBars: ["*"] });
  const now = Date.now();
  for (const ticker of tickers) {
    await save(ticker, now, 1);
    await save(ticker, now, 3);
  }
  // A roll-up stores the bar at once; it is told when its minute is over, as the others are.
  await until(async () => (await minutesOf("ROLLED1")) === 1);
  const ofMade = (stream: AlpacaStream) => stream.messages.filter(({ S }) => S === "MADE");
  // It is told when its minute is over.
  await until(() => [one, all].every((stream) => ofMade(stream).length === 1));
  const minute = new Date(Math.floor(now / 60_000) * 60_000).toISOString().replace(".000", "");
  const bar = { S: "MADE", o: 1, h: 3, l: 1, c: 3, v: 2, n: 2, vw: 2, t: minute };
  await save("MADE", now, 2);
  await until(() => [one, all].every((stream) => ofMade(stream).length === 2));
  for (const stream of [one, all])
    expect(ofMade(stream)).toEqual([
      { T: "b", ...bar },
      { T: "u", ...bar, c: 2, v: 3, n: 3 },
    ]);
  await until(() => [one, all].every(({ messages }) => messages.length >= 4));
  for (const { messages } of [one, all])
    for (const ticker of ["ROLLED1", "ROLLED2"])
      expect(messages.filter(({ S }) => S === ticker)).toEqual([{ T: "b", ...bar, S: ticker }]);
  await saveBar("MADE", "1min", { datetime: minute });
  await save("MADE", now, 5);
  await saveBar("MADE", "1min", { datetime: new Date(Date.parse(minute) + 60_000).toISOString() });
  await until(() => [one, all].every((stream) => ofMade(stream).length === 4));
  for (const stream of [one, all])
    expect(
      ofMade(stream)
        .slice(2)
        .map(({ T, c, n }) => [T, c, n]),
    ).toEqual([
      ["u", 2, null],
      ["b", 2, null],
    ]);
}, 150_000);

test("a channel of all tickers tells each update once, also of those that are named as well", async () => {
  using stream = await AlpacaStream.subscribed(url, { trades: ["*", "B1"], quotes: ["B1"] });
  await saveTrade(server.url, "B1", 1);
  await saveTrade(server.url, "B2", 2);
  await stream.until(({ S }) => S === "B2");
  stream.send({ action: "unsubscribe", trades: ["*"] });
  await until(() => stream.of("subscription").length === 2);
  await saveTrade(server.url, "B2", 3);
  await saveTrade(server.url, "B1", 4);
  await stream.until(({ p }) => p === 4);
  expect(stream.of("t").map(({ S, p }) => [S, p])).toEqual([
    ["B1", 1],
    ["B2", 2],
    ["B1", 4],
  ]);
});

describe("who a client is", () => {
  test("may be told by headers, and again by a message", async () => {
    const basic = `Basic ${Buffer.from("k:s").toString("base64")}`;
    for (const headers of [
      { "APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s" },
      { Authorization: basic },
      { Authorization: "Bearer token" },
    ] as Record<string, string>[]) {
      using stream = await AlpacaStream.open(url, { headers });
      stream.send({ action: "auth", key: "k", secret: "s" });
      stream.send({ action: "subscribe", trades: ["C1"] });
      await stream.until(({ T }) => T === "subscription");
      expect(stream.frames.map(([message]) => message!.msg)).toEqual([
        ...["connected", "authenticated", "authenticated"],
        undefined,
      ]);
    }
  });

  test("must be told before anything else, and once", async () => {
    using stream = await AlpacaStream.open(url);
    stream.send({ action: "subscribe", trades: ["C1"] });
    stream.send({ action: "auth", key: "k", secret: "s" });
    stream.send({ action: "auth", key: "k", secret: "s" });
    await until(() => stream.frames.length === 4);
    expect(stream.frames.slice(1)).toEqual([
      [{ T: "error", code: 401, msg: "not authenticated" }],
      [{ T: "success", msg: "authenticated" }],
      [{ T: "error", code: 403, msg: "already authenticated" }],
    ]);
  });

  test("must be told in ten seconds", async () => {
    using stream = await AlpacaStream.open(url);
    expect(await stream.end()).toEqual({ code: 1008, reason: "auth timeout" });
    expect(stream.frames.slice(1)).toEqual([[{ T: "error", code: 404, msg: "auth timeout" }]]);
  }, 90_000);
});

test("a message that can't be read is told, and the connection lives on", async () => {
  using stream = await AlpacaStream.subscribed(url, { trades: ["D1"] });
  stream.sendRaw(new Uint8Array([0xc1]));
  stream.sendRaw("no json");
  stream.send(["subscribe"]);
  stream.send({ action: "listen" });
  stream.send({ action: "subscribe", trades: "D1" });
  stream.send({ action: "subscribe", trades: [""] });
  stream.send({ action: "subscribe", orderbooks: ["D1"], trades: ["D2"] });
  stream.send({ action: "subscribe", orderbooks: [], news: [] });
  await until(() => stream.of("subscription").length === 2);
  const errors = stream.of("error");
  expect(errors.map(({ code }) => code)).toEqual([400, 400, 400, 400, 400, 400, 400]);
  expect(errors.at(-1)!.msg).toBe("invalid syntax: orderbooks: there is no such channel here");
  expect(stream.of("subscription")[1]!.trades).toEqual(["D1"]);
  await saveTrade(server.url, "D1", 1);
  await stream.until(({ T }) => T === "t");
});

test("more symbols than one WebSocket may have are refused, and none of them is taken", async () => {
  const names = Array.from({ length: 101 }, (_, i) => `E${i}`);
  using stream = await AlpacaStream.subscribed(url, { trades: ["E0"] });
  stream.send({ action: "subscribe", trades: names });
  const { code, msg } = await stream.until(({ T }) => T === "error");
  expect([code, msg]).toEqual([
    405,
    "symbol limit exceeded: got 101 symbols, expected at most 100 (--ws-symbols-max)",
  ]);
  stream.send({ action: "subscribe", quotes: names.slice(0, 100) });
  await until(() => stream.of("subscription").length === 2);
  expect(stream.of("subscription")[1]).toMatchObject({ trades: ["E0"], quotes: names.slice(0, 100) });
});

test("an address with too many WebSockets is told so, and its WebSocket closed", async () => {
  const headers = { "content-type": "application/msgpack" };
  const open: RawWebSocket[] = [];
  const localAddress = "127.0.0.9";
  for (let i = 0; i < 50; i++)
    open.push(await RawWebSocket.open(server.port, "/v2/sip", { headers, localAddress }));
  using one = await RawWebSocket.open(server.port, "/v2/iex", { localAddress, answersClose: true });
  one.sendText(JSON.stringify({ action: "auth", key: "k", secret: "s" }));
  await until(() => one.closeFrame !== null);
  expect(one.closeFrame).toMatchObject({ code: 1013 });
  expect(one.texts).toEqual([
    '[{"T":"success","msg":"connected"}]',
    '[{"T":"error","code":406,"msg":"connection limit exceeded"}]',
  ]);
  for (const socket of open) socket[Symbol.dispose]();
  await until(async () => {
    using again = await RawWebSocket.open(server.port, "/v2/iex", { localAddress });
    again.sendText(JSON.stringify({ action: "auth", key: "k", secret: "s" }));
    await until(() => again.texts.length === 2);
    return again.texts[1] === '[{"T":"success","msg":"authenticated"}]';
  });
});

test("a client that doesn't read is told so, and closed, and others are not", async () => {
  using reader = await AlpacaStream.subscribed(url, { trades: ["SLOW"] });
  using slow = await RawWebSocket.open(server.port, "/v2/sip", { keepMax: 5 });
  slow.sendText(JSON.stringify({ action: "auth", key: "k", secret: "s" }));
  slow.sendText(JSON.stringify({ action: "subscribe", trades: ["SLOW"] }));
  await until(() => slow.texts.length === 3);
  slow.stopReading();
  const c = Array.from({ length: 50 }, (_, i) => `condition ${i}`);
  let saved = 0;
  await until(async () => {
    const data = Array.from({ length: 200 }, () => ({
      ...{ timestamp: new Date(1.7e12 + ++saved).toISOString(), price: saved, size: 1, c },
    }));
    await command(server.url, "save_realtime_data", {
      ticker: "SLOW",
      data_type: "trade",
      index_col: "timestamp",
      data,
    });
    return server.log().includes("/v2/sip for SLOW from 127.0.0.1: closing it, slow reader");
  });
  slow.readAgain();
  await until(() => slow.closeFrame !== null);
  expect(slow.closeFrame).toMatchObject({ code: 4008, reason: "slow client" });
  expect(slow.texts.at(-1)).toBe('[{"T":"error","code":407,"msg":"slow client"}]');
  await until(() => reader.of("t").length === saved);
  expect(reader.of("t").map(({ p }) => p)).toEqual(Array.from({ length: saved }, (_, i) => i + 1));
});

test("a message may come in fragments, and its path have two slashes", async () => {
  using raw = await RawWebSocket.open(server.port, "//v2/sip");
  raw.sendText(JSON.stringify({ action: "auth", key: "k", secret: "s" }));
  const names = Array.from({ length: 90 }, (_, i) => `F${i}${"x".repeat(700)}`);
  const message = Buffer.from(encode({ action: "subscribe", trades: names }));
  const parts = [message.subarray(0, 32_768), message.subarray(32_768)];
  await raw.send(encodeFrame({ opcode: OPCODE.binary, payload: parts[0]!, fin: false }));
  await raw.send(encodeFrame({ opcode: OPCODE.continuation, payload: parts[1]! }));
  await until(() => raw.texts.length === 3);
  expect(JSON.parse(raw.texts[2]!)[0].trades).toEqual(names);
});

test("after a save of 20,000 trades a client that reads has all of them, in order", async () => {
  using stream = await AlpacaStream.subscribed(url, { trades: ["MANY"] });
  const data = Array.from({ length: 20_000 }, (_, i) => ({
    ...{ timestamp: new Date(1.7e12 + i).toISOString(), price: i, size: 1 },
  }));
  await command(server.url, "save_realtime_data", {
    ticker: "MANY",
    data_type: "trade",
    index_col: "timestamp",
    data,
  });
  await until(() => stream.of("t").length === 20_000);
  expect(stream.of("t").map(({ p }) => p)).toEqual(data.map(({ price }) => price));
});

test("no update is missed when the hub dies", async () => {
  using stream = await AlpacaStream.subscribed(url, { trades: ["HUB"], quotes: ["*"] });
  for (let price = 1; price <= 60; price++) {
    if (price % 20 === 0) process.kill(processesOf(server).hub, "SIGKILL");
    await until(async () => (await saveTrade(server.url, "HUB", price)).status === 200);
  }
  await stream.until(({ p }) => p === 60);
  expect(stream.of("t").map(({ p }) => p)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
});

test("a server that stops closes with 1001, once all is read that was saved", async () => {
  await using own = await startServer();
  using stream = await AlpacaStream.subscribed(`${own.wsUrl}/v2/test`, { trades: ["FAKEPACA"] });
  await saveTrade(own.url, "FAKEPACA", 1);
  const stopped = own.stop("SIGTERM");
  expect(await stream.end()).toMatchObject({ code: 1001 });
  expect(stream.of("t")).toHaveLength(1);
  expect(await stopped).toBe(0);
});
