/**
 * The transcript, and what it leaves open: the lengths that HEAD tells, and what follows a first
 * answer.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type RunningServer, startServer } from "../support/server.ts";
import { exchange } from "./http-exchange.ts";
import { describeTranscript } from "./transcript-tests.ts";

setDefaultTimeout(120_000);

await describeTranscript("http");

describe("HTTP", () => {
  const DEADLINE_MS = 15_000;
  let server: RunningServer;

  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  const send = (lines: string[], isHead = false) =>
    exchange({
      port: server.port,
      request: Buffer.from(lines.join("\r\n")),
      isHead,
      untilClosed: true,
      deadlineMs: DEADLINE_MS,
    });

  test("HEAD is answered as GET is, without the body", async () => {
    for (const path of ["/health", "/nope"]) {
      const request = (method: string) => [
        `${method} ${path} HTTP/1.1`,
        "Host: localhost",
        "Connection: close",
        "",
        "",
      ];
      const head = await send(request("HEAD"), true);
      const get = await send(request("GET"));
      expect(head.status).toBe(get.status);
      expect(head.headers.get("content-type")).toBe(get.headers.get("content-type"));
      expect(head.headers.get("content-length")).toBe(String(get.body.length));
      expect(head.rest).toHaveLength(0);
    }
  });

  test("requests sent without waiting are answered in order", async () => {
    const answer = await send([
      "GET /first HTTP/1.1",
      "Host: localhost",
      "",
      "GET /second HTTP/1.1",
      "Host: localhost",
      "Connection: close",
      "",
      "",
    ]);
    expect(answer.body.toString()).toContain("'/first' not found");
    expect(answer.rest.toString()).toContain("'/second' not found");
  });

  test("a body announced with Expect: 100-continue is asked for, then answered", async () => {
    const body = '{"command":"get_latest_price","params":{"ticker":"A"}}';
    const answer = await send([
      "POST /db_command HTTP/1.1",
      "Host: localhost",
      "Connection: close",
      "Content-Type: application/json",
      "Expect: 100-continue",
      `Content-Length: ${body.length}`,
      "",
      body,
    ]);
    expect(answer.status).toBe(100);
    expect(answer.rest.toString()).toMatch(
      /^HTTP\/1\.1 200 OK\r\n[\s\S]*"ticker": ?"A", ?"latest_price": ?null\}/,
    );
  });

  describe("a command whose body is cut or malformed", () => {
    const command = '{"command":"get_latest_price","params":{"ticker":"A"}}';
    const head = ["POST /db_command HTTP/1.1", "Host: localhost", "Content-Type: application/json"];

    test("is refused for a bad chunk", async () => {
      const answer = await send([...head, "Transfer-Encoding: chunked", "", "zz", command, "0", "", ""]);
      expect(answer.status).toBe(400);
    });

    test("is waited for while it is incomplete", async () => {
      const request = Buffer.from(
        [...head, `Content-Length: ${command.length + 1}`, "", command].join("\r\n"),
      );
      const options = { port: server.port, request, isHead: false, untilClosed: false, deadlineMs: 500 };
      expect((await exchange(options)).status).toBe(0);
    });

    test("is answered, and what follows it is a request of its own", async () => {
      const answer = await send([
        ...head,
        `Content-Length: ${command.length}`,
        "",
        `${command}GARBAGE`,
        "",
        "",
      ]);
      expect(answer.status).toBe(200);
      expect(answer.rest.toString()).toStartWith("HTTP/1.1 400 ");
    });
  });

  test("answers are for no other origin to read", async () => {
    const answer = await fetch(`${server.url}/health`, { headers: { origin: "http://example.test" } });
    expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
  });
});
