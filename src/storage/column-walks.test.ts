import { expect, test } from "bun:test";
import { join } from "node:path";
import { tempDir } from "../../test/support/temp-dir.ts";
import { until } from "../../test/support/until.ts";
import { parseSettings } from "../config/settings.ts";
import { withBoundedColumns } from "./column-walks.ts";
import type { StockReader, TickRow } from "./contract.ts";
import type { ColumnQuery } from "./model/columns.ts";
import { openSqlite } from "./sqlite/open.ts";
import { SqliteReader } from "./sqlite/reader.ts";

/** Several batches. */
const ROWS = 20_000;
/** As the module has it. */
const WALKS_MAX = 4;
const query: ColumnQuery = {
  kind: "ticks",
  tickers: null,
  parts: null,
  from: null,
  to: null,
  columns: ["price"],
};

/** A reader over a real database, and the walks that it has begun and ended. */
async function withReader(
  timeoutMs: number,
  body: (reader: StockReader, walks: { begun: number; ended: number }) => Promise<void>,
): Promise<void> {
  using dir = tempDir();
  const dbFile = join(dir.path, "test.db");
  const { writer, close } = openSqlite({ ...parseSettings([], {}).settings, dbFile });
  const at = Date.UTC(2024, 0, 2, 10);
  const rows = Array.from({ length: ROWS }, (_, n): TickRow => {
    const stamp = `${new Date(at + n).toISOString().slice(0, 23).replace("T", " ")}000`;
    return [stamp, n, null, null, null, null, null, 0];
  });
  await writer.commit([{ kind: "ticks", ticker: "A", part: "trade", rows, onDuplicate: "replace" }]);
  const sqlite = new SqliteReader(dbFile, 2);
  const walks = { begun: 0, ended: 0 };
  const read = sqlite.columns.bind(sqlite);
  sqlite.columns = async function* (asked) {
    walks.begun++;
    try {
      yield* read(asked);
    } finally {
      walks.ended++;
    }
  };
  try {
    await body(withBoundedColumns(sqlite, timeoutMs), walks);
  } finally {
    sqlite.close();
    await close();
  }
}

const begin = async (reader: StockReader, asked: ColumnQuery = query) => {
  const walk = reader.columns(asked)[Symbol.asyncIterator]();
  await walk.next();
  return walk;
};

test("so many walks go on at once; the next one begins when another ends", () =>
  withReader(60_000, async (reader, walks) => {
    const begun = await Promise.all(Array.from({ length: WALKS_MAX }, () => begin(reader)));
    const waiting = [begin(reader), begin(reader)];
    await Bun.sleep(10);
    expect(walks.begun).toBe(WALKS_MAX);
    await begun[0]!.return!();
    await waiting[0];
    expect(walks).toEqual({ begun: WALKS_MAX + 1, ended: 1 });
    for (const walk of begun) await walk.return!();
    for (const walk of waiting) await (await walk).return!();
    expect(walks).toEqual({ begun: WALKS_MAX + 2, ended: WALKS_MAX + 2 });
    expect((await Array.fromAsync(reader.columns(query))).length).toBeGreaterThan(1);
  }));

test("pages and the server's own walks don't wait behind those without a bound, nor for each other", () =>
  withReader(60_000, async (reader) => {
    const begun = await Promise.all(Array.from({ length: WALKS_MAX }, () => begin(reader)));
    const pages = await Promise.all(
      Array.from({ length: WALKS_MAX }, () => begin(reader, { ...query, line: "page" })),
    );
    const own = await begin(reader, { ...query, line: "server" });
    let isBegun = false;
    const waiting = begin(reader, { ...query, line: "page" }).then((walk) => {
      isBegun = true;
      return walk;
    });
    await begun[0]!.return!();
    await Bun.sleep(10);
    expect(isBegun).toBe(false);
    await pages[0]!.return!();
    for (const walk of [...begun, ...pages, own, await waiting]) await walk.return!();
  }));

test("a client that leaves the line never begins, and takes nobody's place", () =>
  withReader(60_000, async (reader, walks) => {
    const begun = await Promise.all(Array.from({ length: WALKS_MAX }, () => begin(reader)));
    const gone = new AbortController();
    const waiting = begin(reader, { ...query, signal: gone.signal });
    gone.abort();
    await expect(waiting).rejects.toMatchObject({ status: 499 });
    for (const walk of begun) await walk.return!();
    expect(walks).toEqual({ begun: WALKS_MAX, ended: WALKS_MAX });
  }));

test("a walk whose reader stops taking batches ends at the limit, and its reader is told", () =>
  withReader(200, async (reader, walks) => {
    const walk = await begin(reader);
    await until(() => walks.ended === 1);
    await expect(walk.next()).rejects.toMatchObject({ status: 504 });
    expect((await walk.next()).done).toBe(true);
  }));

test("the signal ends a walk that nobody takes batches of", () =>
  withReader(60_000, async (reader, walks) => {
    const gone = new AbortController();
    const walk = await begin(reader, { ...query, signal: gone.signal });
    gone.abort();
    await until(() => walks.ended === 1);
    await expect(walk.next()).rejects.toMatchObject({ status: 499 });
  }));
