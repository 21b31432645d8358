/** Bytes on a connection that are no HTTP, or HTTP that nobody should send. */
import type { Attack, Target } from "../attack.ts";
import { exchangeBytes } from "../exchange-bytes.ts";

const BODY = '{"command":"get_latest_price","params":{"ticker":"AAPL"}}';
const SIZE = BODY.length;
const JSON_TYPE = "Content-Type: application/json\r\n";
const SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
/** After this long without a byte the answer is taken as it is. */
const QUIET_MS = 400;

interface Exchange {
  what: string;
  bytes: string;
  /** Statuses of the only answer. Empty: closed without one is right as well. */
  statuses: readonly number[];
}

const REFUSED = [400, 403, 404, 405, 413, 414, 415, 417, 431, 501, 505];

const EXCHANGES: Exchange[] = [
  refused("both lengths", chunked(`Content-Length: ${5 + SMUGGLED.length}\r\n`, `0\r\n\r\n${SMUGGLED}`)),
  refused("chunks and a short length", chunked("Content-Length: 6\r\n", "0\r\n\r\nX")),
  refused("two lengths", post(`Content-Length: 5\r\nContent-Length: ${SIZE}\r\n`)),
  refused("a list of lengths", post(`Content-Length: ${SIZE}, ${SIZE}\r\n`)),
  ...["+57", "0x39", "-1", "99999999999999999999999"].map((length) =>
    refused(`a length of ${length}`, post(`Content-Length: ${length}\r\n`)),
  ),
  refused("a blank before the colon", post(`Content-Length : ${SIZE}\r\n`)),
  refused(
    "an unknown coding",
    `POST /db_command HTTP/1.1\r\nHost: localhost\r\n${JSON_TYPE}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  ),
  refused("a folded header", "GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\n folded\r\n\r\n"),
  refused("bare line feeds", "GET /health HTTP/1.1\nHost: localhost\n\n"),
  refused("a NUL in a header", "GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n"),
  ...["zz", "ffffffffffffffffff", "-1"].map((size) =>
    refused(`a chunk of ${size}`, chunked("", `${size}\r\n${BODY}\r\n0\r\n\r\n`)),
  ),
  refused("chunks with line feeds", chunked("", `39\n${BODY}\n0\n\n`)),
  refused("no end of a chunk", chunked("", `39\r\n${BODY}XX0\r\n\r\n`)),
  refused("HTTP/0.9", "GET /health\r\n"),
  refused("HTTP/2.0", "GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n"),
  refused("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  refused("no host", "GET /health HTTP/1.1\r\n\r\n"),
  refused("two hosts", "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"),
  refused("an unknown method", "FOO /health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
  refused("TRACE", "TRACE /health HTTP/1.1\r\nHost: localhost\r\nX-Secret: 1\r\n\r\n"),
  refused("CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
  refused("a long path", `GET /${"a".repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`),
  refused(
    "300 headers",
    `GET /live HTTP/1.1\r\nHost: localhost\r\n${Array.from({ length: 300 }, (_, i) => `X-${i}: 1\r\n`).join("")}\r\n`,
  ),
  refused("a header of 64 KB", `GET /live HTTP/1.1\r\nHost: localhost\r\nX: ${"a".repeat(65_536)}\r\n\r\n`),
  ...[
    "evil.example",
    "localhost@evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1.nip.io",
    "localhost/evil",
    "localhost,evil.example",
    "foo.localhost",
    "localhost..",
    "",
  ].map((host) => refused(`the host "${host}"`, `GET /live HTTP/1.1\r\nHost: ${host}\r\n\r\n`)),
  ...[
    "/../../etc/passwd",
    "/..%2f..%2fetc/passwd",
    "/%64b_command",
    "//db_command",
    "/db_command%00",
    "/%ff%fe",
    "/health%0d%0aX:1",
    "/stats/../../etc/passwd",
  ].map((path) => refused(`the path ${path}`, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)),
  {
    what: "a chunk with an extension",
    bytes: chunked("", `39;a=b\r\n${BODY}\r\n0\r\n\r\n`),
    statuses: [200, 400],
  },
  { what: "three requests at once", bytes: "GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n", statuses: [200] },
];

export const HTTP_BYTES: readonly Attack[] = [
  {
    name: "http-bytes",
    about: "sends what is no HTTP, or smuggles one request within another, each on a connection of its own",
    async run(target) {
      for (const exchange of EXCHANGES) await send(target, exchange);
    },
  },
  {
    name: "http-random-bytes",
    about: "sends random bytes, and real requests with random bytes changed",
    async run(target) {
      const deadline = performance.now() + target.seconds * 500;
      while (performance.now() < deadline) {
        const request = Buffer.from(post(`Content-Length: ${SIZE}\r\n`), "latin1");
        for (let i = 0; i < 4; i++)
          request[Math.floor(target.random() * request.length)] = Math.floor(target.random() * 256);
        await exchangeBytes(target.port, request, 60);
      }
    },
  },
];

async function send(target: Target, { what, bytes, statuses }: Exchange): Promise<void> {
  const answer = await exchangeBytes(target.port, Buffer.from(bytes, "latin1"), QUIET_MS);
  const got = [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
  if (answer.includes("smuggled")) target.complain(`${what}: the request within was answered`);
  if (got.length > 1) target.complain(`${what}: ${got.length} answers to one request: ${got.join(", ")}`);
  const [first] = got;
  if (first !== undefined && !statuses.includes(first))
    target.complain(`${what}: answered ${first}, expected ${statuses.join(", ")}`);
}

function refused(what: string, bytes: string): Exchange {
  return { what, bytes, statuses: REFUSED };
}

function post(headers: string): string {
  return `POST /db_command HTTP/1.1\r\nHost: localhost\r\n${JSON_TYPE}${headers}\r\n${BODY}`;
}

function chunked(headers: string, body: string): string {
  return `POST /db_command HTTP/1.1\r\nHost: localhost\r\n${JSON_TYPE}${headers}Transfer-Encoding: chunked\r\n\r\n${body}`;
}
