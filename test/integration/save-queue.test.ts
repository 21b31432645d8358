/** In which order and with which others the hub commits saves of columns. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { SaveQueue } from "../../src/hub/save-queue.ts";
import type { WorkerLink } from "../../src/hub/worker-links.ts";
import { CommitFigures } from "../../src/metrics/commit-figures.ts";
import type { Save, SaveTicks, StockWriter } from "../../src/storage/contract.ts";
import { openDuckDb } from "../../src/storage/duckdb/open.ts";
import { SqliteWriter } from "../../src/storage/sqlite/writer.ts";
import { batchOfRows } from "../support/column-batches.ts";
import { logged, stampOf, ticks } from "../support/saves.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(60_000);

/** Ten ticks from a microsecond on. */
function columns(ticker: string, from: number): SaveTicks {
  const rows = Array.from({ length: 10 }, (_, i): [string, number] => [stampOf(from + i), from + i]);
  const save = ticks(ticker, rows, "match", logged(`${ticker}-${from}`, "{}"));
  const batch = batchOfRows("ticks", save.rows);
  return { ...save, rows: new Array(rows.length), columns: batch };
}

const oneTick = (ticker: string): Save =>
  ticks(ticker, [[stampOf(0), 1]], "match", logged(`${ticker}-one`, "{}"));

/** @returns the tickers of each commit, and what became of the saves. */
async function committed(writer: StockWriter) {
  const commits: string[][] = [];
  const outcomes: object[] = [];
  const queue = new SaveQueue({
    writer,
    figures: new CommitFigures(),
    note: { begin() {}, at() {}, end() {} },
    beforeCommit() {},
    committed(saves) {
      commits.push(saves.map(({ queued }) => queued.entry[1].ticker));
      outcomes.push(...saves.map(({ outcome }) => outcome));
    },
    failed() {},
    paused() {},
    isHeldUp: () => false,
    watch: { failed() {}, succeeded() {} },
  });
  let id = 0;
  const push = (save: Save): void =>
    queue.push({ link: {} as WorkerLink, entry: [id++, save, 0], alone: false });
  for (let part = 0; part < 3; part++) push(columns("A", part * 10));
  push(oneTick("B"));
  push(columns("A", 30));
  push(columns("C", 0));
  push(oneTick("D"));
  queue.schedule();
  await queue.drain();
  return { commits, outcomes };
}

test("DuckDB takes saves of columns together; those of others come before the next ones", async () => {
  using dir = tempDir();
  const options = { path: join(dir.path, "a.duckdb"), memoryLimitMb: 256, threads: 2, onFatal() {} };
  const db = await openDuckDb(options);
  try {
    const { commits, outcomes } = await committed(db.writer);
    expect(commits).toEqual([
      ["A", "A", "A"],
      ["B", "D"],
      ["A", "C"],
    ]);
    expect(outcomes).toMatchObject([
      ...[1, 2, 3].map((position) => ({ ok: true, stored: 10, position })),
      ...[1, 1].map((position) => ({ ok: true, stored: 1, position })),
      { ok: true, stored: 10, position: 4 },
      { ok: true, stored: 10, position: 1 },
    ]);
  } finally {
    await db.close();
  }
});

test("another engine takes each in a transaction of its own", async () => {
  using dir = tempDir();
  const writer = new SqliteWriter(join(dir.path, "a.db"), "normal", 64);
  try {
    const { commits } = await committed(writer);
    expect(commits).toEqual([["A"], ["B", "D"], ["A"], ["A"], ["A"], ["C"]]);
  } finally {
    writer.close();
  }
});
