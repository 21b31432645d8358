/**
 * SQL that the hub runs for its workers, on a real DuckDB: in how many pieces the answer crosses.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { ReadToWorker } from "../../src/hub/messages.ts";
import { ReadServer } from "../../src/hub/read-server.ts";
import { openDuckDb } from "../../src/storage/duckdb/open.ts";
import { waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

test("a small answer is one message, so that a client is answered whole or told 503; a large one is read piece by piece", async () => {
  using dir = tempDir();
  const path = join(dir.path, "test.duckdb");
  const database = await openDuckDb({ path, memoryLimitMb: 256, threads: 2, onFatal() {} });
  try {
    const sent: { message: ReadToWorker; text: string }[] = [];
    const server = new ReadServer({ ...database, written() {} }, (message, attachment) =>
      sent.push({ message, text: Buffer.concat([attachment ?? []].flat()).toString() }),
    );
    const ask = async (id: number, sql: string) => {
      const request = { sql, params: [], mode: "read" as const, maxRows: 1_000_000 };
      server.receive({ type: "sql", id, request, timeoutMs: 10_000 });
      return await waitUntil(`statement ${id} is answered`, () =>
        sent.find(({ message }) => message.id === id),
      );
    };
    for (const [id, sql, text] of [
      [1, "SELECT 1 AS n", '[{"n":1}]'],
      [2, "SELECT 1 AS n WHERE false", "[]"],
    ] as const) {
      const answer = await ask(id, sql);
      expect(answer.message).toEqual({ type: "piece", id, more: false, rows: id === 1 ? 1 : 0 });
      expect(answer.text).toBe(text);
    }
    const large = await ask(3, "SELECT range AS n FROM range(100000)");
    expect(large.message).toEqual({ type: "piece", id: 3, more: true, rows: 100_000 });
    server.close();
  } finally {
    await database.close();
  }
});

test("what a database that has closed refuses is a 503 that says when to come back", async () => {
  using dir = tempDir();
  const path = join(dir.path, "test.duckdb");
  const database = await openDuckDb({ path, memoryLimitMb: 256, threads: 2, onFatal() {} });
  const sent: ReadToWorker[] = [];
  const server = new ReadServer({ ...database, written() {} }, (message) => sent.push(message));
  await database.close();
  const request = { sql: "SELECT 1 AS n", params: [], mode: "read" as const, maxRows: 10 };
  server.receive({ type: "sql", id: 1, request, timeoutMs: 10_000 });
  server.receive({ type: "read", id: 2, name: "latestPrice", args: ["A"] });
  await waitUntil("both are answered", () => sent.length === 2);
  for (const message of sent) expect(message).toMatchObject({ type: "failed", status: 503, retryAfterS: 1 });
});
