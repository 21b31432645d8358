/**
 * Behind the address of the upstream something else answers, or half an answer comes: never is that
 * taken for an answer.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { peakMb } from "../support/processes.ts";
import { command, get, runSql, saveTrade } from "../support/requests.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { type Act, type Asked, answered, HEALTHY, wrongUpstream } from "../support/wrong-upstream.ts";

setDefaultTimeout(180_000);

const PAGE = "<html>Please log in</html>";
const ROW = '{"timestamp":"2024-01-02T10:00:00.000000Z","ticker":"A"}';

/** Of the front server itself: at some time after its start it looks which tickers to tell of. */
const OWN_COMMAND = '"command":"get_tickers"';

/** The commands that a client's request became. */
const asksOf = (asked: Asked[]): Asked[] =>
  asked.filter(({ path, body }) => path === "/db_command" && !body.includes(OWN_COMMAND));

/** /health is sound; commands are answered with what `act` gives now. */
async function startFront(flags: string[] = []) {
  const stack = new AsyncDisposableStack();
  let act: (asked: Asked) => Act | Promise<Act> = () => answered("{}");
  const peer = stack.use(
    wrongUpstream((asked) => (asked.path.endsWith("/health") ? answered(HEALTHY) : act(asked))),
  );
  const front = stack.use(
    await startServer({ dbFile: `http://desk:s3cret@127.0.0.1:${peer.port}`, flags, withoutDatabase: true }),
  );
  return {
    front,
    peer,
    answerWith(next: Act) {
      act = () => next;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const ticks = (url: string) => command(url, "get_realtime_data", { ticker: "A", data_type: "trade" });
const price = (url: string) => command(url, "get_latest_price", { ticker: "A" });
const select = (url: string) => command(url, "execute_sql", { sql_query: "SELECT 1", query_type: "select" });

test("a save counts as stored only if the upstream says so", async () => {
  await using world = await startFront();
  const { front, peer } = world;
  for (const act of [
    answered(PAGE, { type: "text/html" }),
    answered(""),
    answered('{"message":"We will be back soon."}'),
    answered('{"message":"Realtime data (trade) for A saved succ'),
  ]) {
    world.answerWith(act);
    peer.asked.length = 0;
    const { status, body, headers } = await saveTrade(front.url, "A", 1);
    expect([status, body.error, headers.get("retry-after")]).toEqual([
      503,
      "save: the upstream gave no answer to a save; whether it was stored is unknown",
      "1",
    ]);
    const ids = peer.asked
      .map(({ headers: sent }) => sent["stock-db-save"])
      .filter((id): id is string => id !== undefined);
    expect(ids.length).toBeGreaterThan(1);
    // One save, however often it is sent.
    expect(new Set(ids.map((id) => id.replace(";repeated", ""))).size).toBe(1);
    expect(ids[1]).toEndWith(";repeated");
  }
  // Not repeated where a repetition would be answered otherwise.
  peer.asked.length = 0;
  const once = await command(front.url, "save_stock_data", {
    ticker: "A",
    index_col: "date",
    on_duplicate: "error",
    data: [{ date: "2024-01-02", close: 1 }],
  });
  expect([once.status, once.headers.get("retry-after")]).toEqual([503, null]);
  expect(once.body.error).toEndWith("whether it was stored is unknown");
  expect(asksOf(peer.asked)).toHaveLength(1);
});

test("a save whose answer a proxy replaced with a page is repeated, and is one update", async () => {
  await using upstream = await startServer();
  let pages = 0;
  using proxy = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      const body = request.method === "POST" ? await request.text() : null;
      const headers = { ...Object.fromEntries(request.headers), host: `127.0.0.1:${upstream.port}` };
      const answer = await fetch(upstream.url + pathname, { method: request.method, headers, body });
      if (body?.includes("save_realtime_data") && pages++ < 2)
        return new Response(PAGE, { headers: { "content-type": "text/html" } });
      return new Response(await answer.bytes(), {
        status: answer.status,
        headers: { "content-type": "application/json" },
      });
    },
  });
  await using front = await startServer({ dbFile: `127.0.0.1:${proxy.port}` });
  await using watcher = await Subscriber.open(upstream.wsUrl, "ONE");
  expect((await saveTrade(front.url, "ONE", 5)).status).toBe(200);
  expect(pages).toBe(3);
  expect((await saveTrade(front.url, "ONE", 6)).status).toBe(200);
  await waitUntil("the second is here", () => watcher.prices.includes(6));
  expect(watcher.prices).toEqual([5, 6]);
});

test("reads: pages, empty, cut or wrong answers are errors that say so, asked for once", async () => {
  await using world = await startFront();
  const { front, peer } = world;
  for (const [act, reason] of [
    [answered(PAGE, { type: "text/html" }), "its Content-Type is text/html, expected application/json"],
    [answered(PAGE), `it begins with ${PAGE}`],
    [answered(""), "it is empty"],
    [answered("{}", { type: "" }), "it has no Content-Type, expected application/json"],
    [answered("[1,2]"), "it begins with [1,2]"],
    [answered(`{"data":[${ROW}`), null],
    [answered('{"message":"We will be back soon."}'), null],
    [answered("", { status: "204 No Content" }), "it has the status 204, expected 200"],
    // Without length: that it was cut shows at its end only.
    [
      {
        send: `HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"data":[${ROW},{"a":1`,
        close: true,
      },
      null,
    ],
  ] as const) {
    world.answerWith(act);
    for (const ask of [ticks, price, select]) {
      peer.asked.length = 0;
      const { status, body } = await ask(front.url);
      expect([status, body.error]).toEqual([502, expect.stringContaining("the upstream")]);
      if (reason !== null) expect(body.details).toContain(reason);
      expect(asksOf(peer.asked)).toHaveLength(1);
    }
  }
  for (const prices of ['{"A":"x"}', "{}", "[]", '{"A":[]}']) {
    world.answerWith(answered(`{"prices":${prices}}`));
    const { status, body } = await price(front.url);
    expect([status, body.error]).toEqual([
      502,
      expect.stringContaining("the upstream answered get_latest_prices: "),
    ]);
  }
  world.answerWith(answered('{"prices":{"A":null}}'));
  expect((await price(front.url)).body).toEqual({ ticker: "A", latest_price: null });
  // As an older server writes.
  world.answerWith(answered(`{"data": [${ROW}]}`));
  expect((await ticks(front.url)).body.data.length).toBe(1);
  world.answerWith(answered('{"message": "No realtime data found", "data": []}'));
  expect((await ticks(front.url)).body.data).toEqual([]);
});

test("an answer that ends too early or is packed wrongly is asked for again, and then an error", async () => {
  await using world = await startFront();
  const { front } = world;
  const whole = `{"data":[${ROW}]}`;
  const packed = gzipSync(whole);
  const gzip = (bytes: Uint8Array): Act => ({
    send: Buffer.concat([
      Buffer.from(
        `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: ${bytes.length}\r\n\r\n`,
      ),
      bytes,
    ]),
  });
  world.answerWith(gzip(packed));
  expect((await ticks(front.url)).body.data.length).toBe(1);
  const json = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
  for (const [act, reason] of [
    [gzip(packed.subarray(0, -12)), "the answer is packed wrongly, or ends too early"],
    [{ send: `${json}Content-Length: 1000\r\n\r\n${whole}`, close: true }, "the connection was closed"],
    [
      {
        send: `${json}Transfer-Encoding: chunked\r\n\r\n${whole.length.toString(16)}\r\n${whole}\r\n`,
        close: true,
      },
      "the connection was closed",
    ],
    [{ send: "SSH-2.0-OpenSSH_9\r\n", close: true }, "what answers there doesn't speak HTTP"],
  ] as const) {
    world.answerWith(act);
    const { status, body } = await ticks(front.url);
    expect([status, body.error, body.details]).toEqual([
      503,
      "get_realtime_data: the connection to the upstream was lost",
      reason,
    ]);
  }
  // More than it says: the rest is not part of it.
  world.answerWith({ send: `${json}Content-Length: 20\r\n\r\n${whole}`, close: true });
  expect((await ticks(front.url)).status).toBe(502);
});

test("what goes on piece by piece and doesn't end rightly breaks the client's connection", async () => {
  await using world = await startFront();
  const { front } = world;
  const many = `{"data":[${`${ROW},`.repeat(40_000)}${ROW}`;
  const open = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n";
  for (const [body, isWhole] of [
    [`${many}]}`, true],
    [many, false],
    [many.slice(0, -30), false],
    [`${many}]}<html>`, false],
  ] as const) {
    world.answerWith({ send: open + body, close: true });
    for (const ask of [ticks, select]) {
      const outcome = await ask(front.url).then(
        ({ body: { data } }) => `${data.length} rows`,
        () => "broken off",
      );
      expect(outcome).toBe(isWhole ? "40001 rows" : "broken off");
    }
  }
});

test("an answer without end is given up", async () => {
  await using world = await startFront();
  const { front } = world;
  await get(`${front.url}/live`);
  const before = peakMb(front.pid);
  for (const endless of ['{"prices":', '{"message":', "<html>"]) {
    world.answerWith({ endless });
    const { status, body } = await price(front.url);
    expect([status, body.details]).toEqual([
      502,
      expect.stringContaining("it has more than 134217728 bytes"),
    ]);
  }
  world.answerWith({ endless: '{"message":"' });
  expect((await ticks(front.url)).body.details).toContain("it has more than 1048576 bytes");
  const save = await saveTrade(front.url, "A", 1);
  expect([save.status, save.body.details]).toEqual([
    503,
    expect.stringContaining("it has more than 1048576 bytes"),
  ]);
  expect(peakMb(front.pid) - before).toBeLessThan(1_000);
  expect((await get(`${front.url}/live`)).status).toBe(200);
});

test("a proxy that refuses is named, without secrets and without following it elsewhere", async () => {
  await using world = await startFront();
  const { front } = world;
  const refusal = async (status: string, more = "") => {
    world.answerWith(answered("<h1>Basic ZGVzazpzM2NyZXQ=</h1>", { status, type: "text/html", more }));
    const answer = await price(front.url);
    expect(JSON.stringify(answer.body)).not.toMatch(/s3cret|ZGVzazpzM2NyZXQ/);
    return [answer.status, answer.body.error];
  };
  expect(await refusal("401 Unauthorized")).toEqual([502, "the upstream answered 401 Unauthorized"]);
  expect(await refusal("403 Forbidden")).toEqual([502, "the upstream answered 403 Forbidden"]);
  expect(await refusal("404 Not Found")).toEqual([502, "the upstream answered 404 Not Found"]);
  expect(await refusal("407 Proxy Authentication Required")).toEqual([
    502,
    "the upstream answered 407 Proxy Authentication Required",
  ]);
  expect(await refusal("302 Found", "Location: https://desk:s3cret@login.example/?token=abc\r\n")).toEqual([
    502,
    "the upstream answered 302 Found: it leads to https://desk:***@login.example/?token=***",
  ]);
  world.answerWith(answered("<h1>Bad Gateway</h1>", { status: "502 Bad Gateway", type: "text/html" }));
  const save = await saveTrade(front.url, "A", 1);
  expect([save.status, save.body.error]).toEqual([
    502,
    "the upstream answered 502 Bad Gateway; whether it was stored is unknown",
  ]);
  world.answerWith(answered(PAGE, { type: "text/html" }));
  const raw = await runSql(front.url, "DELETE FROM daily_prices");
  expect([raw.status, raw.body.error]).toEqual([
    503,
    "execute_sql: the upstream gave no answer to execute_sql; whether it changed anything is unknown",
  ]);
});

test("what is no stock database server is told from one by /health, and gets no request", async () => {
  let health: Act = answered(PAGE, { type: "text/html" });
  using peer = wrongUpstream(() => health);
  await using front = await startServer({ dbFile: `127.0.0.1:${peer.port}`, withoutDatabase: true });
  for (const [act, reason] of [
    [answered(PAGE, { type: "text/html" }), `it begins with ${PAGE}`],
    [answered('{"status":"ok"}'), "what answers there is no stock database server"],
    [answered(PAGE, { status: "503 Service Unavailable", type: "text/html" }), "what answers there is no"],
    [answered("", { status: "404 Not Found" }), "the upstream answered 404 Not Found"],
  ] as const) {
    health = act;
    const { status, body } = await get(`${front.url}/ready`);
    expect([status, body.message]).toEqual([503, expect.stringContaining(reason)]);
    expect((await saveTrade(front.url, "A", 1)).body.error).toBe(
      "save: the upstream doesn't answer; nothing was sent",
    );
  }
  await front.logged("what answers there is no stock database server");
  expect(peer.asked.every(({ path }) => path === "/health")).toBe(true);
});
