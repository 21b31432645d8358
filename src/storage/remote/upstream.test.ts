import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { parseUpstream } from "../../config/upstream-url.ts";
import { RequestError } from "../../protocol/errors.ts";
import type { SaveTicks } from "../contract.ts";
import { RemoteReader } from "./reader.ts";
import { runRemoteSql } from "./remote-sql.ts";
import { RemoteSaves } from "./saves.ts";
import { Upstream } from "./upstream.ts";

setDefaultTimeout(120_000);

/**
 * What the server on the other side does with the next commands: closes the connection, or answers.
 */
type Act = "drop" | Response;

const HEALTHY = JSON.stringify({ status: "healthy", database: { db_type: "sqlite" } });
const STORED = { message: "Aggregated data saved successfully." };

const opened: { stop(): void }[] = [];
afterEach(() => {
  for (const each of opened.splice(0)) each.stop();
});

/**
 * A peer that does what no sound server does; /health it answers always.
 *
 * @param together commands are answered only when so many are under way, or no more will come.
 */
function scriptedPeer(script: Act[], { together = 1, commandsInAll = 1 } = {}) {
  const commands: string[] = [];
  let under = 0;
  let answers = false;
  let underMax = 0;
  const peer = Bun.listen<{ text: string }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { text: "" };
      },
      async data(socket, chunk) {
        socket.data.text += chunk.toString();
        const [head = "", body = ""] = socket.data.text.split("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (!socket.data.text.includes("\r\n\r\n") || body.length < length) return;
        socket.data.text = "";
        if (head.startsWith("GET /health")) {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${HEALTHY.length}\r\n\r\n${HEALTHY}`);
          return;
        }
        commands.push(body === "" ? head.split(" ")[1]! : body);
        const act = script.shift() ?? Response.json(STORED);
        underMax = Math.max(underMax, ++under);
        const mayAnswer = () => under >= together || commands.length === commandsInAll;
        while (!answers && !mayAnswer()) await Bun.sleep(1);
        // One more than there may be would come now.
        if (!answers && together > 1) await Bun.sleep(50);
        answers = true;
        under--;
        if (act === "drop") return void socket.terminate();
        const text = await act.text();
        const headers = [...act.headers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
        socket.write(`HTTP/1.1 ${act.status} X\r\n${headers}Content-Length: ${text.length}\r\n\r\n${text}`);
      },
    },
  });
  const silent = (): void => {};
  const upstream = new Upstream({
    url: parseUpstream(`127.0.0.1:${peer.port}`)!,
    connectionsMax: 3,
    serverId: "a",
    log: { debug: silent, info: silent, warning: silent, error: silent, critical: silent },
  });
  opened.push({ stop: () => peer.stop(true) });
  return {
    upstream,
    commands,
    get underMax() {
      return underMax;
    },
  };
}

const ticks = (onDuplicate: SaveTicks["onDuplicate"]): SaveTicks => ({
  kind: "ticks",
  ticker: "A",
  part: "trade",
  rows: [],
  onDuplicate,
});

async function refusalOf(promise: Promise<unknown>): Promise<RequestError> {
  const error: unknown = await promise.then(
    () => null,
    (reason) => reason,
  );
  if (!(error instanceof RequestError)) throw new Error(`expected a RequestError, got ${error}`);
  return error;
}

test("a read whose connection is lost is asked again", async () => {
  const { upstream, commands } = scriptedPeer(["drop", "drop", Response.json({ prices: { A: 5 } })]);
  expect(await new RemoteReader(upstream, 3).latestPrice("A")).toBe(5);
  expect(commands.length).toBe(3);
  expect(new Set(commands).size).toBe(1);
  expect(upstream.figures).toMatchObject({ active: 0, broken: 2 });
});

test("a save is repeated as it was sent, but not where a repetition would answer something else", async () => {
  const { upstream, commands } = scriptedPeer(["drop", Response.json(STORED), "drop"]);
  const saves = new RemoteSaves(upstream, 1_000);
  expect(await saves.save(ticks("match"), { text: '{"x": NaN }', arrow: null })).toMatchObject({
    ok: true,
    stored: 0,
    position: null,
  });
  expect(commands).toEqual(['{"x": NaN }', '{"x": NaN }']);

  const lost = await refusalOf(saves.save(ticks("error"), { text: "{}", arrow: null }));
  expect(lost.message).toBe(
    "save: the connection to the upstream was lost; whether it was stored is unknown",
  );
  expect([lost.status, lost.retryAfterS]).toEqual([503, undefined]);
  expect(commands.length).toBe(3);
});

test("SQL that may write is sent once, SQL that can't is asked again", async () => {
  const { upstream, commands } = scriptedPeer(["drop", "drop", Response.json({ data: [{ a: 1 }] })]);
  const statement = { sql: "x", params: [], allowWrite: true };
  const lost = await refusalOf(runRemoteSql(upstream, { ...statement, queryType: "raw" }, 1_000));
  expect(lost.message).toEndWith("; whether it changed anything is unknown");
  expect(lost.retryAfterS).toBeUndefined();
  expect(commands.length).toBe(1);
  const { rows, body } = await runRemoteSql(upstream, { ...statement, queryType: "select" }, 1_000);
  expect([rows, Buffer.from(body as Uint8Array).toString()]).toEqual([1, '[{"a":1}]']);
  expect(commands.length).toBe(3);
});

test("a refusal keeps its status, texts and Retry-After, and isn't repeated", async () => {
  const { upstream, commands } = scriptedPeer([
    Response.json({ error: "e", details: "d", hint: "h" }, { status: 503, headers: { "Retry-After": "7" } }),
    new Response("<h1>Bad Gateway</h1>", { status: 502 }),
    new Response("", { status: 301, headers: { Location: "http://127.0.0.1:1/" } }),
  ]);
  const reader = new RemoteReader(upstream, 3);
  const refusal = await refusalOf(reader.latestPrice("A"));
  expect([refusal.status, refusal.body(), refusal.retryAfterS]).toEqual([
    503,
    { error: "e", details: "d", hint: "h" },
    7,
  ]);
  const gateway = await refusalOf(reader.latestPrice("A"));
  expect([gateway.status, gateway.message, gateway.details]).toEqual([
    502,
    "the upstream answered 502 X",
    "<h1>Bad Gateway</h1>",
  ]);
  expect((await refusalOf(reader.latestPrice("A"))).status).toBe(502);
  expect(commands.length).toBe(3);
});

test("prices asked for in one turn are one question, each ticker once", async () => {
  const { upstream, commands } = scriptedPeer([
    Response.json(JSON.parse('{"prices":{"A":1,"B":2.5,"C":null,"__proto__":null}}')),
  ]);
  const reader = new RemoteReader(upstream, 3);
  const prices = await Promise.all(
    ["A", "B", "A", "C", "__proto__"].map((ticker) => reader.latestPrice(ticker)),
  );
  expect(prices).toEqual([1, 2.5, 1, null, null]);
  expect(commands.map((text) => JSON.parse(text).params.tickers)).toEqual([["A", "B", "C", "__proto__"]]);
});

test("no more requests are under way than there may be connections", async () => {
  const peer = scriptedPeer([], { together: 3, commandsInAll: 20 });
  const saves = new RemoteSaves(peer.upstream, 1_000);
  await Promise.all(
    Array.from({ length: 20 }, () => saves.save(ticks("match"), { text: "{}", arrow: null })),
  );
  expect(peer.underMax).toBe(3);
  expect(peer.upstream.figures).toEqual({ active: 0, waiting: 0, broken: 0, isAway: false });
});
