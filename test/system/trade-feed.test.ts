/**
 * A feed of real trades, a request for each over 16 connections, loses none: with ids or identities
 * of requests whatever happens to the server. FEED_FILE names a larger file of trades, FEED_ROWS
 * how many of it are sent.
 */
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { freePort } from "../support/free-port.ts";
import { usePostgres } from "../support/postgres.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

const CONNECTIONS = 16;
const RETRY_MS = 50;
const FILE = process.env.FEED_FILE ?? join(import.meta.dir, "../../sample/ibm-trades.csv.gz");
const ROWS = Number(process.env.FEED_ROWS ?? 1_500);

setDefaultTimeout(600_000);

const postgres = usePostgres();
let dir: ReturnType<typeof tempDir>;
beforeEach(() => {
  dir = tempDir();
});
afterEach(() => dir[Symbol.dispose]());

const trades = gunzipSync(readFileSync(FILE))
  .toString()
  .split("\n")
  .slice(1, ROWS + 1)
  .map((line) => {
    const [timestamp, price, size] = line.split(",");
    return { timestamp, price: Number(price), size: Number(size) };
  });
const volume = trades.reduce((sum, { size }) => sum + size, 0);

interface SaveAnswer {
  rows: number;
  stored: number;
  replaced: number;
  repeated: number | true;
  skipped: number;
}

/** Sends it until it is answered with 200. */
async function send(url: string, body: object, headers: Record<string, string>): Promise<SaveAnswer> {
  for (;;) {
    const answer = await fetch(`${url}/db_command`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    }).catch(() => null);
    // A server that is killed breaks off its answer.
    const json = await answer?.json().catch(() => null);
    if (json != null && answer?.status === 200) return json as SaveAnswer;
    if (json != null && answer!.status < 500) throw new Error(JSON.stringify(json));
    await Bun.sleep(RETRY_MS);
  }
}

/** @param sent called with the number of trades that were answered. */
async function feed(url: string, mode: "keys" | "ids" | "values", sent: (count: number) => void) {
  const answers: SaveAnswer[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (next < trades.length) {
        const index = next++;
        const trade = mode === "ids" ? { ...trades[index]!, trade_id: index } : trades[index]!;
        const params = { ticker: "FEED", data_type: "trade", index_col: "timestamp", data: [trade] };
        const headers: Record<string, string> = mode === "keys" ? { "Idempotency-Key": `feed-${index}` } : {};
        answers.push(await send(url, { command: "save_realtime_data", params }, headers));
        sent(answers.length);
      }
    }),
  );
  return answers;
}

async function stored(server: RunningServer): Promise<{ size: number }[]> {
  const { body } = await server.command<{ data: { size: number }[] }>("get_realtime_data", {
    ticker: "FEED",
    data_type: "trade",
  });
  return body.data;
}

const ENGINES: [name: string, dbFile: () => Promise<string>][] = [
  ["SQLite", async () => join(dir.path, "feed.db")],
  ["DuckDB", async () => join(dir.path, "feed.duckdb")],
  ["PostgreSQL", () => postgres.freshSchema()],
];

for (const [engine, dbFileOf] of ENGINES) {
  for (const mode of ["keys", "ids"] as const) {
    test(`${engine}: with ${mode}, the server killed and started again: all that was sent is stored`, async () => {
      const dbFile = await dbFileOf();
      const port = await freePort();
      const start = () => startServer({ dbFile, workers: 2, flags: ["--port", String(port)] });
      let server = await start();
      let restarts = 0;
      let restarting: Promise<void> = Promise.resolve();
      const answers = await feed(server.url, mode, (count) => {
        if (restarts === 2 || count < ((restarts + 1) * trades.length) / 3) return;
        restarts++;
        restarting = server.stop("SIGKILL").then(async () => {
          server = await start();
        });
      });
      await restarting;
      await using running = server;
      expect(restarts).toBe(2);
      const rows = await stored(running);
      expect(rows.length).toBe(trades.length);
      expect(rows.reduce((sum, { size }) => sum + size, 0)).toBe(volume);
      if (mode === "keys") {
        // What was answered twice is answered as the first time.
        expect(answers.reduce((sum, answer) => sum + answer.stored, 0)).toBe(trades.length);
      }
    });
  }

  test(`${engine}: with neither, the counts of the answers add up to what is stored`, async () => {
    await using server = await startServer({ dbFile: await dbFileOf(), workers: 2 });
    const answers = await feed(server.url, "values", () => {});
    const sum = { stored: 0, repeated: 0 };
    for (const { rows, stored, replaced, repeated, skipped } of answers) {
      expect([rows, replaced, skipped]).toEqual([1, 0, 0]);
      sum.stored += stored;
      sum.repeated += Number(repeated);
    }
    expect((await stored(server)).length).toBe(sum.stored);
    expect(sum.stored + sum.repeated).toBe(trades.length);
    expect(sum.repeated).toBeGreaterThan(0);
    await server.logged("were taken for repetitions");
  });
}
