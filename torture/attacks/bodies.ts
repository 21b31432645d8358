/** Bodies that are deep, long, packed, or not what they say. */
import { deflateSync, gzipSync } from "node:zlib";
import { type Attack, expectStatus } from "../attack.ts";

const PRICE = '{"command":"get_latest_price","params":{"ticker":"AAPL"}}';
const MIB = 2 ** 20;

const BAD: [what: string, body: string | Uint8Array<ArrayBuffer>, headers?: Record<string, string>][] = [
  ["5 million brackets", "[".repeat(5_000_000)],
  ["400,000 objects", `${'{"a":'.repeat(400_000)}1${"}".repeat(400_000)}`],
  [
    "a million arrays in a ticker",
    `{"command":"get_latest_price","params":{"ticker":${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}}}`,
  ],
  ["a body of 11 MB", "x".repeat(11 * MIB)],
  ["a gzip bomb", gzipped(Buffer.alloc(256 * MIB, "0")), { "content-encoding": "gzip" }],
  ["gzip in gzip", gzipped(gzipSync("{}")), { "content-encoding": "gzip, gzip" }],
  [
    "a deflate bomb",
    new Uint8Array(deflateSync(Buffer.alloc(64 * MIB, "0"))),
    { "content-encoding": "deflate" },
  ],
  ["no gzip", "zzz", { "content-encoding": "gzip" }],
  ["brotli", "zzz", { "content-encoding": "br" }],
  ["half a gzip", gzipped(PRICE.repeat(100)).slice(0, -8), { "content-encoding": "gzip" }],
  ["not UTF-8", Buffer.from(PRICE.replace("AAPL", "\xff\xfe"), "latin1")],
  ["a lone surrogate", PRICE.replace("AAPL", "\\ud800")],
  [
    "a million tickers",
    JSON.stringify({
      command: "get_latest_prices",
      params: { tickers: Array.from({ length: 1_000_000 }, (_, i) => `A${i}`) },
    }),
  ],
  ["an array", "[]"],
  ["a command from the prototype", '{"command":"constructor","params":{}}'],
  ["no command", '{"__proto__":{"command":"get_latest_price","params":{"ticker":"AAPL"}}}'],
];

export const BODIES: readonly Attack[] = [
  {
    name: "bad-bodies",
    about: "sends bodies that are too deep, too large, packed a thousandfold, or in another coding",
    // One thread parses what a request may hold: 10 MB take it a quarter of a second, as
    // docs/limits.md says.
    mayDelay: "a body of the largest size holds up its worker for a moment",
    async run(target) {
      for (const [what, body, headers] of BAD) {
        const answer = await target.post(body, headers);
        expectStatus(target, what, answer, [400, 413, 415]);
      }
    },
  },
  {
    name: "large-saves",
    about: "saves as many rows as a body may hold, and a row with 100,000 columns",
    mayDelay: "a body of the largest size holds up its worker for a moment",
    async run(target) {
      const data = Array.from({ length: 150_000 }, (_, i) => ({
        timestamp: 1_700_000_000_000_000 + i,
        price: 1,
        size: 1,
      }));
      const params = { ticker: "LARGE", data_type: "trade", index_col: "timestamp", data };
      expectStatus(target, "150,000 rows", await target.command("save_realtime_data", params), [200]);
      const columns = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`c${i}`, 1]));
      const wide = [{ timestamp: "2024-01-01", price: 1, size: 1, ...columns }];
      const answer = await target.command("save_realtime_data", { ...params, ticker: "WIDE", data: wide });
      expectStatus(target, "100,000 columns", answer, [200, 400]);
    },
  },
];

function gzipped(bytes: Uint8Array | string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(gzipSync(bytes, { level: 9 }));
}
