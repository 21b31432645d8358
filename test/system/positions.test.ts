/** Positions, recovery, subscriptions and slow clients, as a client sees them over real sockets. */

import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { unpackable } from "../support/random.ts";
import { RawWebSocket } from "../support/raw-web-socket.ts";
import { command, get, saveTrade } from "../support/requests.ts";
import { upTo } from "../support/saves.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { type Frame, Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const first = (subscriber: Subscriber): Promise<Frame> =>
  waitUntil("the first frame", () => subscriber.frames[0]);

async function trades(server: RunningServer, ticker: string, from: number, to: number): Promise<void> {
  for (const price of upTo(to, from)) expect((await saveTrade(server.url, ticker, price)).status).toBe(200);
}

const quote = (server: RunningServer, ticker: string, price: number) =>
  command(server.url, "save_realtime_data", {
    ticker,
    data_type: "quote",
    index_col: "timestamp",
    data: [
      {
        timestamp: `2024-01-02T10:00:00.${String(price).padStart(6, "0")}Z`,
        price,
        size: 1,
        ask_price: price + 1,
        ask_size: 2,
      },
    ],
  });

test("every frame says where the ticker stands, and a client comes back to where it was", async () => {
  await using server = await startServer({ workers: 2 });
  await using one = await Subscriber.open(server.wsUrl, "AAPL");
  await trades(server, "AAPL", 1, 5);
  await waitUntil("five updates", () => one.updates.length === 5);
  expect(one.seqs).toEqual(upTo(5));
  const { epoch } = one.heartbeats[0]!;
  await waitUntil("a heartbeat with the newest position", () => one.heartbeats.at(-1)!.seq === 5);
  // What changes nothing is no update.
  expect((await saveTrade(server.url, "AAPL", 5)).status).toBe(200);

  await using back = Subscriber.ask(server.wsUrl, { symbol: "AAPL", since: "2", epoch: epoch! });
  expect(await first(back)).toMatchObject({
    symbol: "AAPL",
    seq: 2,
    epoch,
    data: { type: "recovery", recovered: true, from: 3, to: 5 },
  });
  await trades(server, "AAPL", 6, 7);
  await waitUntil("all of it", () => back.updates.length === 5);
  expect(back.seqs).toEqual(upTo(7, 3));
  expect(back.prices).toEqual(upTo(7, 3));
  expect(back.updates.slice(0, 3).map(({ data }) => data)).toEqual(
    one.updates.slice(2, 5).map(({ data }) => data),
  );

  await using elsewhere = Subscriber.ask(server.wsUrl, { symbol: "AAPL", since: "2", epoch: "another" });
  expect((await first(elsewhere)).data).toMatchObject({
    recovered: false,
    code: "epoch_changed",
    snapshot: { trade: { price: 7 }, quote: null },
  });
  await using ahead = Subscriber.ask(server.wsUrl, { symbol: "AAPL", since: "99" });
  expect((await first(ahead)).data.code).toBe("position_ahead");
  await using stamp = Subscriber.ask(server.wsUrl, { symbol: "AAPL", since: String(Date.now()) });
  expect((await first(stamp)).data.code).toBe("position_ahead");
  await using other = Subscriber.ask(server.wsUrl, { symbol: "AAPL", since: "2020-01-01", epoch: "another" });
  expect((await first(other)).data.code).toBe("epoch_changed");
  await using timed = Subscriber.ask(server.wsUrl, { symbol: "AAPL", since: "2020-01-01" });
  await waitUntil("all from then on", () => timed.updates.length === 7);
});

test("positions and epoch go on after a restart, and the log is still there", async () => {
  using dir = tempDir();
  const dbFile = join(dir.path, "kept.db");
  await using server = await startServer({ dbFile });
  await trades(server, "AAPL", 1, 3);
  await using before = await Subscriber.open(server.wsUrl, "AAPL");
  const { epoch } = before.heartbeats[0]!;
  await server.stop();
  await using again = await startServer({ dbFile });
  await trades(again, "AAPL", 4, 4);
  await using back = Subscriber.ask(again.wsUrl, { symbol: "AAPL", since: "1", epoch: epoch! });
  await waitUntil("what was missed", () => back.updates.length === 3);
  expect(back.frames[0]!.data.recovered).toBe(true);
  expect(back.seqs).toEqual([2, 3, 4]);
});

test("several tickers, types, and changes of the subscription", async () => {
  await using server = await startServer({ workers: 2 });
  await trades(server, "AAPL", 1, 2);
  await quote(server, "MSFT", 50);
  await using one = Subscriber.ask(server.wsUrl, { symbols: "AAPL,MSFT", types: "quote,trade" });
  expect(await first(one)).toMatchObject({
    type: "subscription",
    subscriptions: [
      { symbol: "AAPL", types: ["quote", "trade"] },
      { symbol: "MSFT", types: ["quote", "trade"] },
    ],
  });
  const snapshots = () => one.frames.filter(({ data }) => data?.type === "snapshot");
  await waitUntil("two snapshots", () => snapshots().length === 2);
  const aapl = snapshots().find(({ symbol }) => symbol === "AAPL")!;
  expect(aapl).toMatchObject({
    seq: 2,
    data: { quote: null, trade: { price: 2 }, bar: { daily: null, hourly: null } },
  });
  expect(snapshots().find(({ symbol }) => symbol === "MSFT")).toMatchObject({
    seq: 1,
    data: { quote: { bid_price: 50, ask_price: 51 } },
  });
  await command(server.url, "save_stock_data", {
    ticker: "AAPL",
    index_col: "date",
    data: [{ date: "2024-01-02", close: 5 }],
  });
  await quote(server, "AAPL", 3);
  await waitUntil("the quote", () => one.updates.length === 1);
  expect(one.seqs).toEqual([4]);

  const told = () => one.frames.filter(({ type }) => type === "subscription");
  one.subscribe(["IBM"], { types: ["bar"], snapshot: false });
  await waitUntil("the answer", () => told().length === 2);
  one.unsubscribe(["AAPL"], { types: ["quote"] });
  one.unsubscribe(["MSFT"]);
  one.subscribe(["AAPL"], { types: ["bar"], since: { AAPL: 2 } });
  one.subscribe(["*"]);
  await waitUntil("the answers", () => told().length === 5 && one.errors.length === 1);
  expect(told().at(-1)!.subscriptions).toEqual([
    { symbol: "IBM", types: ["bar"] },
    { symbol: "AAPL", types: ["bar", "trade"] },
  ]);
  await waitUntil("the bar comes again", () => one.updates.length === 2);
  expect(one.updates.at(-1)).toMatchObject({
    symbol: "AAPL",
    seq: 3,
    data: [{ date: "2024-01-02", close: 5 }],
  });
});

test("the first price is that of the position that it comes with", async () => {
  await using server = await startServer({ workers: 2 });
  await trades(server, "AAPL", 1, 1);
  let busy = true;
  const saving = (async () => {
    for (let price = 2; busy; price++) await saveTrade(server.url, "AAPL", price);
  })();
  for (let i = 0; i < 60; i++) {
    await using one = await Subscriber.open(server.wsUrl, "AAPL");
    const [initial] = one.frames;
    expect(initial!.data.payload[0].price).toBe(initial!.seq);
    await waitUntil("an update", () => one.updates.length > 0);
    expect(one.seqs[0]).toBe(initial!.seq + 1);
  }
  busy = false;
  await saving;
});

test("the types that the server tells can be sent back", async () => {
  await using server = await startServer({});
  await using one = Subscriber.ask(server.wsUrl, { symbols: "A", types: "*,-bar" });
  const told = () =>
    one.frames.filter(({ type }) => type === "subscription").map((frame) => frame.subscriptions);
  await waitUntil("the subscription", () => told().length === 1);
  expect(told()[0]).toEqual([{ symbol: "A", types: ["*", "-bar"] }]);
  one.subscribe(["B"], { types: ["*", "-trade", "-quote"] });
  one.unsubscribe(["A"], { types: ["*", "-quote"] });
  one.subscribe(["A"], { types: ["*"] });
  await waitUntil("the answers", () => told().length === 4);
  expect(
    told()
      .slice(1)
      .map((subscriptions) => subscriptions?.map(({ types }) => types)),
  ).toEqual([
    [
      ["*", "-bar"],
      ["*", "-quote", "-trade"],
    ],
    [["quote"], ["*", "-quote", "-trade"]],
    [["*"], ["*", "-quote", "-trade"]],
  ]);
});

test("all tickers, also those that are new, and what was missed of each", async () => {
  await using server = await startServer({ workers: 2 });
  await trades(server, "A", 1, 2);
  await using one = Subscriber.ask(server.wsUrl, { symbols: "*" });
  await waitUntil("where everything stands", () => one.heartbeats.length > 0);
  expect(one.heartbeats[0]!.positions).toEqual({ A: 2 });
  const { epoch } = one.heartbeats[0]!;
  await trades(server, "A", 3, 3);
  await trades(server, "NEW", 1, 2);
  await waitUntil("three updates", () => one.updates.length === 3);
  expect(one.updates.map(({ symbol, seq }) => `${symbol} ${seq}`)).toEqual(["A 3", "NEW 1", "NEW 2"]);
  await using back = Subscriber.ask(server.wsUrl, { symbols: "*", since: "A:2", epoch: epoch! });
  await waitUntil("what was missed", () => back.updates.length === 3);
  expect(back.updates.map(({ symbol, seq }) => `${symbol} ${seq}`).sort()).toEqual(["A 3", "NEW 1", "NEW 2"]);
});

test("what is subscribed to again goes on where the client says, with the types of both", async () => {
  await using server = await startServer({ workers: 2 });
  await trades(server, "A", 1, 3);
  await trades(server, "B", 1, 2);
  await using one = Subscriber.ask(server.wsUrl, { symbols: "A,B", types: "trade", since: "A:1" });
  await waitUntil("A goes on and B begins", () => one.updates.length === 2 && one.heartbeats.length > 1);
  expect(one.updates.map(({ symbol, seq }) => `${symbol} ${seq}`)).toEqual(["A 2", "A 3"]);
  expect(one.frames.find(({ symbol }) => symbol === "B")!.data.type).toBe("snapshot");
  one.subscribe(["A", "B"], { types: ["quote"], since: { A: 2 } });
  await waitUntil("A 3 comes again", () => one.updates.length === 3);
  expect(one.frames.findLast(({ type }) => type === "subscription")!.subscriptions).toEqual([
    { symbol: "B", types: ["quote", "trade"] },
    { symbol: "A", types: ["quote", "trade"] },
  ]);
  await trades(server, "B", 3, 3);
  await waitUntil("B goes on", () => one.updates.length === 4);
  expect(one.updates.map(({ symbol, seq }) => `${symbol} ${seq}`).slice(2)).toEqual(["A 3", "B 3"]);
});

test("who watches all hears all of a new ticker that others open by name", async () => {
  await using server = await startServer({});
  await using all = Subscriber.ask(server.wsUrl, { symbols: "*", since: "ZZ:7" });
  await waitUntil("it is told that ZZ has no such position", () =>
    all.frames.some(({ symbol, data }) => symbol === "ZZ" && data.code === "position_ahead"),
  );
  const tickers = upTo(30).map((i) => `NEW${i}`);
  const opened = tickers.flatMap((ticker) => {
    const saves = upTo(4).map((price) => saveTrade(server.url, ticker, price));
    return [Subscriber.connect(server.wsUrl, ticker), ...saves];
  });
  for (const one of await Promise.all(opened))
    if (one instanceof Subscriber) await one[Symbol.asyncDispose]();
  await waitUntil("all updates", () => all.updates.length === tickers.length * 4);
  for (const ticker of tickers)
    expect(all.updates.filter(({ symbol }) => symbol === ticker).map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
});

test("wrong parameters are refused before the socket opens, and limits hold", async () => {
  await using server = await startServer({
    workers: 2,
    flags: ["--ws-symbols-max", "2", "--ws-connections-per-address", "3"],
  });
  const refusal = async (query: string) => {
    const response = await fetch(`${server.url}/ws?${query}`, {
      headers: {
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
      },
    });
    return `${response.status} ${((await response.json()) as { error: string }).error}`;
  };
  expect(await refusal("symbol=A&slow=wait")).toBe(
    '400 slow: got "wait", expected disconnect, conflate, gap',
  );
  expect(await refusal("symbol=A&since=yesterdayish")).toMatch(
    /^400 since: got "yesterdayish", expected a position or a time/,
  );
  expect(await refusal("symbols=A,B&since=17")).toMatch(
    /^400 since: got "17", expected a position for each ticker/,
  );
  expect(await refusal("symbol=A&since=foo:3")).toMatch(/^400 since: got a position of "foo"/);
  expect(await refusal("symbol=A&since=99999999999999999")).toMatch(/^400 since: .*2\^53 - 1/);
  expect(await refusal("symbol=A&since=A:99999999999999999")).toMatch(/^400 since: .*2\^53 - 1/);
  expect(await refusal("symbol=A&since=2026-13-01T00:00:00")).toMatch(/^400 since: /);
  expect(await refusal("symbols=A,*")).toMatch(/^400 symbols: .*"\*" alone/);
  expect(await refusal("symbols=A,B,C")).toMatch(/^400 symbols: .*at most 2/);
  expect(await refusal("symbol=A&types=")).toMatch(/^400 types: /);
  const open = [1, 2, 3].map(() => Subscriber.connect(server.wsUrl, "A"));
  await waitUntil("three are open", () => open.every((one) => one.heartbeats.length > 0));
  expect(await refusal("symbol=A")).toMatch(/^429 .*3 WebSockets already/);
  open[0]!.subscribe(["B", "C"]);
  await waitUntil("the refusal", () => open[0]!.errors.length === 1);
  expect(open[0]!.errors).toEqual(["too_many_symbols"]);
  await open[0]![Symbol.asyncDispose]();
  await using next = await waitUntil("there is room again", async () => {
    const one = Subscriber.connect(server.wsUrl, "A");
    await waitUntil("it is open or closed", () => one.heartbeats.length > 0 || one.closed !== null);
    return one.closed === null ? one : undefined;
  });
  expect(next.closed).toBe(null);
  for (const one of open.slice(1)) await one[Symbol.asyncDispose]();
});

const note = unpackable(32_000);
const bar = (server: RunningServer, ticker: string, i: number) =>
  command(server.url, "save_stock_data", {
    ticker,
    interval: "hourly",
    index_col: "datetime",
    data: [{ datetime: `2024-01-02 10:00:${String(i % 60).padStart(2, "0")}`, close: i, note }],
  });
/**
 * More than the kernel's buffers, what Bun holds, and the bound together. Few, since a client that
 * takes nothing for 15 s is cut off whatever it chose.
 */
const SAVES = 300;

test("a client that reads too slowly is closed with its last position, and comes back to miss nothing", async () => {
  await using server = await startServer({ flags: ["--ws-queue-kb", "64"] });
  using deaf = await RawWebSocket.openDeaf(server.port, "/ws?symbol=BIG");
  await using fast = await Subscriber.open(server.wsUrl, "BIG");
  for (let i = 0; i < SAVES; i++) expect((await bar(server, "BIG", i)).status).toBe(200);
  await waitUntil("the fast one has all", () => fast.updates.length === SAVES);
  expect(fast.seqs).toEqual(upTo(SAVES));
  await waitUntil("the server closes the slow one", async () => {
    const { body } = await get(`${server.url}/stats/performance`);
    return body.worker.subscribersCutOff === 1;
  });
  await server.logged(/slow reader; last position \d+/);
  deaf.readAgain();
  await waitUntil("its connection is over", () => deaf.ended);
  const seen = deaf.takeFrames();
  const last = Math.max(...seen.map(({ seq }) => seq));
  expect(last).toBeLessThan(SAVES);
  await using back = Subscriber.ask(server.wsUrl, { symbol: "BIG", since: String(last) });
  await waitUntil("it has the others", () => back.seqs.at(-1) === SAVES);
  expect(back.seqs).toEqual(upTo(SAVES, last + 1));
});

for (const slow of ["conflate", "gap"] as const) {
  test(`a slow client that chose ${slow} and subscribes anew gets nothing of what waited before`, async () => {
    await using server = await startServer({ flags: ["--ws-queue-kb", "64"] });
    using deaf = await RawWebSocket.openDeaf(server.port, `/ws?symbol=BIG&slow=${slow}`);
    for (let i = 0; i < SAVES; i++) expect((await bar(server, "BIG", i)).status).toBe(200);
    deaf.sendText('{"action":"subscribe","symbols":["BIG"],"since":{"BIG":270}}');
    const answered = async (): Promise<boolean> => {
      const { body } = await get(`${server.url}/stats/performance`);
      return body.worker.messages === 1;
    };
    await waitUntil("the message is there", answered);
    deaf.readAgain();
    const seqs: number[] = [];
    await waitUntil("it has come to the end", () => {
      for (const frame of deaf.takeFrames()) {
        if (frame.data?.type === "recovery") seqs.length = 0;
        else if (frame.data?.type !== "heartbeat" && frame.seq !== undefined) seqs.push(frame.seq);
      }
      return seqs.at(-1) === SAVES;
    });
    expect(seqs).toEqual(upTo(SAVES, 271));
  });

  test(`a slow client that chose ${slow} is told what it doesn't get`, async () => {
    await using server = await startServer({ flags: ["--ws-queue-kb", "64"] });
    using deaf = await RawWebSocket.openDeaf(server.port, `/ws?symbol=BIG&slow=${slow}`);
    for (let i = 0; i < SAVES; i++) expect((await bar(server, "BIG", i)).status).toBe(200);
    deaf.readAgain();
    let last = 0;
    let missing = 0;
    const read = (): boolean => {
      for (const frame of deaf.takeFrames()) {
        if (frame.data?.type === "gap") {
          expect(frame.data).toMatchObject({ from: last + 1, to: frame.seq, reason: "slow" });
          missing += frame.seq - last;
        } else if (frame.data?.type === "heartbeat" || frame.data?.type === "initial_price") {
          expect(frame.seq).toBe(last);
        } else {
          expect(frame.seq).toBe(last + 1 + (frame.conflated ?? 0));
          missing += frame.conflated ?? 0;
        }
        last = frame.seq;
      }
      return last === SAVES;
    };
    await waitUntil("it has come to the end", read);
    expect(missing).toBeGreaterThan(0);
    expect((await bar(server, "BIG", 1)).status).toBe(200);
    await waitUntil("it is as live as before", () => {
      read();
      return last === SAVES + 1;
    });
  });
}
