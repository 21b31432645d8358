/** Positions and the update log, as every storage driver keeps them. */

import { expect, test } from "bun:test";
import type { BarRow, Save, SaveOutcome, SaveRows, TickRow } from "../../src/storage/contract.ts";
import type { SeriesRow } from "../../src/storage/model/kinds.ts";
import type { SaveUpdate, StoredUpdate, UpdateLimit } from "../../src/storage/update-contract.ts";
import { randomNumbers } from "../support/random.ts";
import { daily, dateOf, stampOf, ticks, upTo } from "../support/saves.ts";
import { newestOf } from "../support/snapshots.ts";
import { tempDir } from "../support/temp-dir.ts";
import type { OpenDatabase } from "./drivers.ts";
import { withEachDriver } from "./each-driver.ts";

const ODD_TICKERS = [
  "BRK.B",
  "brk.b",
  "O'Neil",
  'A"B',
  "Ä",
  "株式",
  "😀",
  " A",
  "*",
  "%_\\",
  "$1",
  "null",
  "-1",
  "5",
  "x".repeat(1_000),
];
/** Enough for an engine that does a part of its work for many updates at once. */
const MANY_UPDATES = 4_500;
const MANY_TIMEOUT_MS = 240_000;
const NO_LIMIT: UpdateLimit = { updates: 1_000_000, characters: 1_000_000_000 };

let saveIds = 0;
/** Frames are JSON, here of a text that tells one from the other. */
const update = (text: string, fields: Partial<SaveUpdate> = {}): SaveUpdate => ({
  saveId: `test-${saveIds++}`,
  repeated: false,
  frame: JSON.stringify({ text }),
  ...fields,
});
/** Empty where the frame is not kept. */
const textIn = (frame: string): string => (frame === "" ? "" : (JSON.parse(frame) as { text: string }).text);

/** One tick; its price tells saves apart. */
const tick = (ticker: string, n: number, of?: SaveUpdate, type = "trade"): Save => ({
  ...ticks(ticker, [[stampOf(n), n]], "match", of),
  part: type,
});

const day = (
  ticker: string,
  n: number,
  close: number,
  of?: SaveUpdate,
  onDuplicate: SaveRows["onDuplicate"] = "replace",
): Save => daily(ticker, [[dateOf(n), close]], onDuplicate, of);

/** In as many transactions as the driver wants. */
async function commitAll(db: OpenDatabase, saves: Save[]): Promise<SaveOutcome[]> {
  const outcomes: SaveOutcome[] = [];
  const places = saves.map((_, index) => index);
  while (places.length > 0) {
    const found = await db.writer.commit(places.map((place) => saves[place]!));
    const left = places.filter((place, index) => {
      const outcome = found[index] ?? null;
      if (outcome !== null) outcomes[place] = outcome;
      return outcome === null;
    });
    expect(left.length).toBeLessThan(places.length);
    places.splice(0, places.length, ...left);
  }
  return outcomes;
}

/** The position of each, which are all to be accepted. */
async function positionsOf(db: OpenDatabase, saves: Save[]): Promise<(number | null)[]> {
  return (await commitAll(db, saves)).map((outcome) => {
    if (!outcome.ok) throw new Error(`refused: ${JSON.stringify(outcome)}`);
    return outcome.position;
  });
}

/** With the texts of the frames. */
const logOf = async (db: OpenDatabase, ticker: string, after = 0): Promise<StoredUpdate[]> =>
  (await db.reader.updates.after(ticker, after, NO_LIMIT)).map((stored) => ({
    ...stored,
    frame: textIn(stored.frame),
  }));
const framesOf = async (db: OpenDatabase, ticker: string, after = 0): Promise<string[]> =>
  (await logOf(db, ticker, after)).map(({ frame }) => frame);
withEachDriver({ topic: "updates" }, ({ open, testOf, withDatabase }) => {
  withDatabase("an empty database has an epoch, and no positions", async (db) => {
    expect(await db.reader.updates.epoch()).toMatch(/^[A-Za-z0-9-]{1,64}$/);
    expect(await db.reader.updates.positions(null)).toEqual(new Map());
    expect(await db.reader.updates.positions(["A", "*"])).toEqual(new Map());
    expect(await logOf(db, "A")).toEqual([]);
    expect(await db.reader.updates.snapshot("A")).toEqual({
      position: 0,
      newest: [],
    });
  });

  withDatabase("each ticker counts for itself, over types, kinds of rows, and batches", async (db) => {
    const before = Date.now();
    const first = [
      tick("A", 1, update("a1"), "quote"),
      day("A", 1, 10, update("a2")),
      tick("B", 1, update("b1")),
      tick("A", 1, update("a3"), "trade"),
      day("A", 2, 11, update("a4")),
      day("B", 1, 12, update("b2")),
    ];
    expect(await positionsOf(db, first)).toEqual([1, 2, 1, 3, 4, 2]);
    const hourly: Save = {
      kind: "hourly",
      part: null,
      ticker: "A",
      rows: [["2024-01-02 10:00:00", 1, 1, 1, 1, 1]],
      onDuplicate: "replace",
      update: update("a5"),
    };
    expect(await positionsOf(db, [hourly, tick("A", 2, update("a6"), "my type")])).toEqual([5, 6]);
    const log = await logOf(db, "A");
    expect(log.map(({ position, type, frame }) => [position, type, frame])).toEqual([
      [1, "quote", "a1"],
      [2, "bar", "a2"],
      [3, "trade", "a3"],
      [4, "bar", "a4"],
      [5, "bar", "a5"],
      [6, "my type", "a6"],
    ]);
    const times = log.map(({ savedAtMs }) => savedAtMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    // The clock may be that of a database server, on this machine.
    expect(times[0]!).toBeGreaterThanOrEqual(before - 1_000);
    expect(times.at(-1)!).toBeLessThanOrEqual(Date.now() + 1_000);
    expect(await db.reader.updates.positions(null)).toEqual(new Map([["A", 6]]).set("B", 2));
    expect(await db.reader.updates.positions(["B", "C"])).toEqual(new Map([["B", 2]]));
  });

  withDatabase("the newest update of a ticker is known with its time", async (db) => {
    expect((await db.reader.updates.newest("A")).position).toBe(0);
    await positionsOf(db, [tick("A", 1, update("1")), tick("B", 1, update("2")), tick("A", 2, update("3"))]);
    const [, second] = await logOf(db, "A");
    const newest = { position: 2, savedAtMs: second!.savedAtMs };
    expect(await db.reader.updates.newest("A")).toEqual(newest);
    await db.reopen();
    expect(await db.reader.updates.newest("A")).toEqual(newest);
    expect((await db.reader.updates.newest("B")).position).toBe(1);
    expect((await db.reader.updates.newest("a")).position).toBe(0);
  });

  withDatabase("a save that changes nothing is no update", async (db) => {
    expect(await positionsOf(db, [tick("A", 1, update("1")), day("A", 1, 10, update("2"))])).toEqual([1, 2]);
    expect(
      await commitAll(db, [tick("A", 1, update("again")), day("A", 1, 11, update("kept"), "keep")]),
    ).toMatchObject([
      { ok: true, stored: 0, position: null },
      { ok: true, stored: 0, position: null },
    ]);
    // The same once more, in one batch with one that does.
    const mixed = [tick("A", 1, update("again")), tick("A", 2, update("3")), tick("A", 2, update("again"))];
    expect(await positionsOf(db, mixed)).toEqual([null, 3, null]);
    // Who replaces a bar says what it is now, even where it was so before.
    expect(await positionsOf(db, [day("A", 1, 10, update("4"))])).toEqual([4]);
    expect(await framesOf(db, "A")).toEqual(["1", "2", "3", "4"]);
  });

  withDatabase("a refused save takes no position", async (db) => {
    expect(await positionsOf(db, [day("A", 1, 10, update("1"))])).toEqual([1]);
    const outcomes = await commitAll(db, [
      day("A", 1, 11, update("refused"), "error"),
      day("A", 2, 12, update("2"), "error"),
      { ...tick("A", 1, update("3")), onDuplicate: "error" } as Save,
      { ...tick("A", 1, update("refused")), onDuplicate: "error" } as Save,
    ]);
    expect(outcomes).toMatchObject([
      { ok: false, status: 409 },
      { ok: true, position: 2 },
      { ok: true, position: 3 },
      { ok: false, status: 409 },
    ]);
    expect(await positionsOf(db, [tick("A", 2, update("4"))])).toEqual([4]);
    expect(await framesOf(db, "A")).toEqual(["1", "2", "3", "4"]);
  });

  withDatabase("a repeated save has the position of the first try, and changes nothing", async (db) => {
    const first = update("1");
    expect(await positionsOf(db, [day("A", 1, 10, first), day("A", 1, 11, update("2"))])).toEqual([1, 2]);
    const again = { ...first, repeated: true };
    expect(await commitAll(db, [day("A", 1, 10, again)])).toMatchObject([
      { ok: true, stored: 1, position: 1, isRepetition: true },
    ]);
    expect(newestOf(await db.reader.updates.snapshot("A"), "daily")).toEqual([
      dateOf(1),
      11,
      11,
      11,
      11,
      100,
      null,
    ]);
    // Its first try didn't arrive.
    expect(await positionsOf(db, [day("A", 1, 12, update("3", { repeated: true }))])).toEqual([3]);
    // Of another ticker, with the same id: no repetition.
    expect(await positionsOf(db, [day("B", 1, 10, again)])).toEqual([1]);
    // Among others.
    const batch = [tick("A", 1, update("4")), day("A", 1, 10, again), tick("A", 2, update("5"))];
    expect(await positionsOf(db, batch)).toEqual([4, 1, 5]);
    expect(await framesOf(db, "A")).toEqual(["1", "2", "3", "4", "5"]);
  });

  withDatabase("a save and its repetition may come in one batch", async (db) => {
    const first = update("1");
    const batch = [
      day("A", 1, 10, first),
      tick("A", 1, update("2")),
      day("A", 1, 10, { ...first, repeated: true }),
      tick("A", 2, update("3")),
    ];
    expect(await commitAll(db, batch)).toMatchObject([
      { ok: true, stored: 1, position: 1 },
      { ok: true, stored: 1, position: 2 },
      { ok: true, stored: 1, position: 1, isRepetition: true },
      { ok: true, stored: 1, position: 3 },
    ]);
    expect(await framesOf(db, "A")).toEqual(["1", "2", "3"]);
  });

  testOf("ownFrames", "rows of a copy go on counting, without content", (name) =>
    withDatabase(name, async (db) => {
      const saves = [tick("A", 1), tick("A", 2, update("2")), day("A", 1, 10), tick("A", 1)];
      expect(await positionsOf(db, saves)).toEqual([1, 2, 3, null]);
      expect((await logOf(db, "A")).map(({ position, type, frame }) => [position, type, frame])).toEqual([
        [1, "trade", ""],
        [2, "trade", "2"],
        [3, "bar", ""],
      ]);
    }),
  );

  withDatabase("a log is read in chunks, from any position", async (db) => {
    const saves = upTo(20).flatMap((n) => [tick("A", n, update(`A${n}`)), tick("B", n, update(`B${n}`))]);
    await positionsOf(db, saves);
    for (const updates of [1, 3, 20, 21]) {
      const walked: StoredUpdate[] = [];
      for (;;) {
        const chunk = await db.reader.updates.after("A", walked.at(-1)?.position ?? 0, {
          ...NO_LIMIT,
          updates,
        });
        expect(chunk.length).toBeLessThanOrEqual(updates);
        if (chunk.length === 0) break;
        walked.push(...chunk);
      }
      expect(walked.map(({ frame }) => textIn(frame))).toEqual(upTo(20).map((n) => `A${n}`));
    }
    expect(await framesOf(db, "B", 17)).toEqual(["B18", "B19", "B20"]);
    expect(await framesOf(db, "B", 20)).toEqual([]);
    expect(await framesOf(db, "B", 99)).toEqual([]);
    // One, however large it is.
    const one = await db.reader.updates.after("A", 4, { updates: 10, characters: 1 });
    expect(one.map(({ position }) => position)).toEqual([5]);
    const some = await db.reader.updates.after("A", 4, { updates: 10, characters: 7 });
    expect(some.length).toBeGreaterThan(0);
    expect(some.length).toBeLessThan(10);
  });

  withDatabase("tickers and frames of any text", async (db) => {
    // Words of a subscription, such as "*", are no types.
    const typeOf = (ticker: string): string => `of ${ticker.slice(0, 50)}`;
    const frames = ODD_TICKERS.map((ticker) => JSON.stringify({ symbol: ticker, data: "'\"\\\u0001 😀" }));
    const saves = ODD_TICKERS.flatMap((ticker, i) => [
      tick(ticker, 1, update(frames[i]!), typeOf(ticker)),
      tick(ticker, 2, update(`${i}`), "trade"),
    ]);
    expect(await positionsOf(db, saves)).toEqual(ODD_TICKERS.flatMap(() => [1, 2]));
    const expected = new Map(ODD_TICKERS.map((ticker) => [ticker, 2]));
    expect(await db.reader.updates.positions(null)).toEqual(expected);
    expect(await db.reader.updates.positions([...ODD_TICKERS, "none"])).toEqual(expected);
    for (const [i, ticker] of ODD_TICKERS.entries()) {
      const found = await logOf(db, ticker);
      expect(found.map(({ type, frame }) => [type, frame])).toEqual([
        [typeOf(ticker), frames[i]!],
        ["trade", `${i}`],
      ]);
      expect((await db.reader.updates.snapshot(ticker)).position).toBe(2);
    }
  });

  testOf("ownFrames", "frames of megabytes", (name) =>
    withDatabase(name, async (db) => {
      const large = upTo(3).map((n) => `${n}${"é".repeat(2_000_000)}`);
      expect(
        await positionsOf(
          db,
          large.map((frame, n) => tick("A", n, update(frame))),
        ),
      ).toEqual([1, 2, 3]);
      for (const n of upTo(3)) {
        const [only, ...others] = await db.reader.updates.after("A", n - 1, {
          updates: 100,
          characters: 1_000_000,
        });
        expect(others).toEqual([]);
        expect(textIn(only?.frame ?? "") === large[n - 1]).toBe(true);
      }
    }),
  );

  withDatabase("a snapshot holds the newest of each kind, and its position", async (db) => {
    const huge = "9223372036854775807";
    const quotes: TickRow[] = [
      [stampOf(5), 1.5, huge, 1.75, 3, null, null, 0],
      [stampOf(5), 2.5, 7, null, null, null, null, 4],
      [stampOf(2), 9, 9, 9, 9, null, null, 0],
    ];
    const trades: TickRow[] = [[stampOf(7), null, null, null, null, null, null, 0]];
    const hours: BarRow[] = [
      ["2024-01-02 09:00:00", 1, 1, 1, 1, 1, null],
      ["2024-01-02 10:00:00", 0.1, 0.3, 0.05, 0.2, huge, null],
    ];
    const saves: Save[] = [
      {
        kind: "ticks",
        ticker: "A",
        part: "quote",
        rows: quotes,
        onDuplicate: "match",
        update: update("1"),
      },
      {
        kind: "ticks",
        ticker: "A",
        part: "trade",
        rows: trades,
        onDuplicate: "match",
        update: update("2"),
      },
      tick("A", 900, update("3"), "greeks"),
      {
        kind: "hourly",
        part: null,
        ticker: "A",
        rows: hours,
        onDuplicate: "replace",
        update: update("4"),
      },
    ];
    await positionsOf(db, saves);
    const before = await db.reader.updates.snapshot("A");
    expect(before.position).toBe(4);
    expect(newestOf(before, "ticks", "quote")).toEqual(quotes[1]!.slice(0, -1) as SeriesRow);
    expect(newestOf(before, "ticks", "trade")).toEqual(trades[0]!.slice(0, -1) as SeriesRow);
    expect(newestOf(before, "hourly")).toEqual(hours[1]!);
    expect(before.newest).toHaveLength(3);
    await positionsOf(db, [day("A", 3, 3, update("5")), day("A", 1, 4, update("6")), tick("B", 1)]);
    const after = await db.reader.updates.snapshot("A");
    expect(after.position).toBe(6);
    expect(newestOf(after, "daily")).toEqual([dateOf(3), 3, 3, 3, 3, 100, null]);
  });

  withDatabase("a snapshot holds the newest bar of every length", async (db) => {
    const bar = (part: string, minute: number, n: number): Save => ({
      kind: "interval",
      ticker: "A",
      part,
      rows: [[`2024-01-02 10:${minute}:00`, n, n, n, n, n, null, n]],
      onDuplicate: "replace",
      update: update(`${part} ${minute}`),
    });
    await positionsOf(db, [bar("5min", 10, 1), bar("5min", 15, 2), bar("90s", 12, 3), bar("5min", 10, 4)]);
    const snapshot = await db.reader.updates.snapshot("A");
    expect(newestOf(snapshot, "interval", "5min")).toEqual([
      "2024-01-02 10:15:00",
      2,
      2,
      2,
      2,
      2,
      null,
      2,
      null,
    ]);
    expect(newestOf(snapshot, "interval", "90s")).toEqual([
      "2024-01-02 10:12:00",
      3,
      3,
      3,
      3,
      3,
      null,
      3,
      null,
    ]);
    expect(snapshot.newest).toHaveLength(2);
    expect((await logOf(db, "A")).map(({ type }) => type)).toEqual(["bar", "bar", "bar", "bar"]);
  });

  withDatabase("all of it is there when the database is opened again, and goes on", async (opened) => {
    const first = update("1");
    await positionsOf(opened, [tick("A", 1, first), tick("A", 2, update("2")), tick("B", 1, update("b1"))]);
    const epoch = await opened.reader.updates.epoch();
    await opened.reopen();
    expect(await opened.reader.updates.epoch()).toBe(epoch);
    expect(await opened.reader.updates.positions(null)).toEqual(new Map([["A", 2]]).set("B", 1));
    expect(await framesOf(opened, "A")).toEqual(["1", "2"]);
    expect(await commitAll(opened, [tick("A", 1, { ...first, repeated: true })])).toMatchObject([
      { ok: true, stored: 1, position: 1, isRepetition: true },
    ]);
    const more = [tick("A", 3, update("3")), tick("C", 1, update("c1")), tick("A", 4, update("4"))];
    expect(await positionsOf(opened, more)).toEqual([3, 1, 4]);
    expect(await framesOf(opened, "A")).toEqual(["1", "2", "3", "4"]);
  });

  test("databases have epochs of their own", async () => {
    const epochs = new Set<string>();
    for (let i = 0; i < 3; i++) {
      using dir = tempDir();
      await using db = await open(dir.path);
      epochs.add(await db.reader.updates.epoch());
    }
    expect(epochs.size).toBe(3);
  });

  withDatabase("batches that overlap share the positions", async (db) => {
    const batchOf = (from: number): Save[] =>
      upTo(from + 29, from).map((n) => tick(n % 2 === 0 ? "A" : "B", n, update(`${n}`)));
    const batches = [batchOf(100), batchOf(200), batchOf(300)];
    const found = await Promise.all(batches.map((saves) => positionsOf(db, saves)));
    for (const ticker of ["A", "B"]) {
      const ofTicker = found.map((seqs, batch) =>
        seqs.filter((_, i) => batches[batch]![i]!.ticker === ticker).map((seq) => seq ?? 0),
      );
      for (const seqs of ofTicker) expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
      expect(ofTicker.flat().toSorted((a, b) => a - b)).toEqual(upTo(45));
      const log = new Map((await logOf(db, ticker)).map(({ position, frame }) => [position, frame]));
      for (const [batch, saves] of batches.entries())
        for (const [i, save] of saves.entries())
          if (save.ticker === ticker) expect(log.get(found[batch]![i]!)).toBe(textIn(save.update!.frame));
    }
  });

  withDatabase(
    "thousands of updates of many tickers, in batches of any size, with restarts",
    async (db) => {
      const seed = Math.floor(Math.random() * 2 ** 32);
      const random = randomNumbers(seed);
      const below = (n: number): number => Math.floor(random() * n);
      const logs = new Map<string, string[]>();
      for (let saved = 0; saved < MANY_UPDATES; ) {
        const batch = upTo(1 + below(400)).map((): Save => {
          const ticker = `T${below(5) === 0 ? below(300) : below(5)}`;
          return tick(ticker, saved++, update(`${ticker} ${saved}`), ["quote", "trade"][below(2)]);
        });
        const expected = batch.map(({ ticker, update }) => {
          const log = logs.get(ticker) ?? [];
          logs.set(ticker, log);
          return log.push(textIn(update!.frame));
        });
        expect({ seed, seqs: await positionsOf(db, batch) }).toEqual({ seed, seqs: expected });
        if (below(8) === 0) await db.reopen();
        const ticker = batch[0]!.ticker;
        const from = below(logs.get(ticker)!.length);
        expect(await framesOf(db, ticker, from)).toEqual(logs.get(ticker)!.slice(from));
      }
      expect(await db.reader.updates.positions(null)).toEqual(
        new Map([...logs].map(([ticker, log]) => [ticker, log.length])),
      );
      for (const [ticker, log] of logs) expect(await framesOf(db, ticker)).toEqual(log);
    },
    { timeoutMs: MANY_TIMEOUT_MS },
  );

  testOf("smallLog", "what doesn't fit into the log is no longer kept, and positions go on", (name) =>
    withDatabase(
      name,
      async (db) => {
        await positionsOf(db, [tick("OLD", 1, update("old"))]);
        const oldest = await db.reader.updates.newest("OLD");
        const frame = "x".repeat(50_000);
        for (const n of upTo(200)) await positionsOf(db, [tick("A", n, update(`${n} ${frame}`))]);
        const kept = await logOf(db, "A");
        const first = kept[0]!.position;
        // 1 MB are 20 of them; what is kept beyond that is the driver's choice.
        expect(first).toBeGreaterThan(100);
        expect(first).toBeLessThanOrEqual(185);
        expect(kept.map(({ position }) => position)).toEqual(upTo(200, first));
        expect((await logOf(db, "A", 3))[0]?.position).toBe(first);
        expect(await logOf(db, "OLD")).toEqual([]);
        expect(await db.reader.updates.newest("OLD")).toEqual(oldest);
        await db.reopen();
        expect(await db.reader.updates.newest("OLD")).toEqual(oldest);
        expect(await db.reader.updates.positions(null)).toEqual(new Map([["A", 200]]).set("OLD", 1));
        expect((await db.reader.updates.snapshot("OLD")).position).toBe(1);
        expect(await positionsOf(db, [tick("OLD", 2, update("new")), tick("A", 201)])).toEqual([2, 201]);
        const old = await logOf(db, "OLD");
        expect(old.map(({ position, frame }) => [position, frame])).toEqual([[2, "new"]]);
      },
      { updateLogBytes: 2 ** 20, timeoutMs: MANY_TIMEOUT_MS },
    ),
  );
});
