/** What one WebSocket, or all of them, may make the server do; judged by bytes and counts. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { peakMb, resetPeakMb } from "../support/processes.ts";
import { RawWebSocket } from "../support/raw-web-socket.ts";
import { get, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { encodeFrame, OPCODE } from "../support/web-socket-frames.ts";
import type { SocketMessage } from "../support/web-socket-messages.ts";

setDefaultTimeout(180_000);

/** Beside what the server has before: docs/limits.md. */
const STORM_MB_MAX = 128;
/** Of a storm that the server doesn't end. */
const STORM_BYTES_MAX = 256 * 1024 * 1024;
const STORMERS = 30;
const UNFINISHED = 400;
const HOARDERS = 1_500;
const MIB = 1024 * 1024;
const COMERS = 400;
/** Of what is garbage by then: a few sockets are there at a time. */
const COMERS_MB_MAX = 512;
/** What waits of all clients, twice, as the one copy is JSON's. */
const STORMERS_MB_MAX = 2 * 64 + STORM_MB_MAX;
const THOUSAND = Array.from({ length: 1_000 }, (_, i) => `S${i}`);

let server: RunningServer;
/** Each save is another tick. */
let price = 0;
beforeAll(async () => {
  server = await startServer({});
});
afterAll(() => server[Symbol.asyncDispose]());

const text = (message: object | string): Buffer =>
  encodeFrame({
    opcode: OPCODE.text,
    payload: typeof message === "string" ? message : JSON.stringify(message),
  });
const isError = (message: SocketMessage): boolean =>
  message.kind === "text" && message.text.startsWith('{"type":"error"');
const isNoHeartbeat = (message: SocketMessage): boolean =>
  message.kind === "text" && !message.text.includes("heartbeat");
const subscribe = (symbols: string[]) => ({ action: "subscribe", symbols, snapshot: false });
const unsubscribe = (symbols: string[]) => ({ action: "unsubscribe", symbols });
const inPieces = Buffer.concat([
  encodeFrame({ opcode: OPCODE.text, payload: "{", fin: false }),
  ...Array.from({ length: 100 }, () => encodeFrame({ opcode: OPCODE.continuation, fin: false })),
  encodeFrame({ opcode: OPCODE.continuation }),
]);

async function worker(): Promise<Record<string, number>> {
  return (await get(`${server.url}/stats/performance`)).body.worker;
}

/**
 * Asks and saves one after the other as long as the work goes on.
 *
 * @returns how many times, each answered with 200.
 */
async function othersMeanwhile(work: Promise<unknown>): Promise<number> {
  let isOver = false;
  const over = work.finally(() => {
    isOver = true;
  });
  let answered = 0;
  do {
    answered++;
    expect((await get(`${server.url}/live`)).status).toBe(200);
    expect((await saveTrade(server.url, "OTHER", ++price)).status).toBe(200);
  } while (!isOver);
  await over;
  return answered;
}

const storms: Record<string, Buffer> = {
  "1,000 symbols, subscribed and unsubscribed": Buffer.concat([
    text(subscribe(THOUSAND)),
    text(unsubscribe(THOUSAND)),
  ]),
  "one symbol, subscribed and unsubscribed": Buffer.concat([
    text(subscribe(["S"])),
    text(unsubscribe(["S"])),
  ]),
  "one symbol, subscribed with a position": text({ action: "subscribe", symbols: ["S"], since: { S: 0 } }),
  "all symbols, subscribed and unsubscribed": Buffer.concat([
    text({ ...subscribe(["*"]), since: Object.fromEntries(THOUSAND.map((symbol) => [symbol, 1])) }),
    text(unsubscribe(["*"])),
  ]),
  "more symbols than there may be": text(subscribe(["T", ...THOUSAND])),
  "unsubscribing what isn't subscribed to": text(unsubscribe(THOUSAND)),
  "messages that are no JSON": text("{"),
  "long messages that are no JSON": text("x".repeat(60_000)),
  "unknown actions": text({ action: "dance" }),
  "messages of 60,000 brackets": text("[".repeat(60_000)),
  "JSON pings": text({ action: "ping" }),
  "empty messages": text(""),
  "binary messages": encodeFrame({ opcode: OPCODE.binary, payload: "xyz" }),
  "messages in empty pieces": inPieces,
  pings: encodeFrame({ opcode: OPCODE.ping, payload: "x" }),
  pongs: encodeFrame({ opcode: OPCODE.pong, payload: "x" }),
};

for (const [what, bytes] of Object.entries(storms)) {
  test(`a storm of ${what} is ended with an error and 1008, and nobody else feels it`, async () => {
    await using other = await Subscriber.open(server.wsUrl, "OTHER");
    const before = await worker();
    resetPeakMb(server.pid);
    const beforeMb = peakMb(server.pid);
    using stormer = await RawWebSocket.open(server.port, "/ws?symbols=", {
      keeps: isError,
    });
    const answered = await othersMeanwhile(stormer.flood(bytes, { bytesMax: STORM_BYTES_MAX }));
    expect(answered).toBeGreaterThan(0);
    expect(stormer.errors.at(-1)).toBe("too_many_messages");
    expect(stormer.closeFrame?.code).toBe(1008);
    expect(stormer.closeFrame?.reason).toMatch(/^too many messages/);
    expect(peakMb(server.pid) - beforeMb).toBeLessThan(STORM_MB_MAX);
    await waitUntil("the other has every update", () => other.updates.length === answered);
    await waitUntil("nothing is left of it", async () => {
      const { subscribers, subscriptions, tickersWatched } = await worker();
      return subscribers === before.subscribers && subscriptions === 1 && tickersWatched === 1;
    });
  });
}

test("messages whose end doesn't come have a bound that follows from the symbols they may name", async () => {
  resetPeakMb(server.pid);
  const beforeMb = peakMb(server.pid);
  const piece = encodeFrame({ opcode: OPCODE.text, payload: "x".repeat(MIB), fin: false });
  const unfinished = await Promise.all(
    Array.from({ length: UNFINISHED }, async (_, i) => {
      const client = await RawWebSocket.open(server.port, "/ws?symbols=");
      // Half of them don't even end the frame.
      void client.send(i % 2 === 0 ? piece : piece.subarray(0, -1));
      return client;
    }),
  );
  await waitUntil("each is closed", () => unfinished.every(({ ended }) => ended));
  for (const { closeFrame } of unfinished) if (closeFrame !== null) expect(closeFrame.code).toBe(1009);
  expect(peakMb(server.pid) - beforeMb).toBeLessThan(UNFINISHED / 2);

  using usual = await RawWebSocket.open(server.port, "/ws?symbols=");
  usual.sendText({
    ...subscribe(THOUSAND),
    since: Object.fromEntries(THOUSAND.map((symbol) => [symbol, 2 ** 50])),
  });
  usual.sendText({ ...unsubscribe(THOUSAND), comment: "x".repeat(300_000) });
  await waitUntil(
    "both are answered",
    () => usual.frames.filter(({ type }) => type === "subscription").length === 3,
  );
  expect(usual.closeFrame).toBe(null);
});

test("one process far over its memory cuts off WebSockets of the address with most", async () => {
  await using small = await startServer({ flags: ["--memory-mb", "256"] });
  using other = await RawWebSocket.open(small.port, "/ws?symbols=", { localAddress: "127.0.0.2" });
  const hoarders: RawWebSocket[] = [];
  for (let i = 0; i < HOARDERS; i++)
    hoarders.push(await RawWebSocket.open(small.port, "/ws?symbols=", { localAddress: "127.0.0.1" }));
  const piece = encodeFrame({ opcode: OPCODE.text, payload: "x".repeat(300_000), fin: false });
  for (const hoarder of hoarders) void hoarder.send(piece);
  await small.logged(/\[ERROR\] .* MB \(--memory-mb\): \d+ WebSockets of 127\.0\.0\.1 are closed/);
  await waitUntil("some are closed", () => hoarders.some(({ ended }) => ended));
  expect(other.ended).toBe(false);
  expect((await saveTrade(small.url, "OTHER", 1)).status).toBe(200);
  for (const hoarder of hoarders) hoarder[Symbol.dispose]();
  await waitUntil("memory suffices again", async () => (await get(`${small.url}/ready`)).status === 200);
});

test("many storms at once have one bound together", async () => {
  const bytes = storms["1,000 symbols, subscribed and unsubscribed"]!;
  resetPeakMb(server.pid);
  const beforeMb = peakMb(server.pid);
  const stormers = await Promise.all(
    Array.from({ length: STORMERS }, () =>
      RawWebSocket.open(server.port, "/ws?symbols=", { keeps: () => false }),
    ),
  );
  await othersMeanwhile(Promise.all(stormers.map((one) => one.flood(bytes, { bytesMax: STORM_BYTES_MAX }))));
  for (const { closeFrame } of stormers) expect([1008, 1013]).toContain(closeFrame?.code as number);
  expect(peakMb(server.pid) - beforeMb).toBeLessThan(STORMERS_MB_MAX);
  await waitUntil("nothing is left of them", async () => (await worker()).tickersWatched === 0);
});

test("sockets that come, ask for 1,000 symbols of their own and go leave nothing behind", async () => {
  resetPeakMb(server.pid);
  const beforeMb = peakMb(server.pid);
  let opened = 0;
  const comeAndGo = async (): Promise<void> => {
    while (opened < COMERS) {
      const own = `X${opened++}`;
      using one = await RawWebSocket.open(server.port, "/ws?symbols=");
      one.sendText(subscribe(THOUSAND.map((symbol) => `${own}-${symbol}`)));
      // Some before anything is done, some in the midst of it.
      await waitUntil("some answers", () => one.frames.length >= opened % 4);
    }
  };
  await othersMeanwhile(Promise.all(Array.from({ length: 20 }, comeAndGo)));
  expect(peakMb(server.pid) - beforeMb).toBeLessThan(COMERS_MB_MAX);
  await waitUntil("nothing is left of them", async () => {
    const { subscribers, subscriptions, tickersWatched } = await worker();
    return subscribers === 0 && subscriptions === 0 && tickersWatched === 0;
  });
});

test("a storm to a replay is ended the same way", async () => {
  // An hour without a tick: the replay would go on for long.
  for (const [at, price] of [
    ["2024-01-02T10:00:00", 1],
    ["2024-01-02T11:00:00", 2],
  ] as const)
    expect((await saveTrade(server.url, "PLAYED", price, at)).status).toBe(200);
  const path =
    "/ws/replay?symbols=PLAYED&types=trade&start=2024-01-02T10:00:00&end=2024-01-02T11:00:01&speed=1";
  for (const what of ["messages that are no JSON", "pings", "pongs", "binary messages", "unknown actions"]) {
    resetPeakMb(server.pid);
    const beforeMb = peakMb(server.pid);
    using stormer = await RawWebSocket.open(server.port, path, {
      keeps: isError,
    });
    expect(
      await othersMeanwhile(stormer.flood(storms[what]!, { bytesMax: STORM_BYTES_MAX })),
    ).toBeGreaterThan(0);
    expect(stormer.errors.at(-1)).toBe("too_many_messages");
    expect(stormer.closeFrame?.code).toBe(1008);
    expect(peakMb(server.pid) - beforeMb).toBeLessThan(STORM_MB_MAX);
  }
});

test("a dashboard names 1,000 symbols in a message each, and takes them back; each is answered in its turn", async () => {
  using client = await RawWebSocket.open(server.port, "/ws?symbols=");
  for (const symbol of THOUSAND) {
    client.sendText(subscribe([symbol]));
    if (symbol === "S500") client.sendText("{");
  }
  const answers = () => client.frames.filter(({ type }) => type === "subscription" || type === "error");
  // The first is that to the handshake.
  await waitUntil("all are answered", () => answers().length === 1_002);
  const shown = answers().map(({ type, subscriptions }) =>
    type === "error" ? "error" : `${subscriptions!.length} ${subscriptions!.at(-1)?.symbol ?? ""}`,
  );
  const expected = THOUSAND.map((symbol, i) => `${i + 1} ${symbol}`);
  expect(shown).toEqual(["0 ", ...expected.slice(0, 501), "error", ...expected.slice(501)]);
  const heartbeats = new Set<string>();
  await waitUntil("each has begun", () => {
    for (const { symbol, data } of client.frames) if (data?.type === "heartbeat") heartbeats.add(symbol!);
    return heartbeats.size === 1_000;
  });
  expect((await saveTrade(server.url, "S999", 7)).status).toBe(200);
  await waitUntil("the update", () =>
    client.frames.some(({ symbol, seq }) => symbol === "S999" && seq === 1),
  );
  client.messages.length = 0;
  for (const symbol of THOUSAND) client.sendText(unsubscribe([symbol]));
  await waitUntil("all are answered", () => answers().length === 1_000);
  expect(answers().map(({ subscriptions }) => subscriptions!.length)).toEqual(
    THOUSAND.map((_, i) => 999 - i),
  );
  expect(client.closeFrame).toBe(null);
  await waitUntil("none is left", async () => (await worker()).subscriptions === 0);
});

test("what is taken back while it begins doesn't begin, and the rest does", async () => {
  using client = await RawWebSocket.open(server.port, "/ws?symbols=");
  const [kept, ended] = [THOUSAND.slice(0, 500), THOUSAND.slice(500)];
  for (let round = 0; round < 3; round++) {
    client.sendText(subscribe(THOUSAND));
    client.sendText(unsubscribe(ended));
  }
  const answers = () => client.frames.filter(({ type }) => type === "subscription");
  await waitUntil("all are answered", () => answers().length === 7);
  expect(answers().map(({ subscriptions }) => subscriptions!.length)).toEqual([
    0, 1_000, 500, 1_000, 500, 1_000, 500,
  ]);
  await waitUntil("the others are watched", async () => (await worker()).tickersWatched === 500);
  const from = client.frames.length;
  for (const symbol of [ended[0]!, ended[499]!, kept[0]!, kept[499]!])
    expect((await saveTrade(server.url, symbol, 1)).status).toBe(200);
  const updates = () =>
    client.frames
      .slice(from)
      .filter(({ data }) => data?.type === "trade")
      .map(({ symbol }) => symbol!);
  await waitUntil("the updates of the others", () => updates().length === 2);
  expect(updates()).toEqual([kept[0]!, kept[499]!]);
});

test("a socket that closes leaves nothing of what it asked for behind", async () => {
  const answersMax = 11;
  for (let round = 0; round < 20; round++) {
    using client = await RawWebSocket.open(server.port, "/ws?symbols=");
    for (let i = 0; i < 5; i++) {
      client.sendText(subscribe(THOUSAND.map((symbol) => `${symbol}-${i}`)));
      client.sendText(unsubscribe(THOUSAND.map((symbol) => `${symbol}-${i}`)));
    }
    // Some close before anything was done, some in the midst of it, and some when all is answered.
    await waitUntil("some answers", () => client.frames.length >= Math.min(round, answersMax));
  }
  await waitUntil("nothing is left", async () => {
    const { subscribers, subscriptions, tickersWatched } = await worker();
    return subscribers === 0 && subscriptions === 0 && tickersWatched === 0;
  });
});

test("who names many symbols for long waits for the rate, and gets all of it", async () => {
  // The rate is that of --ws-symbols-max: with 2 a second, and 20 at once, these 30 take some
  // seconds.
  await using slow = await startServer({ flags: ["--ws-symbols-max", "2"] });
  using client = await RawWebSocket.open(slow.port, "/ws?symbols=");
  const startedMs = performance.now();
  for (let round = 0; round < 15; round++) {
    client.sendText(subscribe(["A"]));
    client.sendText(unsubscribe(["A"]));
  }
  const answers = () => client.frames.filter(({ type }) => type === "subscription");
  await waitUntil("all are answered", () => answers().length === 31);
  expect(performance.now() - startedMs).toBeGreaterThan(4_000);
  expect(answers().map(({ subscriptions }) => subscriptions!.length)).toEqual(
    Array.from({ length: 31 }, (_, i) => i % 2),
  );
});

test("subscriptions of a worker, of an address, and different tickers have bounds", async () => {
  await using bounded = await startServer({
    flags: ["--ws-subscriptions-max", "6", "--ws-subscriptions-per-address", "4", "--ws-tickers-max", "5"],
  });
  const open = (localAddress: string) =>
    RawWebSocket.open(bounded.port, "/ws?symbols=", { localAddress, keeps: isNoHeartbeat });
  const errorsOf = (client: RawWebSocket) =>
    client.frames.filter(({ type }) => type === "error").map(({ code, error }) => `${code}: ${error}`);
  using one = await open("127.0.0.1");
  one.sendText(subscribe(["A", "B", "C"]));
  one.sendText(subscribe(["D", "E"]));
  await waitUntil("the refusal", () => errorsOf(one).length === 1);
  expect(errorsOf(one)[0]).toMatch(
    /^too_many_subscriptions: symbols: got 2 more, but 127\.0\.0\.1 has 3 subscriptions already, expected at most 4 .*--ws-subscriptions-per-address/,
  );
  // Nothing of the refused message was done; what there is can be changed.
  one.sendText(subscribe(["A", "D"]));
  await waitUntil("four", () => one.frames.some(({ subscriptions }) => subscriptions?.length === 4));
  expect(await refusal(bounded, "symbols=A,B")).toMatch(/^429 5 symbols: got 2 more, but 127\.0\.0\.1 has 4/);

  using two = await open("127.0.0.2");
  two.sendText(subscribe(["E", "F"]));
  two.sendText(subscribe(["A", "B", "C"]));
  await waitUntil("both refusals", () => errorsOf(two).length === 2);
  expect(errorsOf(two)[0]).toMatch(
    /got 2 more that nobody watches, but 4 are watched .*at most 5 .*--ws-tickers-max/,
  );
  expect(errorsOf(two)[1]).toMatch(
    /got 3 more, but the clients of this worker have 4 subscriptions already, expected at most 6 .*--ws-subscriptions-max/,
  );
  two.sendText(subscribe(["A", "B"]));
  await waitUntil("two", () => two.frames.some(({ subscriptions }) => subscriptions?.length === 2));

  // There is room again when they are taken back, or the socket closes.
  one.sendText(unsubscribe(["A", "B"]));
  await waitUntil("two of four", () => one.frames.at(-1)?.subscriptions?.length === 2);
  two.sendText(subscribe(["C", "D"]));
  await waitUntil("four", () => two.frames.some(({ subscriptions }) => subscriptions?.length === 4));
  two[Symbol.dispose]();
  await waitUntil("it is gone", async () => {
    const { body } = await get(`${bounded.url}/stats/performance`);
    return body.worker.subscriptions === 2;
  });
  await using last = await Subscriber.open(bounded.wsUrl, "G");
  expect(last.closed).toBe(null);
});

test("types that add up over messages have a bound for each symbol", async () => {
  using client = await RawWebSocket.open(server.port, "/ws?symbols=", {
    keeps: isNoHeartbeat,
  });
  const types = (from: number, count: number) => Array.from({ length: count }, (_, i) => `t${from + i}`);
  client.sendText({ ...subscribe(["A", "B"]), types: types(0, 60) });
  client.sendText({ ...subscribe(["A"]), types: types(60, 40) });
  client.sendText({ ...subscribe(["A", "B", "C"]), types: types(100, 1) });
  client.sendText({ ...subscribe(["D"]) });
  for (let from = 0; from < 120; from += 40)
    client.sendText({ ...unsubscribe(["D"]), types: types(from, 40) });
  await waitUntil("all are answered", () => client.frames.length === 8);
  const shown = client.frames.map(({ error, subscriptions }) =>
    subscriptions === undefined ? error : subscriptions.map((one) => one.types.length),
  );
  expect(shown).toEqual([
    [],
    [60, 60],
    [100, 60],
    "types: got 101 for A with those before, expected at most 100",
    [100, 60, 1],
    [100, 60, 41],
    [100, 60, 81],
    "types: got 120 for D with those before, expected at most 100",
  ]);
});

/** @returns the status, Retry-After and the error of a handshake that is refused. */
async function refusal(of: RunningServer, query: string): Promise<string> {
  const response = await fetch(`${of.url}/ws?${query}`, {
    headers: {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Version": "13",
    },
  });
  const { error } = (await response.json()) as { error: string };
  return `${response.status} ${response.headers.get("retry-after")} ${error}`;
}
