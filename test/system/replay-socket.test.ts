import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { REPLAYS_MAX } from "../../src/websocket/replay-sockets.ts";
import { fillTicks, get } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";

setDefaultTimeout(180_000);

const SAMPLE = resolve(import.meta.dir, "../../sample");

const HANDSHAKE = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
};

let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ flags: ["--sample", "--heartbeat-interval", "0.2"] });
});
afterAll(() => server[Symbol.asyncDispose]());

/** Rows of a sample file, as texts under the names of its header. */
async function sampleRows(file: string): Promise<Record<string, string>[]> {
  const text = new TextDecoder().decode(Bun.gunzipSync(await Bun.file(join(SAMPLE, file)).bytes()));
  const [header, ...lines] = text.trim().split("\n");
  const names = header!.split(",");
  return lines.map((line) => Object.fromEntries(line.split(",").map((field, at) => [names[at]!, field])));
}

async function play(query: Record<string, string>): Promise<Subscriber> {
  const client = Subscriber.replay(server.wsUrl, query);
  await client.untilClosed();
  return client;
}

test("real ticks come as live frames, each once, in order of time over all series", async () => {
  const client = await play({ symbol: "IBM", speed: "max" });
  expect(client.closed).toEqual({ code: 1000, reason: "the replay is over" });
  const trades = await sampleRows("ibm-trades.csv.gz");
  const quotes = await sampleRows("ibm-quotes.csv.gz");

  expect(client.ofType("trade").map(({ symbol, data }) => ({ symbol, data }))).toEqual(
    trades.map(({ timestamp, price, size }) => ({
      symbol: "IBM",
      data: {
        type: "trade",
        timestamp,
        event_type: "trade_update",
        payload: [{ timestamp, price: Number(price), size: Number(size) }],
      },
    })),
  );
  expect(client.ofType("quote").map(({ data }) => data.payload[0])).toEqual(
    quotes.map((row) => ({
      timestamp: row.timestamp,
      bid_price: Number(row.price),
      bid_size: Number(row.size),
      ask_price: Number(row.ask_price),
      ask_size: Number(row.ask_size),
    })),
  );
  const stamps = client.updates.map(({ data }) => data.timestamp as string);
  expect(stamps).toEqual([...stamps].sort());
  expect(client.frames.at(-1)!.data).toMatchObject({ type: "replay_end", updates: 6_000 });
  expect(client.frames.some((frame) => "seq" in frame)).toBe(false);
});

test("bars come when their period is over, beside each other's tickers", async () => {
  const client = await play({
    symbols: "SPY,AAPL",
    types: "bar",
    start: "2021-03-29",
    end: "2021-03-30",
    speed: "max",
  });
  expect(client.updates.map(({ symbol, data }) => [symbol, data[0].date])).toEqual([
    ["SPY", "2021-03-29"],
    ["AAPL", "2021-03-29"],
    ["SPY", "2021-03-30"],
    ["AAPL", "2021-03-30"],
  ]);
  expect(Object.keys(client.updates[0]!.data[0])).toEqual(["date", "open", "high", "low", "close", "volume"]);
  expect(client.ofType("replay_end").map(({ symbol }) => symbol)).toEqual(["SPY", "AAPL"]);
  const early = await play({
    symbol: "AAPL",
    types: "bar",
    start: "2021-03-29T00:00",
    end: "2021-03-29T23:59:59",
    speed: "max",
  });
  expect(early.updates).toEqual([]);
});

test("the gaps are kept, divided by the speed, and heartbeats tell the time of the replay", async () => {
  const started = performance.now();
  const client = await play({ symbol: "IBM", types: "trade", speed: "1000", end: "2013-10-08T13:30" });
  const trades = client.ofType("trade");
  const stampMs = (at: number): number => Date.parse(trades.at(at)!.data.timestamp);
  const scheduledMs = (stampMs(-1) - stampMs(0)) / 1_000;
  expect(scheduledMs).toBeGreaterThan(1_500);
  // A busy machine may only be late, never early.
  expect(trades.at(-1)!.atMs - started).toBeGreaterThanOrEqual(scheduledMs - 5);

  const beats = client.ofType("heartbeat").map(({ data }) => data.timestamp as string);
  expect(beats.length).toBeGreaterThanOrEqual(2);
  expect(beats).toEqual([...beats].sort());
  for (const [at, { data }] of client.frames.entries()) {
    if (data.type !== "heartbeat") continue;
    const next = client.frames.slice(at).find((frame) => frame.data.type === "trade");
    if (next) expect(Date.parse(data.timestamp)).toBeLessThanOrEqual(Date.parse(next.data.timestamp));
  }
});

test("a long gap is cut by max_gap", async () => {
  const client = await play({ symbol: "IBM", types: "trade", max_gap: "0", end: "2013-10-08T13:30" });
  expect(client.closed!.code).toBe(1000);
  expect(client.updates.length).toBeGreaterThan(5);
});

test("a client that stops reading holds its replay up, and misses nothing", async () => {
  const count = 100_000;
  expect((await fillTicks(server.url, "MANY", count)).status).toBe(200);
  const socket = connect(server.port, "127.0.0.1");
  let text = "";
  let updates = 0;
  socket.on("data", (chunk) => {
    const pieces = (text + chunk.toString("latin1")).split('"trade_update"');
    if (updates === 0 && pieces.length > 1) socket.pause();
    updates += pieces.length - 1;
    text = pieces.at(-1)!;
  });
  socket.write(
    "GET /ws/replay?symbol=MANY&speed=max HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  await waitUntil("it plays, and isn't read any more", () => updates > 0);
  // Another replay runs to its end meanwhile; this one can't have.
  expect((await play({ symbol: "IBM", speed: "max" })).updates.length).toBe(6_000);
  expect(updates).toBeLessThan(count);
  socket.resume();
  await waitUntil("the end is here", () => text.includes("replay_end"));
  expect(updates).toBe(count);
  expect(text).toContain(`"updates":${count}`);
  socket.destroy();
});

test("many ticks on one stamp are all played", async () => {
  await server.command("save_realtime_data", {
    ticker: "SAME",
    data_type: "trade",
    index_col: "timestamp",
    data: Array.from({ length: 3_500 }, (_, i) => ({ timestamp: "2024-01-02T10:00:00Z", price: i, size: 1 })),
  });
  const client = await play({ symbol: "SAME", speed: "max" });
  expect(client.updates.map(({ data }) => data.payload[0].price)).toEqual(
    Array.from({ length: 3_500 }, (_, i) => i),
  );
});

test("an end in the far future is no burden for anybody else", async () => {
  const client = await play({ symbol: "IBM", types: "trade", end: "9999-01-01", speed: "max" });
  expect(client.closed!.code).toBe(1000);
  expect(client.updates.length).toBe((await sampleRows("ibm-trades.csv.gz")).length);
  expect((await get(`${server.url}/health`)).status).toBe(200);
});

test("what can't be understood is refused before the upgrade, by name", async () => {
  const cases: [query: string, message: string][] = [
    ["", "expected symbol="],
    ["symbols=*", 'symbols: got "*"'],
    ["symbol=A&start=yesterdayish", 'start: cannot read "yesterdayish"'],
    ["symbol=A&end=13:00", 'end: cannot read "13:00"'],
    ["symbol=A&start=2024-02-01&end=2024-01-01", 'start: got "2024-02-01"'],
    ["symbol=A&end=0001-01-01", 'end: got "0001-01-01"'],
    ["symbol=A&start=2300-01-01&end=2310-01-01", 'start: got "2300-01-01"'],
    ["symbol=A&speed=-1", 'speed: got "-1"'],
    ["symbol=A&speed=", 'speed: got ""'],
    ["symbol=A&types=", 'types: got ""'],
    ["symbol=A&max_gap=x", 'max_gap: got "x"'],
  ];
  for (const [query, message] of cases) {
    const { status, body } = await get(`${server.url}/ws/replay?${query}`, HANDSHAKE);
    expect(body.error).toContain(message);
    expect(status).toBe(400);
  }
  const many = Array.from({ length: 101 }, (_, i) => `T${i}`).join(",");
  expect((await get(`${server.url}/ws/replay?symbols=${many}`, HANDSHAKE)).body.error).toContain(
    "at most 200",
  );
  expect((await get(`${server.url}/ws/replay?symbol=A`)).status).toBe(426);
});

test("epochs and every other form of a save are bounds", async () => {
  for (const start of ["2013-10-08T13:59:59.999Z", "1381240799.999", "2013-10-08T09:59:59.999-04:00"]) {
    const client = await play({
      symbol: "IBM",
      start,
      end: "2013-10-08 14:00:01",
      types: "trade",
      speed: "max",
    });
    expect(client.updates.length).toBe(1);
  }
});

test("a bot's messages are answered, and unsubscribe ends it", async () => {
  await using client = Subscriber.replay(server.wsUrl, {
    symbol: "IBM",
    start: "2013-10-08",
    speed: "0.001",
  });
  await waitUntil("the first heartbeat", () => client.ofType("heartbeat").length > 0);
  client.send("{");
  client.subscribe(["AAPL"]);
  await waitUntil("both are answered", () => client.frames.filter((frame) => "code" in frame).length === 2);
  client.send('{"action":"unsubscribe"}');
  expect((await client.untilClosed()).code).toBe(1000);
});

test("replays of a worker are bounded, and a place is free again when one ends", async () => {
  const query = { symbol: "IBM", start: "2013-10-08", speed: "0.001" };
  const clients = Array.from({ length: REPLAYS_MAX }, () => Subscriber.replay(server.wsUrl, query));
  await waitUntil("all play", () => clients.every((client) => client.ofType("heartbeat").length > 0));
  const refused = await get(`${server.url}/ws/replay?symbol=IBM`, HANDSHAKE);
  expect(refused.status).toBe(429);
  expect(refused.headers.get("retry-after")).toBe("5");
  for (const client of clients) await client[Symbol.asyncDispose]();
  const again = await play({ symbol: "IBM", speed: "max" });
  expect(again.closed!.code).toBe(1000);
});

test("replays and live sockets count together to what an address may have", async () => {
  await using own = await startServer({
    workers: 2,
    flags: ["--sample", "--ws-connections-per-address", "2"],
  });
  await using live = await Subscriber.open(own.wsUrl, "IBM");
  const first = Subscriber.replay(own.wsUrl, { symbol: "IBM", start: "2013-10-08", speed: "0.001" });
  await waitUntil("it plays", () => first.ofType("heartbeat").length > 0);
  const refused = await get(`${own.url}/ws/replay?symbol=IBM`, HANDSHAKE);
  expect(refused.status).toBe(429);
  expect(refused.body.error).toContain("/ws/replay: 127.0.0.1 has 2 WebSockets already");
  await first[Symbol.asyncDispose]();
  await waitUntil("there is room again", async () => {
    const next = Subscriber.replay(own.wsUrl, { symbol: "IBM", speed: "max" });
    return (await next.untilClosed()).code === 1000;
  });
  expect(live.closed).toBeNull();
});

test("a stop ends replays with 1001", async () => {
  await using own = await startServer({ workers: 2, flags: ["--sample"] });
  const client = Subscriber.replay(own.wsUrl, { symbol: "IBM", start: "2013-10-08", speed: "0.001" });
  await waitUntil("it plays", () => client.ofType("heartbeat").length > 0);
  expect(await own.stop()).toBe(0);
  expect((await client.untilClosed()).code).toBe(1001);
});
