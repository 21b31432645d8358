/** What every driver that has columns gives: the rows that were saved, from one snapshot. */
import { expect, test } from "bun:test";
import { commitBatch } from "../../src/storage/column-saves.ts";
import {
  type ColumnSave,
  type Save,
  type TickRow,
  type TransferReader,
  TransferRowError,
} from "../../src/storage/contract.ts";
import {
  type ColumnBatch,
  type ColumnData,
  type ColumnQuery,
  type RowKey,
  rowColumnNames,
  rowsOfBatch,
} from "../../src/storage/model/columns.ts";
import {
  KIND_NAMES,
  type KindColumn,
  type KindName,
  kindOf,
  type SeriesRow,
} from "../../src/storage/model/kinds.ts";
import { compareTexts } from "../../src/storage/series-order.ts";
import { randomAction } from "../support/action-rows.ts";
import { batchOfRows } from "../support/column-batches.ts";
import { randomExtra } from "../support/column-rows.ts";
import { randomNumbers } from "../support/random.ts";
import { tempDir } from "../support/temp-dir.ts";
import type { OpenDatabase } from "./drivers.ts";
import { withEachDriver } from "./each-driver.ts";

/** More rows than a batch of any driver has. */
const MANY = 18_000;
const SAVE_ROWS = 10_000;
/** "Some thousand." */
const BATCH_ROWS_MAX = 17_000;

/** By the column that names the part, in order. */
const PARTS: Record<string, string[]> = {
  interval: ["1min", "2hour", "5min"],
  option_ticker: ["O:A240119C00150000", "O:A240119P00150000", "x"],
  type: ["1min", "quote", "trade"],
};

/** Values of the types that are texts. */
const TEXTS = {
  text: ["", "é", "x", 'a,b "c"\n\\d', "null"],
  date: ["1999-12-31", "2024-02-29", "1700-01-01"],
  second: ["2024-01-02 10:00:00"],
  instant: ["2024-01-02 10:00:00.000001", "1700-01-01 23:59:59.999999"],
} as const;
/** In order of their seq. */
const ACTIONS_OF_DAY = [
  { type: "split", place: 0 },
  { type: "dividend", place: 0 },
  { type: "dividend", place: 5 },
] as const;

const everything = { tickers: null, parts: null, from: null, to: null };
const isoOf = (ms: number): string => new Date(ms).toISOString().replace("T", " ");
const stampOf = (n: number): string =>
  `${isoOf(Date.UTC(2024, 0, 2, 10) + Math.floor(n / 1_000)).slice(
    0,
    23,
  )}${String(n % 1_000).padStart(3, "0")}`;

function ticks(ticker: string, part: string, rows: TickRow[]): Save {
  return { kind: "ticks", ticker, part, rows, onDuplicate: "replace" };
}

const manyTicks = (price: number): TickRow[] =>
  Array.from({ length: MANY }, (_, n): TickRow => [stampOf(n * 7), price, n, null, null, null, null, 0]);

/** A transaction has a bound of time, and leaves what comes after it for the next one. */
async function save(db: OpenDatabase, saves: Save[]): Promise<void> {
  for (let left = saves; left.length > 0; ) {
    const outcomes = await db.writer.commit(left);
    for (const outcome of outcomes) if (outcome !== null) expect(outcome).toMatchObject({ ok: true });
    left = left.filter((_, index) => (outcomes[index] ?? null) === null);
  }
}

async function saveMany(db: OpenDatabase, ticker: string, rows: TickRow[]): Promise<void> {
  for (let at = 0; at < rows.length; at += SAVE_ROWS)
    await save(db, [ticks(ticker, "trade", rows.slice(at, at + SAVE_ROWS))]);
}

/** The columns that name a row, and the row. */
function namedColumns(kind: KindName): string[] {
  const { part } = kindOf(kind);
  return ["ticker", ...(part === null ? [] : [part]), ...rowColumnNames(kind)];
}

function textAt(data: ColumnData, row: number): string {
  if (data.type !== "text") throw new Error(`a column of ${data.type}, not of text`);
  return data.dictionary[data.codes[row]!]!;
}

function int64sOf(data: ColumnData): bigint[] {
  if (data.type !== "int64") throw new Error(`a column of ${data.type}, not of int64`);
  return [...data.values];
}

type ColumnSource = Pick<TransferReader, "columns" | "tickers">;

/** As a text each, so that rows of any kind can be compared: its series, and its cells. */
function linesOf(kind: KindName, batch: ColumnBatch): string[] {
  const { part } = kindOf(kind);
  return rowsOfBatch(kind, batch).map((row, index) => {
    const names = ["ticker", ...(part === null ? [] : [part])].map((column) =>
      textAt(batch.columns.get(column)!, index),
    );
    return lineOf(kind, names, row);
  });
}

function lineOf(kind: KindName, names: string[], row: SeriesRow): string {
  const { values } = kindOf(kind);
  const cells = row.map((value, index) =>
    values[index - 1]?.type === "count" && value !== null ? exactText(value) : value,
  );
  return JSON.stringify([...names, ...cells]);
}

/** Digits that a double holds are as good as the double. */
function exactText(count: number | string): number | string {
  const number = Number(count);
  return String(number) === String(count) ? number : String(count);
}

async function collect(reader: ColumnSource, query: ColumnQuery): Promise<ColumnBatch[]> {
  const batches: ColumnBatch[] = [];
  for await (const batch of reader.columns!(query)) batches.push(batch);
  return batches;
}

async function readLines(reader: ColumnSource, query: Omit<ColumnQuery, "columns">): Promise<string[]> {
  const batches = await collect(reader, { ...query, columns: namedColumns(query.kind) });
  return batches.flatMap((batch) => linesOf(query.kind, batch));
}

type StoredRow = { ticker: string; part: string | null; row: SeriesRow };

type Order = "ascending" | "descending";

/** @param rows ascending. */
function inOrder(rows: StoredRow[], order: Order): StoredRow[] {
  if (order === "ascending") return rows;
  const series = Map.groupBy(rows, ({ ticker, part }) => JSON.stringify([ticker, part]));
  return [...series.values()].flatMap((ofOne) => ofOne.toReversed());
}

function keyOf(kind: KindName, { ticker, part, row }: StoredRow): RowKey {
  return { ticker, part, stamp: row[0], seq: kindOf(kind).hasSeq ? (row.at(-1) as number) : null };
}

/** The key of the row, or one that no row has beside it. */
function nearby(kind: KindName, stored: StoredRow, random: () => number): RowKey {
  const key = keyOf(kind, stored);
  const choice = Math.floor(random() * 4);
  if (choice === 0 && key.seq !== null) return { ...key, seq: key.seq + 1 };
  if (choice === 1 && key.part !== null) return { ...key, part: `${key.part}~` };
  if (choice === 2) return { ...key, ticker: `${key.ticker}~` };
  return key;
}

/** More than 0: a walk comes to `a` later. */
function compareKeys(a: RowKey, b: RowKey, order: Order): number {
  const direction = order === "descending" ? -1 : 1;
  return (
    compareTexts(a.ticker, b.ticker) ||
    compareTexts(a.part ?? "", b.part ?? "") ||
    direction * (compareTexts(a.stamp, b.stamp) || (a.seq ?? 0) - (b.seq ?? 0))
  );
}

/** Stored rows by kind, as `lineOf` writes them, in order of the walk. */
type Stored = Record<string, StoredRow[]>;

/** Random saves of all kinds; of each stamp (and seq) one row. */
function randomSaves(seed: number): { saves: Save[]; stored: Stored } {
  const random = randomNumbers(seed);
  const oneOf = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const maybe = <T>(value: T): T | null => (random() < 0.2 ? null : value);
  const doubles = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -1.5, 0, 17];
  const counts = [0, 7, -3, 2 ** 53 - 1, "9007199254740993", "-9223372036854775808", "9223372036854775807"];
  let ids = 0;
  const randomValue = ({ name, type }: KindColumn): number | string | null => {
    if (name === "option_type") return maybe(oneOf(["call", "put"]));
    if (name === "expiration_date") return oneOf(TEXTS.date);
    if (name === "id") return maybe(`é${++ids}`);
    if (type === "count") return maybe(oneOf(counts));
    if (type === "double") return maybe(oneOf(doubles));
    if (type === "json") return maybe(randomExtra(random));
    return maybe(oneOf(TEXTS[type]));
  };
  const saves: Save[] = [];
  const stored: Stored = {};
  for (const kind of KIND_NAMES) {
    const { part, stamp, values, hasSeq } = kindOf(kind);
    stored[kind] = [];
    for (let i = 0; i < 60; i++) {
      const ticker = `T${String(i * 7).padStart(4, "0")}${i % 11 === 0 ? "ä" : ""}`;
      for (const name of part === null ? [null] : PARTS[part]!.slice(0, 1 + (i % 3))) {
        const stamps = new Set<string>();
        while (stamps.size < 1 + (i % 13)) {
          const ms = Date.UTC(1700 + Math.floor(random() * 560), 3, 5) + Math.floor(random() * 9e8);
          const text = `${isoOf(ms).slice(0, 23)}${String(Math.floor(random() * 1_000)).padStart(3, "0")}`;
          stamps.add(text.slice(0, { date: 10, second: 19, instant: 26 }[stamp.type]));
        }
        const rows = [...stamps].sort().flatMap((at): SeriesRow[] => {
          if (kind === "actions")
            return ACTIONS_OF_DAY.slice(0, 1 + (i % 3)).map((action) => randomAction(random, at, action));
          const row = (): SeriesRow => [at, ...values.map(randomValue)];
          return hasSeq
            ? [0, 1, 5].slice(0, 1 + (i % 3)).map((seq) => [...row(), seq] as SeriesRow)
            : [row()];
        });
        saves.push({ kind, ticker, part: name, rows, onDuplicate: "replace" } as Save);
        for (const row of rows) stored[kind].push({ ticker, part: name, row });
      }
    }
  }
  return { saves, stored };
}

function expectedLines(
  stored: Stored,
  kind: KindName,
  keep: (entry: Stored[string][number]) => boolean = () => true,
): string[] {
  return stored[kind]!.filter(keep).map(({ ticker, part, row }) =>
    lineOf(kind, part === null ? [ticker] : [ticker, part], row),
  );
}

async function allLines(db: OpenDatabase): Promise<string[]> {
  const reader = await db.openTransfer();
  const lines: string[] = [];
  for (const kind of KIND_NAMES) lines.push(...(await readLines(reader, { kind, ...everything })));
  await reader.close();
  return lines;
}

/** Random saves of a few keys, so that they meet what is stored, in every way to do so. */
function meetingSaves(seed: number): Save[] {
  const random = randomNumbers(seed);
  const oneOf = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const counts = [1, 2, null, "9007199254740993"];
  return Array.from({ length: 60 }, (_, day): Save => {
    const kind = oneOf(KIND_NAMES);
    const { part, stamp, values, hasSeq } = kindOf(kind);
    const numbersItself = kind === "ticks";
    // Some of what is stored, or only what is newer.
    const first = random() < 0.5 ? 0 : 20 * day;
    const places = Array.from(
      { length: 1 + Math.floor(random() * 8) },
      () => first + Math.floor(random() * 12),
    );
    const isSorted = !numbersItself || random() < 0.7;
    if (isSorted) places.sort((a, b) => a - b);
    const withSeq = random() < 0.5;
    const rows = (numbersItself ? places : [...new Set(places)]).map((place, index): SeriesRow => {
      const at = isoOf(Date.UTC(2024, 0, 1 + place)).slice(0, 23);
      if (kind === "actions") return randomAction(random, at.slice(0, 10), oneOf(ACTIONS_OF_DAY));
      return [
        `${at}000`.slice(0, { date: 10, second: 19, instant: 26 }[stamp.type]),
        ...values.map(({ name, type }) => {
          if (name === "option_type") return "call";
          if (name === "expiration_date") return TEXTS.date[1];
          if (name === "id") return oneOf([null, null, null, "a", "b"]);
          if (type === "count") return oneOf(counts);
          if (type === "double") return oneOf([1.5, 2.5, null]);
          return type === "json" ? oneOf([null, null, '{"x":1}']) : oneOf([...TEXTS[type], null]);
        }),
        ...(hasSeq ? [withSeq ? index % 3 : null] : []),
      ];
    });
    const onDuplicate = oneOf(["replace", numbersItself ? "match" : "keep", "error"]);
    const name = part === null ? null : oneOf(PARTS[part]!);
    return { kind, ticker: oneOf(["A", "B"]), part: name, rows, onDuplicate } as Save;
  });
}

withEachDriver({ topic: "columns" }, ({ open, withDatabase, withSharedDatabase, testOf }) => {
  for (const seed of [1, 2]) {
    const same = `saved as columns or as rows, outcomes and what is stored are the same (${seed})`;
    testOf("columnSaves", same, (name) =>
      test(name, async () => {
        using one = tempDir();
        using other = tempDir();
        await using asRows = await open(one.path);
        await using asColumns = await open(other.path);
        for (const { rows, ...save } of meetingSaves(seed)) {
          const [expected] = await asRows.writer.commit([{ ...save, rows } as Save]);
          const batch = batchOfRows(save.kind, rows as SeriesRow[]);
          const outcome = await asColumns.writer.commitColumns!({ ...save, batch } as ColumnSave);
          expect({ ...outcome, epoch: "" }).toEqual({ ...expected!, epoch: "" });
        }
        const stored = await Promise.all([asRows, asColumns].map(allLines));
        expect(stored[0]!.length).toBeGreaterThan(20);
        expect(stored[1]).toEqual(stored[0]!);
      }),
    );
  }

  testOf("columnSaves", "a save of columns is an update, and a repeated one is known", (name) =>
    withDatabase(name, async (db) => {
      const saveOf = (saveId: string, first: number, repeated = false): Save => {
        const rows = Array.from(
          { length: 3 },
          (_, i): TickRow => [stampOf(first + i), i, 1, null, null, null, null, null],
        );
        const columns = batchOfRows("ticks", rows);
        const update = { saveId, repeated, frame: `{"first":${first}}` };
        const named = { kind: "ticks", ticker: "A", part: "trade", onDuplicate: "match" } as const;
        return { ...named, rows: new Array(rows.length), columns, update };
      };
      const outcomes = [];
      // The first again, as a worker does whose hub has died; then rows that are stored in part.
      for (const save of [saveOf("s1", 0), saveOf("s2", 10), saveOf("s1", 0, true), saveOf("s3", 11)])
        outcomes.push(...(await commitBatch(db.writer, [save])));
      expect(outcomes).toMatchObject([
        { ok: true, stored: 3, position: 1 },
        { ok: true, stored: 3, position: 2 },
        { ok: true, stored: 3, position: 1, isRepetition: true },
        { ok: true, stored: 3, position: 3 },
      ]);
      const limit = { updates: 10, characters: 1_000 };
      const told = await db.reader.updates.after("A", 0, limit);
      expect(told.map(({ position, type, frame }) => [position, type, frame])).toEqual([
        [1, "trade", '{"first":0}'],
        [2, "trade", '{"first":10}'],
        [3, "trade", '{"first":11}'],
      ]);
      expect(await allLines(db)).toHaveLength(9);
    }),
  );

  testOf("columnSaves", "a save of columns that a rule of users' refuses stores nothing", (name) =>
    withDatabase(name, async (db) => {
      await db.execute("CREATE UNIQUE INDEX one_price ON realtime_data (price)");
      const saveOf = (ticks: [at: number, price: number][]): ColumnSave => {
        const rows = ticks.map(([n, price]): TickRow => [stampOf(n), price, 1, null, null, null, null, null]);
        const batch = batchOfRows("ticks", rows);
        return { kind: "ticks", ticker: "A", part: "trade", onDuplicate: "match", batch };
      };
      const outcomeOf = (ticks: [at: number, price: number][]) => db.writer.commitColumns!(saveOf(ticks));
      expect(
        await outcomeOf([
          [1, 1],
          [2, 2],
        ]),
      ).toMatchObject({ ok: true, stored: 2 });
      expect(
        await outcomeOf([
          [3, 3],
          [4, 1],
        ]),
      ).toMatchObject({ ok: false, status: 409 });
      expect(await outcomeOf([[5, 5]])).toMatchObject({ ok: true, stored: 1, position: 2 });
      expect(await allLines(db)).toHaveLength(3);
    }),
  );

  type ReaderTest<T> = (reader: ColumnSource, prepared: T, db: OpenDatabase) => Promise<void>;
  /** That of a worker, and that of a copy. */
  const withBothReaders = async <T>(db: OpenDatabase, prepared: T, body: ReaderTest<T>): Promise<void> => {
    await body(db.reader, prepared, db);
    const copy = await db.openTransfer();
    try {
      await body(copy, prepared, db);
    } finally {
      await copy.close();
    }
  };
  const withReader = <T>(
    name: string,
    prepare: (db: OpenDatabase) => Promise<T>,
    body: ReaderTest<T>,
  ): void => withDatabase(name, async (db) => withBothReaders(db, await prepare(db), body));
  const withSharedReader = <T>(
    topic: string,
    prepare: (db: OpenDatabase) => Promise<T>,
    define: (readerTest: (name: string, body: ReaderTest<T>) => void) => void,
  ): void =>
    withSharedDatabase(topic, prepare, (readingTest) =>
      define((name, body) => readingTest(name, (db, prepared) => withBothReaders(db, prepared, body))),
    );
  const saveManyTicks = (db: OpenDatabase): Promise<void> => saveMany(db, "A", manyTicks(1));

  const saveRandom = async (db: OpenDatabase): Promise<Stored> => {
    const { saves, stored } = randomSaves(2);
    for (let at = 0; at < saves.length; at += 100) await save(db, saves.slice(at, at + 100));
    return stored;
  };

  withSharedReader("rows of all kinds", saveRandom, (readerTest) => {
    readerTest("come back exactly, in order, whatever is asked for", async (reader, stored) => {
      for (const kind of KIND_NAMES) {
        const all = await readLines(reader, { kind, ...everything });
        expect(all).toEqual(expectedLines(stored, kind));

        const tickers = ["T0350", "absent", "T0007", "T0350", "T0000ä"];
        const some = await readLines(reader, { kind, ...everything, tickers });
        expect(some).toEqual(expectedLines(stored, kind, ({ ticker }) => tickers.includes(ticker)));
        expect(await readLines(reader, { kind, ...everything, tickers: [] })).toEqual([]);

        const stamps = stored[kind]!.map(({ row }) => row[0]).sort();
        const [from, to] = [stamps[Math.floor(stamps.length / 4)]!, stamps[Math.floor(stamps.length / 2)]!];
        const between = await readLines(reader, { kind, ...everything, from, to });
        expect(between.length).toBeGreaterThan(0);
        expect(between).toEqual(expectedLines(stored, kind, ({ row }) => row[0] >= from && row[0] <= to));

        const partColumn = kindOf(kind).part;
        if (partColumn === null) continue;
        const part = PARTS[partColumn]![1]!;
        const ofPart = await readLines(reader, { kind, ...everything, parts: [part] });
        expect(ofPart).toEqual(expectedLines(stored, kind, (row) => row.part === part));
      }
    });

    for (const order of ["ascending", "descending"] as const)
      readerTest(`with a limit and behind any row are those of a sort, ${order}`, async (reader, stored) => {
        const random = randomNumbers(order === "ascending" ? 5 : 6);
        for (const kind of KIND_NAMES) {
          const all = inOrder(stored[kind]!, order);
          const oneOf = (): StoredRow => all[Math.floor(random() * all.length)]!;
          for (let i = 0; i < 6; i++) {
            const tickers = [oneOf(), oneOf(), oneOf(), oneOf()].map(({ ticker }) => ticker);
            const parts = kindOf(kind).part === null || i % 3 === 0 ? null : [oneOf().part!, oneOf().part!];
            const stamps = [oneOf().row[0], oneOf().row[0]].sort();
            const [from, to] = i % 2 === 0 ? [null, null] : [stamps[0]!, stamps[1]!];
            const limit = [1, 3, 8, null][i % 4]!;
            const after = i === 5 ? null : nearby(kind, oneOf(), random);
            const query = { kind, tickers, parts, from, to, order, limit, after };
            const found = await readLines(reader, query);
            const expected = all
              .filter(({ ticker, part }) => tickers.includes(ticker) && (parts?.includes(part!) ?? true))
              .filter(({ row: [at] }) => (from === null || at >= from) && (to === null || at <= to))
              .filter((row) => after === null || compareKeys(keyOf(kind, row), after, order) > 0)
              .slice(0, limit ?? undefined);
            expect({ query, found }).toEqual({ query, found: expectedLines({ [kind]: expected }, kind) });
          }
        }
      });
  });

  const saveTied = async (db: OpenDatabase): Promise<StoredRow[]> => {
    const tied = Array.from(
      { length: MANY },
      (_, n): TickRow => [
        stampOf(Math.floor(n / 3)),
        n % 7 === 0 ? null : n,
        null,
        null,
        null,
        null,
        null,
        n % 3,
      ],
    );
    await saveMany(db, "A", tied);
    await save(db, [ticks("A", "quote", tied.slice(0, 5)), ticks("B", "trade", tied.slice(0, 40))]);
    return [
      ...tied.slice(0, 5).map((row): StoredRow => ({ ticker: "A", part: "quote", row })),
      ...tied.map((row): StoredRow => ({ ticker: "A", part: "trade", row })),
      ...tied.slice(0, 40).map((row): StoredRow => ({ ticker: "B", part: "trade", row })),
    ];
  };

  withSharedReader("rows page by page", saveTied, (readerTest) => {
    for (const order of ["ascending", "descending"] as const)
      readerTest(`all come, each once, ${order}`, async (reader, all) => {
        const found: string[] = [];
        let after: RowKey | null = null;
        for (let pages = 1; ; pages++) {
          const batches: ColumnBatch[] = await collect(reader, {
            kind: "ticks",
            ...everything,
            columns: namedColumns("ticks"),
            order,
            limit: 7_001,
            after,
          });
          const lines = batches.flatMap((batch) => linesOf("ticks", batch));
          found.push(...lines);
          if (lines.length < 7_001) break;
          expect(pages).toBeLessThan(10);
          const last = JSON.parse(lines.at(-1)!) as string[];
          after = { ticker: last[0]!, part: last[1]!, stamp: last[2]!, seq: Number(last.at(-1)) };
        }
        expect(found).toEqual(expectedLines({ ticks: inOrder(all, order) }, "ticks"));
      });
  });

  withDatabase("the positions of a walk are told once, before its rows, also of none", async (db) => {
    const rows = manyTicks(1).slice(0, 3);
    await save(db, [ticks("A", "trade", rows), ticks("A", "quote", rows), ticks("B", "trade", rows)]);
    const epoch = await db.reader.updates.epoch();
    for (const [tickers, positions] of [
      [["B", "A", "none"], { A: 2, B: 1 }],
      [null, { A: 2, B: 1 }],
      [["none"], {}],
      [[], {}],
    ] as const) {
      const told: object[] = [];
      for await (const batch of db.reader.columns({
        ...everything,
        kind: "ticks",
        tickers,
        columns: ["price"],
        onPositions: (found) => told.push({ ...found, positions: Object.fromEntries(found.positions) }),
      })) {
        expect(batch.rows).toBeGreaterThan(0);
        expect(told).toHaveLength(1);
      }
      expect(told).toEqual([{ epoch, positions }]);
    }
  });

  testOf("snapshots", "rows hold exactly what their positions tell while saves go on", (name) =>
    withDatabase(name, async (db) => {
      const saves = 60;
      const saving = (async () => {
        for (let n = 1; n <= saves; n++) {
          const row: TickRow = [stampOf(n), n, null, null, null, null, null, 0];
          await save(db, [ticks("A", "trade", [row]), ticks("B", "quote", [row])]);
        }
      })();
      const seen = new Set<number>();
      for (let newest = 0; newest < saves; ) {
        let positions = new Map<string, number>();
        const prices: Record<string, number[]> = { A: [], B: [] };
        for await (const { rows, columns } of db.reader.columns({
          ...everything,
          kind: "ticks",
          columns: ["ticker", "price"],
          onPositions: (found) => {
            positions = found.positions;
          },
        }))
          for (let row = 0; row < rows; row++)
            prices[textAt(columns.get("ticker")!, row)]!.push(
              (columns.get("price")!.type === "double" &&
                (columns.get("price") as { values: Float64Array }).values[row]) as number,
            );
        for (const ticker of ["A", "B"]) {
          const position = positions.get(ticker) ?? 0;
          expect(prices[ticker]).toEqual(Array.from({ length: position }, (_, n) => n + 1));
          newest = position;
        }
        seen.add(newest);
        await new Promise(setImmediate);
      }
      await saving;
      expect(seen.size).toBeGreaterThan(1);
    }),
  );

  withReader(
    "a batch has the columns asked for, in that order, and some thousand rows",
    async (db) => {
      await saveManyTicks(db);
      await save(db, [ticks("B", "quote", [[stampOf(5), null, "9007199254740993", 2, null, null, null, 3]])]);
    },
    async (reader) => {
      const columns = ["size", "type", "timestamp", "price", "ticker", "seq"];
      const batches = await collect(reader, { kind: "ticks", ...everything, columns });
      expect(batches.length).toBeGreaterThan(1);
      expect(batches.reduce((sum, { rows }) => sum + rows, 0)).toBe(MANY + 1);
      for (const { rows, columns: data } of batches) {
        expect(rows).toBeLessThanOrEqual(BATCH_ROWS_MAX);
        expect([...data.keys()]).toEqual(columns);
        for (const column of data.values()) {
          expect((column.type === "text" ? column.codes : column.values).length).toBe(rows);
          expect(column.nulls?.length ?? rows).toBe(rows);
        }
      }
      const last = batches.at(-1)!;
      const end = last.rows - 1;
      expect(textAt(last.columns.get("ticker")!, end)).toBe("B");
      expect(textAt(last.columns.get("type")!, end)).toBe("quote");
      expect(last.columns.get("price")!.nulls?.[end]).toBe(1);
      const size = last.columns.get("size")!;
      expect(size.type === "int64" && size.values[end]).toBe(9_007_199_254_740_993n);
      const stamp = last.columns.get("timestamp")!;
      expect(stamp.type === "instant" && stamp.values[end]).toBe(
        BigInt(Date.UTC(2024, 0, 2, 10)) * 1_000n + 5n,
      );
      const names = await collect(reader, { kind: "ticks", ...everything, columns: ["ticker"] });
      expect(names.reduce((sum, { rows }) => sum + rows, 0)).toBe(MANY + 1);
    },
  );

  const saveHalves = async (db: OpenDatabase): Promise<TickRow[]> => {
    const rows = manyTicks(1);
    const stored = [rows.slice(0, MANY / 2), rows.slice(MANY / 2)];
    for (const half of stored.toReversed()) await saveMany(db, "A", half);
    return rows;
  };

  withReader("a series that was saved out of order comes in order", saveHalves, async (reader, rows) => {
    const query: ColumnQuery = { kind: "ticks", ...everything, columns: ["size"] };
    const sizes = (await collect(reader, query)).flatMap(({ columns }) => int64sOf(columns.get("size")!));
    expect(sizes).toEqual(rows.map((_, n) => BigInt(n)));
  });

  const saveOneStamp = async (db: OpenDatabase): Promise<TickRow[]> => {
    const rows = Array.from({ length: 12_000 }, (_, n): TickRow => {
      const stamp = stampOf(n < 100 ? n : n < 11_900 ? 100 : n);
      return [stamp, 1, n, null, null, null, null, n < 100 || n >= 11_900 ? 0 : n - 100];
    });
    await saveMany(db, "A", rows);
    return rows;
  };

  const ofOneStamp = "rows that share a stamp come in order of seq, however many they are";
  withReader(ofOneStamp, saveOneStamp, async (reader, rows) => {
    const sizesOf = async (query: Partial<ColumnQuery>): Promise<number[]> => {
      const asked: ColumnQuery = { kind: "ticks", ...everything, ...query, columns: ["size"] };
      const batches = await collect(reader, asked);
      return batches.flatMap(({ columns }) => int64sOf(columns.get("size")!).map(Number));
    };
    const all = rows.map((_, n) => n);
    expect(await sizesOf({})).toEqual(all);
    expect(await sizesOf({ order: "descending" })).toEqual(all.toReversed());
    expect(await sizesOf({ limit: 8_000 })).toEqual(all.slice(0, 8_000));
    const after: RowKey = { ticker: "A", part: "trade", stamp: stampOf(100), seq: 5_000 };
    expect(await sizesOf({ after })).toEqual(all.slice(5_101));
    expect(await sizesOf({ after, order: "descending" })).toEqual(all.slice(0, 5_100).toReversed());
  });

  const saveFractions = async (db: OpenDatabase): Promise<void> => {
    const sizes = {
      A: [1, 0.25, null, 2 ** 53],
      B: ["9007199254740993", 0.25],
      C: [7, "9007199254740993"],
    };
    for (const [ticker, ofTicker] of Object.entries(sizes)) {
      const rows = ofTicker.map((size, n): TickRow => [stampOf(n), 1, size, null, null, null, null, 0]);
      await save(db, [ticks(ticker, "trade", rows)]);
    }
  };

  testOf("fractionalCounts", "counts with fractions are doubles, or text beside one that isn't", (name) =>
    withReader(name, saveFractions, async (reader) => {
      const sizeOf = async (ticker: string): Promise<ColumnData> => {
        const query = { kind: "ticks", ...everything, tickers: [ticker], columns: ["size"] } as const;
        const batches = await collect(reader, query);
        expect(batches).toHaveLength(1);
        return batches[0]!.columns.get("size")!;
      };
      const doubles = await sizeOf("A");
      expect(doubles).toMatchObject({ type: "double", nulls: Uint8Array.of(0, 0, 1, 0) });
      expect(doubles.type === "double" && [...doubles.values].toSpliced(2, 1)).toEqual([1, 0.25, 2 ** 53]);
      const texts = await sizeOf("B");
      expect([textAt(texts, 0), textAt(texts, 1)]).toEqual(["9007199254740993", "0.25"]);
      const whole = await sizeOf("C");
      expect(whole.type === "int64" && [...whole.values]).toEqual([7n, 9_007_199_254_740_993n]);
    }),
  );

  const saveB = (db: OpenDatabase) => saveMany(db, "B", manyTicks(1).slice(0, 10));

  withReader("a save between two batches doesn't show", saveB, async (reader, _, db) => {
    await saveMany(db, "A", manyTicks(1));
    const query: ColumnQuery = { kind: "ticks", ...everything, columns: ["ticker", "price"] };
    const tickers = (await reader.tickers("ticks", null, 9)).length;
    const walk = reader.columns!(query)[Symbol.asyncIterator]();
    const first = await walk.next();
    let rows: number = first.value.rows;
    await saveMany(db, "A", manyTicks(2));
    await saveMany(db, `C${tickers}`, manyTicks(1).slice(0, 10));
    for (let next = await walk.next(); next.done !== true; next = await walk.next()) {
      rows += next.value.rows;
      const price = next.value.columns.get("price")!;
      expect(price.type === "double" && price.values.every((value) => value === 1)).toBe(true);
    }
    expect(rows).toBe(MANY + 10 * (tickers - 1));
    const [later] = await collect(reader, { ...query, tickers: [`C${tickers}`] });
    expect(later?.rows).toBe(10);
  });

  const saveFraction = async (db: OpenDatabase): Promise<void> => {
    const hour = isoOf(Date.UTC(2024, 0, 2, 10)).slice(0, 19);
    await save(db, [
      { kind: "hourly", ticker: "A", part: null, rows: [[hour, 1, 2, 3, 4, 5]], onDuplicate: "replace" },
    ]);
    await db.execute(`UPDATE hourly_prices SET datetime = '${hour}.500000'`);
  };

  testOf("sql", "a row that no save could have stored is told", (name) =>
    withReader(name, saveFraction, async (reader) => {
      const query: ColumnQuery = { kind: "hourly", ...everything, columns: ["datetime"] };
      const told = await collect(reader, query).catch((error: unknown) => error);
      expect(told).toBeInstanceOf(TransferRowError);
      expect(String(told)).toContain("A hourly");
    }),
  );

  withReader("a walk that is given up frees what it held", saveManyTicks, async (reader, _, db) => {
    const query: ColumnQuery = { kind: "ticks", ...everything, columns: ["size"] };
    // More than a pool has connections.
    for (let i = 0; i < 12; i++) {
      for await (const batch of reader.columns!(query)) {
        expect(batch.rows).toBeGreaterThan(0);
        break;
      }
      const begun = reader.columns!(query)[Symbol.asyncIterator]();
      await begun.return?.();
      expect((await begun.next()).done).toBe(true);
    }
    await saveMany(db, "A", manyTicks(2));
    expect(await readLines(reader, { kind: "ticks", ...everything, to: stampOf(0) })).toHaveLength(1);
  });

  withSharedReader("many rows", saveManyTicks, (readerTest) => {
    readerTest("a kept batch stays as it is", async (reader) => {
      const batches = await collect(reader, { kind: "ticks", ...everything, columns: ["size"] });
      const sizes = batches.flatMap(({ columns }) => int64sOf(columns.get("size")!));
      expect(sizes).toEqual(Array.from({ length: MANY }, (_, n) => BigInt(n)));
    });

    readerTest("walks side by side don't disturb each other, nor other reads", async (reader) => {
      const query: ColumnQuery = { kind: "ticks", ...everything, columns: ["size"] };
      const sums = await Promise.all(
        [1, 2, 3].map(async () => {
          let rows = 0;
          for await (const batch of reader.columns!(query)) {
            rows += batch.rows;
            expect(await reader.tickers("ticks", null, 5)).toEqual(["A"]);
          }
          return rows;
        }),
      );
      expect(sums).toEqual([MANY, MANY, MANY]);
    });

    readerTest("the signal ends a walk, before and in the middle of it", async (reader) => {
      const query: ColumnQuery = { kind: "ticks", ...everything, columns: ["size"] };
      const aborted = collect(reader, { ...query, to: stampOf(0), signal: AbortSignal.abort() });
      expect(
        await aborted.then(
          () => "all of it",
          () => "ended",
        ),
      ).toBe("ended");
      const controller = new AbortController();
      let rows = 0;
      const walk = async (): Promise<void> => {
        for await (const batch of reader.columns!({ ...query, signal: controller.signal })) {
          rows += batch.rows;
          controller.abort();
        }
      };
      await walk().catch(() => null);
      expect(rows).toBeGreaterThan(0);
      expect(rows).toBeLessThan(MANY);
      expect(await readLines(reader, { kind: "ticks", ...everything, to: stampOf(0) })).toHaveLength(1);
    });

    readerTest("the event loop turns meanwhile", async (reader) => {
      let turns = 0;
      let isOver = false;
      const turn = (): void => {
        turns++;
        if (!isOver) setImmediate(turn);
      };
      setImmediate(turn);
      const batches = await collect(reader, { kind: "ticks", ...everything, columns: ["size"] });
      isOver = true;
      expect(turns).toBeGreaterThanOrEqual(Math.floor(batches.length / 4));
    });
  });
});
