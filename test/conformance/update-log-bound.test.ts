/** The update log keeps its bound on every engine that has one, whatever is saved, and at rest. */
import { expect, test } from "bun:test";
import type { Save } from "../../src/storage/contract.ts";
import { unpackable } from "../support/random.ts";
import { logged, stampOf, ticks } from "../support/saves.ts";
import { tempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import type { OpenDatabase } from "./drivers.ts";
import { withEachDriver } from "./each-driver.ts";

const MIB = 1024 * 1024;
const BOUND_BYTES = 2 ** 20;
/**
 * What the log may be beyond its bound: PostgreSQL takes out whole parts, and all count roughly.
 */
const SLACK = 1.25;
const SMALL = "x".repeat(150);
const LARGE = unpackable(140_000);
const GIANT = unpackable(5 * MIB);
const TIMEOUT_MS = 240_000;
const POLL_MS = 500;
const NO_LIMIT = { updates: 1_000_000, characters: 1_000_000_000 };
const TICKERS = ["A", "B", "C"];

let stamps = 0;
const tick = (ticker: string, frame: string): Save =>
  ticks(ticker, [[stampOf(stamps++), 1]], "match", logged(crypto.randomUUID(), frame));

const manySmall = (batches: number): string[][] =>
  Array.from({ length: batches }, () => Array(500).fill(SMALL));
const someLarge = (count: number): string[][] => Array.from({ length: count }, () => [LARGE]);

/** In each, what comes last is more than the bound alone. */
const MIXES: Record<string, string[][]> = {
  "small, then large": [...manySmall(20), ...someLarge(20)],
  "large, then small": [...someLarge(20), ...manySmall(20)],
  "one giant among small ones": [...manySmall(10), [GIANT], ...manySmall(20)],
};

async function save(db: OpenDatabase, batches: string[][]): Promise<void> {
  for (const frames of batches) {
    const outcomes = await db.writer.commit(frames.map((frame, i) => tick(TICKERS[i % 3]!, frame)));
    expect(outcomes.every((outcome) => outcome?.ok)).toBe(true);
  }
}

/** Of the frames that can still be read, which are nearly all that it takes. */
async function keptBytes(db: OpenDatabase): Promise<number> {
  let bytes = 0;
  for (const ticker of TICKERS) {
    for (const { frame } of await db.reader.updates.after(ticker, 0, NO_LIMIT)) bytes += frame.length;
  }
  return bytes;
}

/** As the hub does it when nobody saves. PostgreSQL does it by itself, every few seconds. */
async function rest(db: OpenDatabase): Promise<void> {
  while (await db.writer.tidy?.());
  if (db.writer.tidy !== undefined) return;
  await until(async () => {
    // All that is kept is read, which takes longer than the pause.
    await Bun.sleep(POLL_MS);
    return (await keptBytes(db)) < SLACK * BOUND_BYTES;
  });
}

withEachDriver({ topic: "the bound of the update log", needs: "ownFrames" }, ({ open, withDatabase }) => {
  for (const [name, batches] of Object.entries(MIXES)) {
    withDatabase(
      `${name}: it is kept, and the newest are there`,
      async (db) => {
        await save(db, batches);
        await rest(db);
        await save(db, [[SMALL, SMALL, SMALL]]);
        // DuckDB's newest updates are in memory too, which has a bound of its own.
        await db.reopen();
        expect(await keptBytes(db)).toBeLessThan(SLACK * BOUND_BYTES);
        const positions = await db.reader.updates.positions(TICKERS);
        for (const ticker of TICKERS) {
          const newest = positions.get(ticker)!;
          const kept = await db.reader.updates.after(ticker, newest - 1, NO_LIMIT);
          expect(kept.map(({ position }) => position)).toEqual([newest]);
        }
      },
      { updateLogBytes: BOUND_BYTES, timeoutMs: TIMEOUT_MS },
    );
  }

  test(
    "of a database whose bound was lowered it is reached without a save",
    async () => {
      using dir = tempDir();
      const options = { updateLogBytes: 64 * 2 ** 20 };
      await using db = await open(dir.path, options);
      await save(db, [...manySmall(20), ...someLarge(30)]);
      expect(await keptBytes(db)).toBeGreaterThan(4 * MIB);
      options.updateLogBytes = BOUND_BYTES;
      await db.reopen();
      await rest(db);
      expect(await keptBytes(db)).toBeLessThan(SLACK * BOUND_BYTES);
    },
    TIMEOUT_MS,
  );
});
