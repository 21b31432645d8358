/** Bars adjusted for corporate actions: the same on every driver, small answers and large ones. */
import { expect, test } from "bun:test";
import type { CommandContext } from "../../src/commands/context.ts";
import { getCorporateActions } from "../../src/commands/get-corporate-actions.ts";
import { getStockData } from "../../src/commands/get-stock-data.ts";
import { toSaveActions } from "../../src/commands/save-corporate-actions.ts";
import { AVERAGE_COLUMNS, continueAverages, startState } from "../../src/market/moving-averages.ts";
import type { Save, StockReader } from "../../src/storage/contract.ts";
import { dateOf } from "../support/saves.ts";
import { tempDir } from "../support/temp-dir.ts";
import type { OpenDatabase } from "./drivers.ts";
import { withEachDriver } from "./each-driver.ts";

type Row = Record<string, number | string | null>;

interface Answer {
  message?: string;
  data: Row[];
  adjustment?: { type: string; as_of: string; not_applied?: Row[] };
}

const DAYS = 2_600;
/** As sent, by the day of the ex-date. */
const ACTIONS = [
  { ex_date: dateOf(300), type: "split", ratio: "3:2" },
  { ex_date: dateOf(700), type: "dividend", cash: 0.37 },
  { ex_date: dateOf(701), type: "dividend", cash: 1 },
  { ex_date: dateOf(701), type: "dividend", cash: 2.5 },
  { ex_date: dateOf(1_400), type: "split", ratio: 0.1 },
  { ex_date: dateOf(1_400), type: "dividend", cash: 3, basis: "new" },
  { ex_date: dateOf(2_000), type: "spinoff", ratio: 0.25, cash: 12, new_ticker: "SPUN" },
  { ex_date: dateOf(2_200), type: "symbol_change", new_ticker: "NEW" },
  { ex_date: dateOf(2_500), type: "split", ratio: 7 },
];

/** A close is missing each 13th day, also before an ex-date. */
const closeOf = (day: number): number | null =>
  day % 13 === 4 ? null : Math.round(5_000 + 2_000 * Math.sin(day / 50) + (day % 17) * 10) / 100;
const volumeOf = (day: number): number => 1_000 + day;

function bars(ticker: string, days = DAYS): Save {
  const rows = Array.from({ length: days }, (_, day) => {
    const close = closeOf(day);
    const [open, high, low] = close === null ? [50, 51, 49] : [close - 0.5, close + 1, close - 1];
    return [dateOf(day), open, high, low, close, volumeOf(day)];
  });
  return { kind: "daily", ticker, part: null, rows, onDuplicate: "replace" } as Save;
}

/** What is left of a price, and the factor of a volume, day by day, from the definition. */
function factors(day: number): { ratio: number; payout: number } {
  const closeBefore = (exDay: number): number => {
    for (let at = exDay - 1; ; at--) if (closeOf(at) !== null) return closeOf(at)!;
  };
  const splits = [
    { at: 300, ratio: 1.5 },
    { at: 1_400, ratio: 0.1 },
    { at: 2_500, ratio: 7 },
  ];
  const payouts = [
    { at: 700, paid: 0.37 },
    { at: 701, paid: 3.5 },
    { at: 1_400, paid: 3 * 0.1 },
    { at: 2_000, paid: 0.25 * 12 },
  ];
  const after = <T extends { at: number }>(list: T[]): T[] => list.filter(({ at }) => day < at);
  return {
    ratio: after(splits).reduce((product, { ratio }) => product * ratio, 1),
    payout: after(payouts).reduce((product, { at, paid }) => product * (1 - paid / closeBefore(at)), 1),
  };
}

async function read(reader: StockReader, params: object): Promise<Answer> {
  const call = {
    params: { ticker: "A", ...params },
    text: "",
    saveId: null,
    arrow: null,
    idempotencyKey: null,
    addWarning: null,
    signal: new AbortController().signal,
    demand: () => undefined,
    client: "",
    sender: { who: "-", address: "" },
  };
  const context = { reader, marketTimezone: "America/New_York" } as CommandContext;
  return (await new Response(await getStockData.run(call, context)).json()) as Answer;
}

async function fill(db: OpenDatabase, saves: Save[]): Promise<void> {
  for (const save of saves) expect(await db.writer.commit([save])).toMatchObject([{ ok: true }]);
}

const actionsOf = (ticker: string, data: object[] = ACTIONS): Save => toSaveActions({ ticker, data }).save;

withEachDriver({ topic: "adjusted bars" }, ({ open, withDatabase }) => {
  withDatabase("a large answer has adjusted prices, volumes and averages, from any day on", async (db) => {
    await fill(db, [bars("A"), actionsOf("A")]);
    const stored = await read(db.reader, {});
    const { data, adjustment } = await read(db.reader, { adjustment: "all", adjust_to: dateOf(DAYS) });
    expect(adjustment).toEqual({ type: "all", as_of: dateOf(DAYS) });
    expect(data).toHaveLength(DAYS);
    const closes: (number | null)[] = [];
    for (const [day, row] of data.entries()) {
      const raw = stored.data[day]!;
      const { ratio, payout } = factors(day);
      for (const name of ["open", "high", "low", "close"]) {
        if (raw[name] === null) expect(row[name]).toBeNull();
        else expect(row[name]).toBeCloseTo((Number(raw[name]) / ratio) * payout, 5);
      }
      expect(row.volume).toBeCloseTo(volumeOf(day) * ratio, 5);
      const close = closeOf(day);
      closes.push(close === null ? null : (close / ratio) * payout);
    }
    const averages = continueAverages(startState(), [], closes).rows;
    for (const [day, row] of data.entries())
      for (const [column, name] of AVERAGE_COLUMNS.entries()) {
        const expected = averages[day]![column]!;
        if (expected === null) expect(row[name]).toBeNull();
        else expect(row[name]).toBeCloseTo(expected, 3);
      }
    // Averages don't depend on where the read begins.
    const from = { adjustment: "all", adjust_to: dateOf(DAYS), start_date: dateOf(2_590) };
    expect((await read(db.reader, from)).data).toEqual(data.slice(2_590));
    const part = { ...from, start_date: dateOf(650), end_date: dateOf(750) };
    expect((await read(db.reader, part)).data).toEqual(data.slice(650, 751));
    expect(await read(db.reader, {})).toEqual(stored);
  });

  withDatabase("splits alone, payouts alone, as of a day, and what isn't known", async (db) => {
    await fill(db, [bars("A", 1_450), actionsOf("A")]);
    const closeAt = async (day: number, params: object): Promise<number> => {
      const bounds = { start_date: dateOf(day), end_date: dateOf(day) };
      return Number((await read(db.reader, { ...bounds, ...params })).data[0]!.close);
    };
    const raw = closeOf(200)!;
    expect(await closeAt(200, { adjustment: "split", adjust_to: dateOf(1_000) })).toBeCloseTo(raw / 1.5, 5);
    expect(await closeAt(200, { adjust_to: dateOf(299) })).toBe(raw);
    expect(await closeAt(1_420, { adjust_to: dateOf(1_000) })).toBe(closeOf(1_420)!);
    const ofPayouts = await read(db.reader, { adjustment: "dividend", adjust_to: dateOf(1_400) });
    expect(ofPayouts.data[200]!.close).toBeCloseTo(
      (raw * factors(200).payout) / (1 - 3 / closeOf(1_999)!),
      4,
    );
    expect(ofPayouts.data[200]!.volume).toBe(volumeOf(200));
    // Nothing is stored before the spin-off of day 2,000.
    const { data, adjustment } = await read(db.reader, { adjustment: "all" });
    expect(adjustment!.not_applied).toEqual([
      {
        ex_date: `${dateOf(2_000)}T00:00:00.000000Z`,
        type: "spinoff",
        ratio: 0.25,
        cash: 12,
        reason: "no daily close is stored in the 14 days before it",
      },
    ]);
    expect(data[1_440]!.close).toBeCloseTo((closeOf(1_440) ?? 0) / 7, 5);
    expect(await read(db.reader, { ticker: "NOBODY", adjustment: "all" })).toEqual({
      message: "No data found",
      data: [],
    });
    const later = { adjustment: "all", start_date: dateOf(1_450) };
    expect(await read(db.reader, later)).toMatchObject({ message: "No data found", data: [] });
  });

  withDatabase("shorter bars go by the date in New York, with vwap and without averages", async (db) => {
    const hourly = (hours: [string, number][]): Save => ({
      kind: "hourly",
      ticker: "A",
      part: null,
      rows: hours.map(([stamp, close]) => [stamp, close, close, close, close, 10]),
      onDuplicate: "replace",
    });
    const minutes: Save = {
      kind: "interval",
      ticker: "A",
      part: "5min",
      rows: [
        ["2024-06-10 03:55:00", 100, 100, 100, 100, 10, 99, 3],
        ["2024-06-10 04:00:00", 50, 50, 50, 50, 10, 49, 3],
      ],
      onDuplicate: "replace",
    };
    const long: Save = {
      kind: "interval",
      ticker: "A",
      part: "1week",
      rows: [
        ["2024-06-03 00:00:00", 100, 100, 100, 100, 10, null, null],
        ["2024-06-10 00:00:00", 50, 50, 50, 50, 10, null, null],
      ],
      onDuplicate: "replace",
    };
    await fill(db, [
      // 23:00 of the 9th and 0:00 of the 10th there.
      hourly([
        ["2024-06-10 03:00:00", 100],
        ["2024-06-10 04:00:00", 50],
      ]),
      minutes,
      long,
      actionsOf("A", [{ ex_date: "2024-06-10", type: "split", ratio: 2 }]),
    ]);
    for (const interval of ["hourly", "5min", "1week"]) {
      const { data } = await read(db.reader, { interval, adjustment: "split" });
      expect(data).toMatchObject([
        { open: 50, close: 50, volume: 20 },
        { open: 50, close: 50, volume: 10 },
      ]);
      expect(data[0]).not.toHaveProperty("ma_10");
    }
    expect((await read(db.reader, { interval: "5min", adjustment: "all" })).data).toMatchObject([
      { vwap: 49.5, trade_count: 3 },
      { vwap: 49, trade_count: 3 },
    ]);
    const evening = { interval: "5min", adjustment: "all", start_date: "2024-06-10T03:00:00Z" };
    expect((await read(db.reader, evening)).data[0]).toMatchObject({ close: 50 });
  });

  withDatabase(
    "actions that are saved while bars are opened count for all of them or for none",
    async (db) => {
      await fill(db, [bars("A", 1_200)]);
      const connections = async (): Promise<number> => (await db.reader.pool()).active_connections;
      const before = await connections();
      const split = actionsOf("A", [{ ex_date: dateOf(1_100), type: "split", ratio: 2 }]);
      let changes = 2;
      const changing = new Proxy(db.reader, {
        get(reader, name) {
          const member = Reflect.get(reader, name, reader);
          if (name !== "rows") return typeof member === "function" ? member.bind(reader) : member;
          return async (...args: Parameters<StockReader["rows"]>) => {
            const found = await reader.rows(...args);
            if (args[0].kind === "daily" && changes-- > 0) await fill(db, [split]);
            return found;
          };
        },
      });
      const { data } = await read(changing, { adjustment: "all", adjust_to: dateOf(1_200) });
      expect(data).toHaveLength(1_200);
      expect(data[1_000]!.close).toBeCloseTo(closeOf(1_000)! / 2, 5);
      expect(data[1_150]!.close).toBe(closeOf(1_150)!);
      // What was opened in vain is closed.
      expect(await connections()).toBeLessThanOrEqual(before);
    },
  );

  test("two dividends of a day are two rows, and what was read can be saved again", async () => {
    using dir = tempDir();
    await using db = await open(dir.path);
    await fill(db, [actionsOf("A")]);
    const list = async (params: object) => {
      const call = { params: { ticker: "A", ...params }, signal: new AbortController().signal };
      const answer = await getCorporateActions.run(call as never, { reader: db.reader } as CommandContext);
      return (await new Response(answer).json()) as Answer;
    };
    const { data } = await list({});
    expect(data.map(({ type, cash, seq }) => [type, cash, seq])).toEqual([
      ["split", null, 0],
      ["dividend", 0.37, 1_000],
      ["dividend", 1, 1_000],
      ["dividend", 2.5, 1_001],
      ["split", null, 0],
      ["dividend", 3, 1_000],
      ["spinoff", 12, 2_000],
      ["symbol_change", null, 3_000],
      ["split", null, 0],
    ]);
    const [again] = await db.writer.commit([toSaveActions({ ticker: "A", data }).save]);
    expect(again).toMatchObject({ ok: true });
    const unstamped = (rows: Row[]): Row[] => rows.map(({ write_timestamp: _, ...row }) => row);
    expect(unstamped((await list({})).data)).toEqual(unstamped(data));
    const corrected = actionsOf("A", [{ ex_date: dateOf(701), type: "dividend", cash: 1.1 }]);
    await fill(db, [corrected]);
    const ofDay = { start_date: dateOf(701), end_date: dateOf(701) };
    expect((await list(ofDay)).data).toMatchObject([{ cash: 1.1 }, { cash: 2.5 }]);
    const kept = { ...corrected, onDuplicate: "error" } as Save;
    expect(await db.writer.commit([kept])).toMatchObject([
      { ok: false, status: 409, details: `${dateOf(701)} seq 1000` },
    ]);
  });
});
