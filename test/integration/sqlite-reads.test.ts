/** Reads of a SQLite file that other programs have written to, and of clients that have gone. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import type { JsonRows, TickRow } from "../../src/storage/contract.ts";
import { SqliteReader } from "../../src/storage/sqlite/sqlite-reader.ts";
import { SqliteWriter } from "../../src/storage/sqlite/sqlite-writer.ts";
import { tempDir } from "../support/temp-dir.ts";

const STAMP = "2024-01-02 10:00:00.";

test("a ticker that is no text is no ticker, for a greeting as for get_tickers", () => {
  using dir = tempDir();
  const path = join(dir.path, "a.db");
  new SqliteWriter(path, "full", null, null).close();
  const other = new Database(path);
  other.run(
    "INSERT INTO daily_prices (ticker, date, close) VALUES (x'4142', '2024-01-02', 5), ('A', '2024-01-02', 5)",
  );
  other.close();
  const reader = new SqliteReader(path, 2);
  try {
    expect(reader.tickers("daily", null, 10)).toEqual(["A"]);
  } finally {
    reader.close();
  }
});

test("a read whose client has gone doesn't wait for a connection any more", async () => {
  using dir = tempDir();
  const path = join(dir.path, "a.db");
  const writer = new SqliteWriter(path, "full", null, null);
  const rows = Array.from(
    { length: 2_000 },
    (_, i): TickRow => [STAMP + String(i).padStart(6, "0"), i, 1, null, null, null],
  );
  writer.commit([{ kind: "ticks", ticker: "A", part: "trade", rows, onDuplicate: "append" }]);
  writer.close();
  const reader = new SqliteReader(path, 2);
  const read = async (signal?: AbortSignal): Promise<JsonRows> =>
    reader.rows({ kind: "ticks", ticker: "A", part: "trade", from: null, to: null }, signal);
  try {
    const first = await read();
    const gone = new AbortController();
    const left = read(gone.signal);
    const next = read();
    gone.abort();
    await expect(left).rejects.toMatchObject({ status: 499 });
    await end(first);
    await end(await next);
  } finally {
    reader.close();
  }
});

async function end(rows: JsonRows): Promise<void> {
  if (!rows.empty && "chunks" in rows) await rows.chunks[Symbol.asyncIterator]().return?.();
  else throw new Error("no stream");
}
