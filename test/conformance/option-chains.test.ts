/** Options and financial figures: rows of many series in one save, the newest of each. */
import { expect } from "bun:test";
import type { NewestOfPartsQuery, SaveRows } from "../../src/storage/contract.ts";
import type { SeriesValue } from "../../src/storage/model/kinds.ts";
import { type Row, rowsOf } from "../support/answered.ts";
import { rowOf } from "../support/figures.ts";
import { ticks } from "../support/saves.ts";
import type { OpenDatabase } from "./drivers.ts";
import { withEachDriver } from "./each-driver.ts";
import { expectStored } from "./saves.ts";

/** More than any driver gives as one text, and more than one page. */
const MANY = 2_500;

const stampOf = (hour: number): string => `2024-01-02 ${String(hour).padStart(2, "0")}:00:00.000000`;

type Values = Record<string, SeriesValue>;

type Snapshot = [contract: string, hour: number, values: Values];

function chain(snapshots: Snapshot[], more: Partial<SaveRows> = {}): SaveRows {
  return {
    kind: "options",
    ticker: "A",
    part: null,
    parts: snapshots.map(([contract]) => contract),
    rows: snapshots.map(([, hour, values]) =>
      rowOf("options", stampOf(hour), { expiration_date: "2024-01-19", ...values }),
    ),
    onDuplicate: "replace",
    ...more,
  };
}

function figures(date: string, values: Values, onDuplicate: SaveRows["onDuplicate"] = "complete"): SaveRows {
  const rows = [rowOf("financial", date, values)];
  return { kind: "financial", ticker: "A", part: null, rows, onDuplicate };
}

function newest(db: OpenDatabase, query: Partial<NewestOfPartsQuery> = {}): Promise<Row[]> {
  const all = { parts: null, from: null, to: null, by: "stamp", where: [], columns: null } as const;
  return rowsOf(db.reader.newestOfParts({ kind: "options", ticker: "A", ...all, ...query }));
}

const pricesOf = (rows: Row[]): unknown[] => rows.map((row) => [row.option_ticker, row.price]);

async function storedFigures(db: OpenDatabase): Promise<Row[]> {
  return rowsOf(db.reader.rows({ kind: "financial", ticker: "A", part: null, from: null, to: null }));
}

withEachDriver({ topic: "option chains" }, ({ withDatabase, testOf }) => {
  withDatabase("a save of many contracts is one update, and a later one replaces", async (db) => {
    const saved = chain([
      ["C1", 10, { price: 1 }],
      ["C2", 10, { price: 2 }],
      ["C2", 11, { price: 3 }],
    ]);
    expect(await db.writer.commit([saved])).toMatchObject([{ ok: true, stored: 3, position: 1 }]);
    const again = chain([["C2", 11, { price: 4, volume: "9007199254740993" }]]);
    expect(await db.writer.commit([again])).toMatchObject([{ ok: true, position: 2 }]);
    expect(pricesOf(await newest(db))).toEqual([
      ["C1", 1],
      ["C2", 4],
    ]);
    expect(await db.reader.parts("options", "A")).toEqual(["C1", "C2"]);
    expect(await db.reader.tickers("options", null, 10)).toEqual(["A"]);
    await expectStored(
      db,
      [
        chain(
          [
            ["C1", 10, { price: 9 }],
            ["C3", 10, { price: 5 }],
          ],
          { onDuplicate: "keep" },
        ),
      ],
      [1],
    );
    expect(pricesOf(await newest(db))).toEqual([
      ["C1", 1],
      ["C2", 4],
      ["C3", 5],
    ]);
  });

  withDatabase("a row is answered with all of its columns, in their form", async (db) => {
    const values = {
      strike_price: 150,
      option_type: "call",
      last_quote_timestamp: "2024-01-02 09:59:59.123456",
      price: 1.5,
      implied_volatility: 0.25,
      volume: "9007199254740993",
      open_interest: 7,
    };
    await expectStored(db, [chain([["O:A240119C00150000", 10, values]])], [1]);
    const [row] = await newest(db);
    expect(row).toMatchObject({
      ...values,
      ticker: "A",
      option_ticker: "O:A240119C00150000",
      timestamp: "2024-01-02T10:00:00.000000Z",
      expiration_date: "2024-01-19T00:00:00.000000Z",
      last_quote_timestamp: "2024-01-02T09:59:59.123456Z",
      volume: 9007199254740992,
      bid: null,
      delta: null,
    });
    expect(row!.write_timestamp).toMatch(/^\d{4}-\d\d-\d\dT.*\.\d{6}Z$/);
    const history = db.reader.newest({
      kind: "options",
      ticker: "A",
      part: "O:A240119C00150000",
      from: null,
      to: null,
      limit: 1,
    });
    expect(await rowsOf(history)).toEqual([row!]);
    expect(Object.keys(row!)).toHaveLength(21);
  });

  withDatabase("the newest row of each series as of a moment, of some, within bounds", async (db) => {
    await expectStored(
      db,
      [
        chain([
          ["C1", 10, { price: 1, strike_price: 100, option_type: "call" }],
          ["C1", 12, { price: 2, strike_price: 100, option_type: "call" }],
          ["C2", 11, { price: 3, strike_price: 200, option_type: "put", expiration_date: "2024-02-16" }],
          ["C3", 14, { price: 4 }],
        ]),
        chain([["C1", 12, { price: 77 }]], { ticker: "B" }),
      ],
      [4, 1],
    );
    const found = async (query: Partial<NewestOfPartsQuery>): Promise<unknown[]> =>
      (await newest(db, query)).map(({ price }) => price);
    expect(await found({})).toEqual([2, 3, 4]);
    expect(await found({ to: stampOf(11) })).toEqual([1, 3]);
    expect(await found({ to: stampOf(9) })).toEqual([]);
    expect(await found({ from: stampOf(12) })).toEqual([2, 4]);
    expect(await found({ parts: ["C3", "C1", "no"] })).toEqual([2, 4]);
    const where = (column: string, from: string | number | null, to: string | number | null) =>
      found({ where: [{ column, from, to }] });
    expect(await where("expiration_date", "2024-01-20", null)).toEqual([3]);
    expect(await where("expiration_date", "2024-01-19", "2024-01-19")).toEqual([2, 4]);
    expect(await where("strike_price", 100, 150)).toEqual([2]);
    expect(await where("option_type", "put", "put")).toEqual([3]);
    expect(await newest(db, { columns: ["expiration_date", "price"], parts: ["C2"] })).toEqual([
      { expiration_date: "2024-02-16T00:00:00.000000Z", price: 3 },
    ]);
    expect(await found({ ticker: "none" })).toEqual([]);
  });

  withDatabase("the row that was written last, where it isn't the newest", async (db) => {
    await expectStored(db, [chain([["C1", 12, { price: 1 }]])], [1]);
    await expectStored(db, [chain([["C1", 10, { price: 2 }]])], [1]);
    expect(pricesOf(await newest(db))).toEqual([["C1", 1]]);
    expect(pricesOf(await newest(db, { by: "written" }))).toEqual([["C1", 2]]);
  });

  withDatabase("a chain of thousands comes whole and in order", async (db) => {
    const names = Array.from({ length: MANY }, (_, n) => `O:A${String(n).padStart(5, "0")}`);
    for (const hour of [10, 11])
      await expectStored(db, [chain(names.map((name) => [name, hour, { price: hour }]))], [MANY]);
    expect(pricesOf(await newest(db))).toEqual(names.map((name) => [name, 11]));
    expect(pricesOf(await newest(db, { to: stampOf(10) }))).toEqual(names.map((name) => [name, 10]));
    const some = names.filter((_, n) => n % 2 === 1);
    expect((await newest(db, { parts: some })).map((row) => row.option_ticker)).toEqual(some);
    expect(await newest(db, { where: [{ column: "price", from: 12, to: null }] })).toEqual([]);
    const last = { where: [{ column: "price", from: 99, to: 99 }] };
    await expectStored(db, [chain([[names.at(-1)!, 12, { price: 99 }]])], [1]);
    expect(pricesOf(await newest(db, last))).toEqual([[names.at(-1)!, 99]]);
  });

  withDatabase("the newest tick of each type", async (db) => {
    const at = "2024-01-02 10:00:00.000000";
    await expectStored(
      db,
      [
        ticks("A", [
          [at, 1],
          [at, 2],
        ]),
        { ...ticks("A", [[at, 3]]), part: "quote" },
      ],
      [2, 1],
    );
    const rows = await newest(db, { kind: "ticks" });
    expect(rows.map(({ type, price }) => [type, price])).toEqual([
      ["quote", 3],
      ["trade", 2],
    ]);
  });

  testOf("sql", "a row of SQL, which brings no time of writing, counts as the first written", (name) =>
    withDatabase(name, async (db) => {
      await db.execute(
        `INSERT INTO options_data (ticker, option_ticker, "timestamp", price, write_timestamp) VALUES ('A', 'C1', '2024-01-02 12:00:00.000000', 5, NULL)`,
      );
      await expectStored(db, [chain([["C1", 10, { price: 2 }]])], [1]);
      expect(pricesOf(await newest(db, { by: "written" }))).toEqual([["C1", 2]]);
      expect(await newest(db)).toMatchObject([{ price: 5, expiration_date: null }]);
    }),
  );
});

withEachDriver({ topic: "financial figures" }, ({ withDatabase }) => {
  withDatabase(
    "what a save doesn't bring is what was stored of the day, else of the newest before",
    async (db) => {
      await expectStored(
        db,
        [figures("2024-01-02", { price: 1, market_cap: "9007199254740993", iv_rank: 5 })],
        [1],
      );
      await expectStored(
        db,
        [figures("2024-01-10", { price: 10, iv_analysis_json: '{"a":"é, \\"x\\""}' })],
        [1],
      );
      await expectStored(db, [figures("2024-01-10", { price: 11 })], [1]);
      // Between two that are stored; the later one stays as it is.
      await expectStored(db, [figures("2024-01-05", { iv_rank: 6, current_ratio: 2 })], [1]);
      await expectStored(db, [figures("2023-12-01", { beta: 1 })], [1]);
      const rows = await storedFigures(db);
      expect(
        rows.map(({ date, price, iv_rank, current_ratio, current, iv_analysis_json }) => {
          return [String(date).slice(0, 10), price, iv_rank, current_ratio, current, iv_analysis_json];
        }),
      ).toEqual([
        ["2023-12-01", null, null, null, null, null],
        ["2024-01-02", 1, 5, null, null, null],
        ["2024-01-05", 1, 6, 2, 2, null],
        ["2024-01-10", 11, 5, null, null, '{"a":"é, \\"x\\""}'],
      ]);
      expect(rows.map((row) => row.market_cap)).toEqual([null, ...Array(3).fill(9007199254740992)]);
      expect(rows[1]!.date).toBe("2024-01-02T00:00:00.000000Z");
    },
  );

  withDatabase("saves of one transaction complete each other", async (db) => {
    await expectStored(
      db,
      [
        figures("2024-01-02", { price: 1 }),
        figures("2024-01-03", { iv_rank: 2 }),
        figures("2024-01-02", { dividend_yield: 3 }),
        figures("2024-01-04", { price: 4 }, "replace"),
        figures("2024-01-05", { iv_rank: 5 }),
      ],
      [1, 1, 1, 1, 1],
    );
    const rows = await storedFigures(db);
    expect(rows.map(({ price, iv_rank, dividend_yield }) => [price, iv_rank, dividend_yield])).toEqual([
      [1, null, 3],
      [1, 2, null],
      [4, null, null],
      [4, 5, null],
    ]);
  });

  withDatabase("neither kind is part of a snapshot, and both count as updates", async (db) => {
    await expectStored(db, [figures("2024-01-02", { price: 1 }), chain([["C1", 10, { price: 2 }]])], [1, 1]);
    expect(await db.reader.updates.snapshot("A")).toEqual({ position: 2, newest: [] });
    const updates = await db.reader.updates.after("A", 0, { updates: 10, characters: 1_000 });
    expect(updates.map(({ type }) => type)).toEqual(["financial", "option"]);
  });
});
