/**
 * Trades of which roll-ups are made become too old, over every driver that keeps notes: they may go
 * once their bars are made, and then the bars stay, whatever becomes of the ticker.
 */
import { expect } from "bun:test";
import { ROLLUP_MARK } from "../../src/market/rollup-mark.ts";
import { microsOfStamp, stampOfMicros } from "../../src/market/stamp-micros.ts";
import { mayRemoveTrades } from "../../src/retention/rolled-up-trades.ts";
import { type RollupDatabase, saveNote } from "../../src/rollups/rollup-database.ts";
import { RollupRules } from "../../src/rollups/rules.ts";
import { DAY_MICROS, dayOf } from "../../src/rollups/spans.ts";
import { TickerRollup } from "../../src/rollups/ticker-rollup.ts";
import type { TickRow } from "../../src/storage/contract.ts";
import type { SeriesRow } from "../../src/storage/model/kinds.ts";
import type { Row } from "../support/answered.ts";
import { randomNumbers } from "../support/random.ts";
import { becomeRight, rowsOfReader, type StoredRows, storedBars } from "../support/rollups.ts";
import { until } from "../support/until.ts";
import type { OpenDatabase } from "./drivers.ts";
import { withEachDriver } from "./each-driver.ts";
import { Harness, INTERVALS, MINUTE, randomRound, START, TICKERS } from "./rollup-harness.ts";

const FIRST = Date.parse("2024-01-02T00:00:00Z") * 1_000;
const HOUR = 3_600_000_000;
/** Trades of ten o'clock of the first day, the second one, and so on. */
const dayAt = (day: number): number => FIRST + day * DAY_MICROS;
const at = (day: number, hour = 10): number => dayAt(day) + hour * HOUR;

const trade = (micros: number, price: number): TickRow => {
  return [stampOfMicros(micros), price, 1, null, null, null, null, null];
};

const trades = (ticker: string, ...rows: [micros: number, price: number][]) => ({
  ...({ kind: "ticks", ticker, part: "trade", onDuplicate: "append" } as const),
  rows: rows.map(([micros, price]) => trade(micros, price)),
});

/** Bars as a roll-up has made them of trades that are gone. */
const bars = (ticker: string, ...rows: [micros: number, price: number][]) => ({
  ...({ kind: "interval", ticker, part: "1min", onDuplicate: "rollup" } as const),
  rows: rows.map(([micros, price]): SeriesRow => {
    return [stampOfMicros(micros).slice(0, 19), price, price, price, price, 1, price, 1, ROLLUP_MARK];
  }),
});

const seriesOf = (intervals: string[]) => new RollupRules([{ tickers: "*", intervals }]).of("A");

/** When and at what price each bar closes. */
async function closes(db: OpenDatabase, ticker: string, interval = "1min"): Promise<[number, unknown][]> {
  const found = await storedBars(db.reader, ticker, interval);
  return found.map(({ datetime, close }) => [microsOfStamp(String(datetime)), close]);
}

interface StoredNote {
  to: number;
  todo: unknown[];
  keptFrom: number | null;
}

async function noteOf(db: Pick<RollupDatabase, "reader">, ticker: string): Promise<StoredNote | null> {
  const name = `rollup/${ticker}`;
  const [note] = await db.reader.notes(name, name, 1);
  const value = JSON.parse(note?.[1] ?? "null");
  return value?.todo === undefined ? null : value;
}

/** Everything that was saved so far is in the bars. */
async function untilMade(harness: Harness, ticker: string): Promise<void> {
  const position = harness.positions.get(ticker)!;
  await until(async () => {
    const note = await noteOf(harness.database, ticker);
    return note !== null && note.to >= position && note.todo.length === 0;
  });
}

/** Rows from a moment up to another. */
function within(rows: Row[], from = Number.NEGATIVE_INFINITY, end: number): Row[] {
  return rows.filter(({ timestamp, datetime }) => {
    const micros = microsOfStamp(String(timestamp ?? datetime));
    return micros >= from && micros < end;
  });
}

withEachDriver({ topic: "rolled-up trades", needs: "notes" }, ({ withDatabase }) => {
  withDatabase("they may go when their bars are made, and not before", async (db) => {
    await using harness = new Harness(db, Math.random, 0);
    const may = (end: number, intervals = ["1min"], ticker = "A") =>
      mayRemoveTrades({ db: harness.database, ticker, series: seriesOf(intervals), end });
    await harness.save(trades("A", [at(0), 1], [at(1), 2], [at(2), 3]));
    expect(await may(dayAt(1))).toBe(false);
    // Without roll-ups there is nothing to wait for, and no note to write.
    expect(await may(dayAt(1), [])).toBe(true);
    expect(await noteOf(db, "A")).toBeNull();

    harness.startRoller({ intervals: ["1min"] });
    await untilMade(harness, "A");
    await harness.stopAll();
    expect(await may(dayAt(1), ["1min", "1hour"])).toBe(false);
    expect((await noteOf(db, "A"))!.keptFrom).toBeNull();
    expect(await may(dayAt(1))).toBe(true);
    expect((await noteOf(db, "A"))!.keptFrom).toBe(dayAt(1));

    // An update of old trades that no bar has yet; one of later trades is no matter.
    await harness.save(trades("A", [at(2), 4]));
    expect(await may(dayAt(2))).toBe(true);
    await harness.save(trades("A", [at(2, 11), 5]));
    expect(await may(dayAt(3))).toBe(false);
    await harness.save(trades("A", [at(5), 6]), { content: false });
    expect(await may(dayAt(2))).toBe(true);
    expect(await may(dayAt(3))).toBe(false);
    harness.startRoller({ intervals: ["1min"] });
    await untilMade(harness, "A");
    await until(() => may(dayAt(3)));
    // Of a ticker that is rolled up no longer, whatever came since.
    await harness.stopAll();
    await harness.save(trades("A", [at(3), 7]));
    expect(await may(dayAt(4))).toBe(false);
    expect(await may(dayAt(4), [])).toBe(true);
    expect((await noteOf(db, "A"))!.keptFrom).toBe(dayAt(4));
    // It never falls.
    expect(await may(dayAt(1), [])).toBe(true);
    expect((await noteOf(db, "A"))!.keptFrom).toBe(dayAt(4));
  });

  withDatabase("bars of trades that have gone stay, and late trades are warned of", async (db) => {
    await using harness = new Harness(db, Math.random, 0);
    const old: [number, number][] = [
      [at(0), 1],
      [at(1), 2],
    ];
    await harness.save(trades("A", ...old, [at(2), 3]));
    harness.startRoller({ intervals: ["1min"] });
    await untilMade(harness, "A");
    const series = seriesOf(["1min"]);
    const { database } = harness;
    await until(() => mayRemoveTrades({ db: database, ticker: "A", series, end: dayAt(2) }));
    const last = stampOfMicros(dayAt(2) - 1);
    const aged = { kind: "ticks", ticker: "A", part: "trade", from: null, to: last, ids: null } as const;
    await harness.edit({ what: "removal", ...aged, isAgeing: true } as never);

    // A trade that is too late, beside one that isn't.
    await harness.save(trades("A", [at(1), 9], [at(3), 4]));
    await untilMade(harness, "A");
    const kept: [number, number][] = [...old, [at(2), 3]];
    expect(await closes(db, "A")).toEqual([...kept, [at(3), 4]]);
    await until(() => harness.warnings.length > 0);
    const told = "trades of A before 2024-01-04 came too late for its bars, which stay as they are";
    expect([...new Set(harness.warnings)]).toEqual([`Roll-ups: ${told}`]);
    // What has no content may have changed all that can be made anew.
    await harness.save(trades("A", [at(4), 5]), { content: false });
    await harness.save(trades("A", [at(0), 9]));
    await untilMade(harness, "A");
    expect(await closes(db, "A")).toEqual([...kept, [at(3), 4], [at(4), 5]]);

    // Another length has bars from there on, and so has what is made anew, also after a renaming.
    await harness.stopAll();
    harness.startRoller({ intervals: ["1min", "1hour"] });
    await until(async () => (await closes(db, "A", "1hour")).length === 3);
    await untilMade(harness, "A");
    expect((await closes(db, "A", "1hour")).map(([micros]) => micros)).toEqual([at(2), at(3), at(4)]);
    await harness.edit({ what: "renaming", ticker: "A", newTicker: "B" } as never);
    await untilMade(harness, "B");
    expect((await noteOf(db, "B"))!.keptFrom).toBe(dayAt(2));
    expect(await noteOf(db, "A")).toBeNull();
    expect(await closes(db, "B")).toEqual([...kept, [at(3), 4], [at(4), 5]]);
    await harness.edit({ what: "removal", ...aged, ticker: "B", to: null } as never);
    await until(async () => (await closes(db, "B")).length === 2);
    expect(await closes(db, "B")).toEqual(old);
  });

  withDatabase("no bar is lost where no note tells that its trades are gone", async (db) => {
    await using harness = new Harness(db, Math.random, 0);
    const gone: [number, number][] = [
      [at(0), 1],
      [at(1), 2],
    ];
    const cases: Record<string, { saved: [number, number][]; made: number[]; keptFrom: number | null }> = {
      aged: { saved: [[at(3), 3]], made: [at(3)], keptFrom: dayAt(3) },
      "a late trade is there": {
        saved: [
          [dayAt(-40), 9],
          [at(3), 3],
        ],
        made: [at(3)],
        keptFrom: dayAt(3),
      },
      "part of a day is gone": {
        saved: [
          [at(1, 11), 3],
          [at(2), 4],
        ],
        made: [at(2)],
        keptFrom: dayAt(2),
      },
      "all are gone": { saved: [], made: [], keptFrom: null },
      "a note that can't be read": { saved: [[at(3), 3]], made: [at(3)], keptFrom: dayAt(3) },
    };
    for (const [ticker, { saved }] of Object.entries(cases)) {
      await harness.save(bars(ticker, ...gone), { content: false });
      if (saved.length > 0) await harness.save(trades(ticker, ...saved), { content: false });
    }
    const broken = { name: "rollup/a note that can't be read", from: null, to: '{"keptFrom":1}' };
    await harness.save({ ...bars("a note that can't be read"), note: broken });
    // One that the bars of a roll-up have never been without trades of.
    await harness.save(trades("whole", [at(0), 1], [at(1), 2]), { content: false });
    await harness.save(bars("whole", [at(0), 7], [at(0, 11), 8]), { content: false });
    harness.startRoller({ intervals: ["1min"] });
    for (const [ticker, { saved, made, keptFrom }] of Object.entries(cases)) {
      if (saved.length > 0) await untilMade(harness, ticker);
      const expected = [...gone, ...saved.filter(([micros]) => made.includes(micros))];
      expect([ticker, await closes(db, ticker)]).toEqual([ticker, expected]);
      expect([ticker, (await noteOf(db, ticker))?.keptFrom ?? null]).toEqual([ticker, keptFrom]);
    }
    await untilMade(harness, "whole");
    expect(await closes(db, "whole")).toEqual(gone);

    // The first trades come while roll-ups are made.
    await harness.save(trades("all are gone", [at(1, 12), 9], [at(4), 4]));
    await untilMade(harness, "all are gone");
    expect(await closes(db, "all are gone")).toEqual([...gone, [at(4), 4]]);
  });

  withDatabase("a ticker that gets rows by a renaming, where neither name has a note", async (db) => {
    await using harness = new Harness(db, Math.random, 0);
    const gone: [number, number][] = [
      [at(0), 1],
      [at(1), 2],
    ];
    // Roll-ups of the new name have begun, and it has no rows any more.
    harness.startRoller({ intervals: ["1min"], tickers: "B" });
    await harness.save({ ...trades("B", [at(9), 9]), part: "quote" });
    await harness.save(trades("B", [at(9), 9]));
    await untilMade(harness, "B");
    const all = { kind: "ticks", ticker: "B", part: null, from: null, to: null, ids: null } as const;
    await harness.edit({ what: "removal", ...all } as never);
    await until(async () => (await closes(db, "B")).length === 0);
    await harness.save(bars("A", ...gone), { content: false });
    await harness.save(trades("A", [at(3), 3]), { content: false });
    await harness.edit({ what: "renaming", ticker: "A", newTicker: "B" } as never);
    await untilMade(harness, "B");
    expect(await closes(db, "B")).toEqual([...gone, [at(3), 3]]);
    expect((await noteOf(db, "B"))!.keptFrom).toBe(dayAt(3));
  });

  withDatabase("what is yet to be made keeps its trades", async (db) => {
    await using harness = new Harness(db, Math.random, 0);
    await harness.save(trades("A", [at(0), 1], [at(1), 2]));
    const epoch = await db.reader.updates.epoch();
    const { database } = harness;
    let from: string | null = null;
    for (const [todo, end, isAllowed] of [
      [[[null, null]], dayAt(1), false],
      [[[dayAt(0), dayAt(0) + 1]], dayAt(1), false],
      [[[dayAt(1), null]], dayAt(2), false],
      [[[dayAt(1), null]], dayAt(1), true],
    ] as const) {
      const note = { ticker: "A", step: 1, epoch, to: 1, intervals: ["1min"], todo, keptFrom: null };
      const to = JSON.stringify(note);
      expect(await saveNote(database, "A", { name: "rollup/A", from, to })).toMatchObject({ ok: true });
      const series = seriesOf(["1min"]);
      expect(await mayRemoveTrades({ db: database, ticker: "A", series, end })).toBe(isAllowed);
      from = to;
    }
  });

  withDatabase("a renaming while bars without trades are looked for takes the note away", async (db) => {
    await using harness = new Harness(db, Math.random, 0);
    const gone: [number, number][] = [
      [at(0), 1],
      [at(1), 2],
    ];
    await harness.save(bars("A", ...gone), { content: false });
    await harness.save(trades("A", [at(3), 3]), { content: false });
    await harness.save(trades("B", [at(9), 9]));
    const { database } = harness;
    let looks = 0;
    const renamedMeanwhile: RollupDatabase = {
      ...database,
      async *columns(query) {
        yield* database.columns(query);
        if (looks++ > 0) return;
        const all = { kind: "ticks", ticker: "B", part: null, from: null, to: null, ids: null } as const;
        await harness.edit({ what: "removal", ...all } as never);
        await harness.edit({ what: "renaming", ticker: "A", newTicker: "B" } as never);
      },
    };
    const rollup = new TickerRollup("B", seriesOf(["1min"]), () => {});
    const saveId = () => crypto.randomUUID();
    const overtaken = rollup.step(renamedMeanwhile, saveId);
    await expect(overtaken).rejects.toMatchObject({ isOvertaken: true });
    rollup.forget();
    for (let step = 0; step < 10 && !rollup.isDone; step++) await rollup.step(database, saveId);
    expect(await closes(db, "B")).toEqual([...gone, [at(3), 3]]);
  });

  withDatabase("random trades that age: what is frozen was right, and the rest becomes so", async (db) => {
    const seed = 5;
    const random = randomNumbers(seed);
    await using harness = new Harness(db, random, 0.05);
    const floors = new Map<string, number>();
    const frozen = new Map<string, Row[]>();
    const all = rowsOfReader(db.reader);
    let now = START;
    /** Trades before its floor are too late, and bars before it are looked at once. */
    const since = (end = Number.POSITIVE_INFINITY): StoredRows => ({
      trades: async (ticker) => within(await all.trades(ticker), floors.get(ticker), end),
      bars: async (ticker, interval) => within(await all.bars(ticker, interval), floors.get(ticker), end),
    });
    for (let round = 0; round < 150; round++) {
      if (round % 40 === 5) harness.startRoller();
      now += Math.floor(random() * 90) * MINUTE;
      await randomRound(random, now, { isHeard: random() < 0.9, areBarsDeleted: false })(harness);
      await Bun.sleep(random() * 40);
      const ticker = TICKERS[round % TICKERS.length]!;
      const end = dayOf(now - 4 * HOUR);
      if (end <= (floors.get(ticker) ?? FIRST)) continue;
      const series = seriesOf(INTERVALS);
      const may = () => mayRemoveTrades({ db: harness.database, ticker, series, end });
      if (round % 30 === 29) {
        // At least here it is waited for, without what breaks off.
        await harness.stopAll();
        await harness.save(trades(ticker, [now, 1]));
        harness.startRoller({ breaks: false });
        await until(may);
        await harness.stopAll();
        harness.startRoller();
      } else if (!(await may())) continue;
      await becomeRight(since(end), [ticker], INTERVALS);
      floors.set(ticker, end);
      for (const interval of INTERVALS)
        frozen.set(`${ticker} ${interval}`, within(await all.bars(ticker, interval), undefined, end));
      const aged = {
        kind: "ticks",
        ticker,
        part: "trade",
        from: null,
        to: stampOfMicros(end - 1),
        ids: null,
      };
      await harness.edit({ what: "removal", ...aged, isAgeing: true } as never);
    }
    await harness.stopAll();
    harness.startRoller({ breaks: false });
    await becomeRight(since(), TICKERS, INTERVALS);
    expect(floors.size).toBeGreaterThan(0);
    for (const [ticker, end] of floors)
      for (const interval of INTERVALS)
        expect(within(await all.bars(ticker, interval), undefined, end)).toEqual(
          frozen.get(`${ticker} ${interval}`)!,
        );
  });
});
