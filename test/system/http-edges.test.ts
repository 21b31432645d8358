/**
 * HTTP as odd clients, careless users and hostile web pages speak it. One server for the whole
 * file.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { rawExchange } from "../support/raw-http.ts";
import { get } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";

setDefaultTimeout(180_000);

const MIB = 1024 * 1024;
/** Enough that no machine answers them within one round of the event loop. */
const FLOOD = 200_000;
const ASK = '{"command":"get_latest_price","params":{"ticker":"AAPL"}}';

let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ workers: 2, flags: ["--max-body-mb", "1", "--allow-host", "desk.example"] });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** A POST /db_command; `headers` replaces Host and Content-Type. */
function request(
  body: string | Uint8Array,
  headers: Record<string, string | null> = {},
  version = "1.1",
): Uint8Array {
  const all = {
    Host: "localhost",
    "Content-Type": "application/json",
    "Content-Length": String(Buffer.byteLength(body)),
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`]));
  const head = `POST /db_command HTTP/${version}\r\n${lines.join("\r\n")}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.from(body)]);
}

async function post(body: string | Uint8Array, headers: Record<string, string | null> = {}, version = "1.1") {
  const [answer] = await rawExchange(server.port, [request(body, headers, version)]);
  expect(answer).toBeDefined();
  expect(answer!.headers.get("content-type")).toBe("application/json; charset=utf-8");
  return { status: answer!.status, headers: answer!.headers, body: JSON.parse(answer!.body) };
}

describe("foreign web pages", () => {
  test("Host must be an address, localhost, or a name that was allowed", async () => {
    const hosts = [
      "localhost",
      "LocalHost:8080",
      "127.0.0.1",
      "127.0.0.1:80",
      "[::1]:8080",
      "desk.example:8080",
    ];
    for (const Host of hosts) expect([Host, (await post(ASK, { Host })).status]).toEqual([Host, 200]);
    for (const Host of [
      "evil.example",
      "localhost.evil.example",
      "desk.example.evil.example",
      "127.0.0.1.evil.example",
    ]) {
      const { status, body } = await post(ASK, { Host });
      expect([Host, status]).toEqual([Host, 403]);
      expect(body.error).toContain(Host);
    }
  });

  test("the guard stands before every route", async () => {
    for (const path of ["/", "/health", "/stats/pool", "/api/execute_sql?sql=SELECT+1", "/nope"]) {
      const [answer] = await rawExchange(server.port, [`GET ${path} HTTP/1.1\r\nHost: evil.example\r\n\r\n`]);
      expect([path, answer?.status]).toEqual([path, 403]);
    }
  });

  test("a WebSocket's Origin must be the server's own or allowed", async () => {
    const handshake = async (Origin: string | null, host = `localhost:${server.port}`) => {
      const [answer] = await rawExchange(server.port, [
        `GET /ws?symbol=A HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
          `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${Origin === null ? "" : `Origin: ${Origin}\r\n`}\r\n`,
      ]);
      return answer?.status;
    };
    expect(await handshake(null)).toBe(101);
    expect(await handshake(`http://localhost:${server.port}`)).toBe(101);
    expect(await handshake("https://desk.example")).toBe(101);
    expect(await handshake("http://evil.example")).toBe(403);
    expect(await handshake("http://localhost:3000")).toBe(403);
    expect(await handshake("null")).toBe(403);
    expect(await handshake("http://evil.example", "evil.example")).toBe(403);
  });

  test("only JSON is taken: what a page may send without asking is 415", async () => {
    for (const type of [
      null,
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
    ]) {
      expect((await post(ASK, { "Content-Type": type })).status).toBe(415);
    }
    for (const type of [
      "application/json;charset=utf-8",
      "Application/JSON; charset=UTF-8",
      "application/json ; x=y",
    ]) {
      expect((await post(ASK, { "Content-Type": type })).status).toBe(200);
    }
  });
});

describe("methods", () => {
  const ROUTES: [path: string, allow: string][] = [
    ["/db_command", "POST, OPTIONS"],
    ["/ws", "GET, OPTIONS"],
    ["/health", "GET, HEAD, POST, OPTIONS"],
    ["/stats/pool", "GET, HEAD, OPTIONS"],
    ["/api/execute_sql", "GET, HEAD, OPTIONS"],
  ];
  for (const [path, allow] of ROUTES) {
    test(`${path}: other methods are 405 with Allow, OPTIONS is 204`, async () => {
      for (const method of ["DELETE", "PUT", "PATCH"]) {
        const answer = await fetch(`${server.url}${path}`, { method });
        expect([method, answer.status, answer.headers.get("allow")]).toEqual([method, 405, allow]);
        expect(((await answer.json()) as { error: string }).error).toContain(method);
      }
      const options = await fetch(`${server.url}${path}`, { method: "OPTIONS" });
      expect([options.status, options.headers.get("allow"), await options.text()]).toEqual([204, allow, ""]);
      expect(options.headers.get("access-control-allow-origin")).toBeNull();
    });
  }

  test("HEAD has the headers of GET and no body", async () => {
    const head = await fetch(`${server.url}/health`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    expect(Number(head.headers.get("content-length"))).toBeGreaterThan(50);
  });
});

describe("bodies", () => {
  const stillAnswers = async () => expect((await post(ASK)).status).toBe(200);

  test("too large, announced: 413 before it is sent", async () => {
    const [answer] = await rawExchange(server.port, [request("", { "Content-Length": String(50 * MIB) })]);
    expect(answer?.status).toBe(413);
    expect(JSON.parse(answer!.body).error).toContain("--max-body-mb");
    await stillAnswers();
  });

  test("too large, in chunks: 413, and the rest is not waited for", async () => {
    const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
    const head = request("", { "Content-Length": null, "Transfer-Encoding": "chunked" });
    const [answer] = await rawExchange(server.port, [head, ...Array.from({ length: 30 }, () => chunk)]);
    expect(answer?.status).toBe(413);
    expect(JSON.parse(answer!.body).error).toContain("--max-body-mb");
    await stillAnswers();
  });

  test("exactly the limit is taken", async () => {
    const padded = ASK + " ".repeat(MIB - ASK.length);
    expect((await post(padded)).status).toBe(200);
    expect((await post(`${padded} `)).status).toBe(413);
  });

  test("chunked, gzip and deflate are read; other encodings are 415", async () => {
    const half = ASK.length >> 1;
    const hex = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
    const chunks = [hex(ASK.slice(0, half)), hex(ASK.slice(half)), "0\r\n\r\n"];
    const head = request("", { "Content-Length": null, "Transfer-Encoding": "chunked" });
    expect((await rawExchange(server.port, [head, ...chunks]))[0]?.status).toBe(200);
    expect((await post(gzipSync(ASK), { "Content-Encoding": "gzip" })).status).toBe(200);
    expect((await post(ASK, { "Content-Encoding": "br" })).status).toBe(415);
    expect((await post(ASK, { "Content-Encoding": "gzip" })).status).toBe(400);
  });

  test("a gzip bomb is 413 without being unpacked to its end", async () => {
    const bomb = gzipSync(Buffer.alloc(300 * MIB, " "));
    expect(bomb.length).toBeLessThan(MIB);
    expect((await post(bomb, { "Content-Encoding": "gzip" })).status).toBe(413);
    await stillAnswers();
  });

  test("a client that leaves amid its body is no error of the server's", async () => {
    // Again, if it left before the server had begun to read.
    await waitUntil("it is logged that it left", async () => {
      const socket = connect(server.port, "127.0.0.1");
      const { promise: sent, resolve } = Promise.withResolvers<void>();
      socket.write(request('{"com', { "Content-Length": "1000" }), () => resolve());
      await sent;
      await Bun.sleep(100);
      socket.destroy();
      await Bun.sleep(100);
      return server.log().includes('HTTP/1.1" 499 ');
    });
    expect(server.log()).not.toContain("[ERROR]");
    await stillAnswers();
  });

  test("invalid JSON, invalid UTF-8 and deep nesting are 400", async () => {
    const bodies = ["", "{", "[]", "1", '"text"', new Uint8Array([0x7b, 0xff, 0x7d]), "[".repeat(200_000)];
    for (const body of bodies) expect((await post(body)).status).toBe(400);
    await stillAnswers();
  });
});

describe("connections", () => {
  test("a body with announced trailers is the last of its connection", async () => {
    const [answer] = await rawExchange(server.port, [
      `POST /db_command HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n` +
        `${ASK.length.toString(16)}\r\n${ASK}\r\n0\r\nX-Checksum: 1\r\n\r\n`,
    ]);
    expect([answer?.status, answer?.headers.get("connection")]).toEqual([200, "close"]);
  });

  test("HTTP/1.0 without Host is answered", async () => {
    expect((await post(ASK, { Host: null }, "1.0")).status).toBe(200);
    for (const target of ["/health", "/health?from=http://host/path"]) {
      const [health] = await rawExchange(server.port, [`GET ${target} HTTP/1.0\r\n\r\n`]);
      expect(health?.status).toBe(200);
    }
  });

  test("pipelined requests are answered in their order", async () => {
    const tickers = Array.from({ length: 20 }, (_, i) => `T${i}`);
    const requests = tickers.map((ticker) =>
      request(JSON.stringify({ command: "get_latest_price", params: { ticker } })),
    );
    const answers = await rawExchange(server.port, [Buffer.concat(requests)], tickers.length);
    expect(answers.map((answer) => JSON.parse(answer.body).ticker)).toEqual(tickers);
  });

  test("paths that are none are 404 in JSON, whatever they hold", async () => {
    for (const path of [
      "/nope",
      "/health/",
      "//health",
      "/%zz",
      "/%00",
      "/..%2f..%2fetc/passwd",
      `/${"x".repeat(9000)}`,
    ]) {
      const [answer] = await rawExchange(server.port, [`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`]);
      expect([path.slice(0, 30), answer?.status]).toEqual([path.slice(0, 30), 404]);
      expect(JSON.parse(answer!.body).error).toBe("Not Found");
    }
  });
});

test("the probes say who answers, and that the database does", async () => {
  for (const path of ["/", "/health", "/healthz", "/ready", "/live"]) {
    const { status, body } = await get(server.url + path);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      status: "healthy",
      database: { db_type: "sqlite" },
      process: { multiprocess_mode: true },
    });
    expect([0, 1]).toContain(body.process.worker_id);
  }
});

test("wrong uses of the statistics are 400, and a passed time limit is 504", async () => {
  for (const timeout of ["0", "-1", "x", "", "1e9"]) {
    expect((await get(`${server.url}/stats/tables?timeout=${timeout}`)).status).toBe(400);
  }
  expect((await get(`${server.url}/stats/tables?timeout=0.000001`)).status).toBe(504);
  for (const stat of ["tables", "database", "performance", "pool"]) {
    expect([stat, (await get(`${server.url}/stats/${stat}`)).status]).toEqual([stat, 200]);
  }
});

test("requests sent without waiting for answers: some are answered in turn, a flood is ended", async () => {
  const one = "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const few = await rawExchange(server.port, [one.repeat(20)], 20);
  expect(few.map(({ status }) => status)).toEqual(Array(20).fill(200));

  const socket = connect(server.port, "127.0.0.1");
  let answers = 0;
  let rest = "";
  const ended = new Promise<void>((resolve) => {
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
    socket.on("data", (bytes) => {
      const parts = (rest + bytes.toString("latin1")).split("HTTP/1.1 200");
      rest = parts.at(-1)!.slice(-20);
      answers += parts.length - 1;
      if (answers >= FLOOD) resolve();
    });
  });
  socket.write(one.repeat(FLOOD));
  await ended;
  socket.destroy();
  expect(answers).toBeLessThan(FLOOD);
  expect((await get(`${server.url}/live`)).status).toBe(200);
});
