/** Reads of a SQLite file that other programs have written to, and of clients that have gone. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { renameSync } from "node:fs";
import { join } from "node:path";
import type { JsonRows, TickRow } from "../../src/storage/contract.ts";
import { SqliteReader } from "../../src/storage/sqlite/reader.ts";
import { SqliteWriter } from "../../src/storage/sqlite/writer.ts";
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
  const path = fileOfTicks(dir.path);
  const reader = new SqliteReader(path, 2);
  const read = (signal?: AbortSignal): Promise<JsonRows> => readTicks(reader, signal);
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

test("reads that wait for a connection are refused at once when there can be no other", async () => {
  using dir = tempDir();
  const path = fileOfTicks(dir.path);
  const reader = new SqliteReader(path, 2);
  try {
    const first = await readTicks(reader);
    const waiting = [readTicks(reader), readTicks(reader), readTicks(reader)];
    const refused = Promise.allSettled(waiting);
    const other = new Database(path);
    other.run("DROP TABLE realtime_data");
    other.close();
    renameSync(path, `${path}.away`);
    await end(first);
    const reason = { status: 503, message: "read: the database refused it" };
    expect(await refused).toMatchObject([{ reason }, { reason }, { reason }]);
  } finally {
    reader.close();
  }
});

/** More trades than one piece of an answer holds. */
function fileOfTicks(folder: string): string {
  const path = join(folder, "a.db");
  const writer = new SqliteWriter(path, "full", null, null);
  const rows = Array.from(
    { length: 2_000 },
    (_, i): TickRow => [STAMP + String(i).padStart(6, "0"), i, 1, null, null, null, null, null],
  );
  writer.commit([{ kind: "ticks", ticker: "A", part: "trade", rows, onDuplicate: "match" }]);
  writer.close();
  return path;
}

async function readTicks(reader: SqliteReader, signal?: AbortSignal): Promise<JsonRows> {
  return reader.rows({ kind: "ticks", ticker: "A", part: "trade", from: null, to: null }, signal);
}

async function end(rows: JsonRows): Promise<void> {
  if (!rows.empty && "chunks" in rows) await rows.chunks[Symbol.asyncIterator]().return?.();
  else throw new Error("no stream");
}
