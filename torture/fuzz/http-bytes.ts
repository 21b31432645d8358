/** Requests with a few bytes changed, pieces of requests, and bytes that are no requests. */
import fc from "fast-check";
import { exchangeBytes } from "../exchange-bytes.ts";
import type { Fuzz } from "./fuzzes.ts";

const BODY = '{"command":"get_latest_price","params":{"ticker":"AAPL"}}';
const REQUESTS = [
  `POST /db_command HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
  `POST /db_command HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n39\r\n${BODY}\r\n0\r\n\r\n`,
  "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "GET /stats/tables?timeout=3 HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "GET /api/execute_sql?sql=SELECT%201 HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "GET /ws?symbol=IBM HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
];
const QUIET_MS = 30;
const SERVER_ERROR = /HTTP\/1\.1 500/;

interface Change {
  at: number;
  remove: number;
  insert: Uint8Array;
}

interface Input {
  requests: string[];
  changes: Change[];
}

export const httpBytes: Fuzz<Input> = {
  name: "http-bytes",
  input: () =>
    fc.record({
      requests: fc.array(fc.constantFrom(...REQUESTS), { minLength: 1, maxLength: 3 }),
      changes: fc.array(
        fc.record({
          at: fc.double({ min: 0, max: 1, noNaN: true }),
          remove: fc.nat({ max: 20 }),
          insert: fc.oneof(
            fc.uint8Array({ maxLength: 8 }),
            fc.constantFrom("\r\n", "\0", "\n", ": ", "%00", "\r\n\r\n").map((text) => Buffer.from(text)),
          ),
        }),
        { maxLength: 4 },
      ),
    }),
  async send(target, { requests, changes }) {
    let bytes = Buffer.from(requests.join(""), "latin1");
    for (const { at, remove, insert } of changes) {
      const place = Math.floor(at * bytes.length);
      bytes = Buffer.concat([bytes.subarray(0, place), insert, bytes.subarray(place + remove)]);
    }
    const answer = await exchangeBytes(target.port, bytes, QUIET_MS);
    if (SERVER_ERROR.test(answer)) throw new Error(`answered ${answer.slice(0, 400)}`);
  },
};
