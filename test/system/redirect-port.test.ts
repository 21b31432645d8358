/** `--redirect-port` answers plain HTTP with the address under https, and serves nothing. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { selfSigned } from "../support/certificates.ts";
import { failingStart } from "../support/failing-start.ts";
import { freePort } from "../support/free-port.ts";
import { rawExchange } from "../support/raw-http.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

const folder = tempDir();
const { cert, key } = selfSigned(folder.path, "own");
const TLS = ["--tls-cert", cert, "--tls-key", key];

let port: number;
let server: RunningServer;

beforeAll(async () => {
  port = await freePort();
  const flags = [...TLS, "--redirect-port", String(port), "--allow-host", "desk.example"];
  server = await startServer({ flags, workers: 2 });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

/** The status, and where it leads to. */
async function ask(request: string): Promise<[number | undefined, string | undefined]> {
  const [answer] = await rawExchange(port, [`${request}\r\n\r\n`]);
  return [answer?.status, answer?.headers.get("location")];
}

test("every request leads to the same under https", async () => {
  const https = `:${server.port}`;
  for (const [request, location] of [
    ["GET / HTTP/1.1\r\nHost: localhost", `https://localhost${https}/`],
    [`GET /health HTTP/1.1\r\nHost: 127.0.0.1:${port}`, `https://127.0.0.1${https}/health`],
    [
      "GET /v1/bars?symbols=A%2CB HTTP/1.1\r\nHost: desk.example",
      `https://desk.example${https}/v1/bars?symbols=A%2CB`,
    ],
    [
      "POST /db_command HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
      `https://localhost${https}/db_command`,
    ],
    ["DELETE /x HTTP/1.1\r\nHost: [::1]:80", `https://[::1]${https}/x`],
    ["GET //evil.example/x HTTP/1.1\r\nHost: localhost", `https://localhost${https}//evil.example/x`],
    ["GET http://evil.example/x HTTP/1.1\r\nHost: localhost", `https://localhost${https}/x`],
  ] as const)
    expect([request, await ask(request)]).toEqual([request, [308, location]]);
  const followed = await fetch(`http://localhost:${port}/health`, { tls: { rejectUnauthorized: false } });
  expect([followed.status, followed.url]).toEqual([200, `https://localhost${https}/health`]);
});

test("names of others, none, and WebSockets are refused", async () => {
  for (const host of ["evil.example", "localhost@evil.example", "localhost.evil.example", "desk.example:x"])
    expect([host, await ask(`GET / HTTP/1.1\r\nHost: ${host}`)]).toEqual([host, [403, undefined]]);
  expect((await ask("GET / HTTP/1.0"))[1]).toBeUndefined();
  const handshake = [
    ...["GET /ws?symbol=A HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket"],
    ...["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="],
  ];
  expect(await ask(handshake.join("\r\n"))).toEqual([426, undefined]);
});

test("it goes on when workers are replaced", async () => {
  const before = processesOf(server).workers;
  process.kill(server.pid, "SIGHUP");
  await waitUntil("both are new", () => {
    const { workers } = processesOf(server);
    return workers.length === 2 && !workers.some((worker) => before.includes(worker));
  });
  await server.logged("Rolling restart done");
  expect((await ask("GET / HTTP/1.1\r\nHost: localhost"))[0]).toBe(308);
});

test("without TLS, on the port of https, or on a port of another program it doesn't start", async () => {
  const database = ["--db-file", join(folder.path, "a.db")];
  for (const [flags, expected] of [
    [["--port", "0", "--redirect-port", "8081"], "expected --tls-cert and --tls-key"],
    [["--port", "8443", "--redirect-port", "8443", ...TLS], "expected another one"],
    [["--port", "0", "--redirect-port", String(port), ...TLS], `Port ${port} on`],
  ] as [string[], string][]) {
    const { code, output } = await failingStart([...database, ...flags]);
    expect([code, output]).toEqual([1, expect.stringContaining(expected)]);
  }
});
