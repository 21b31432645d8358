/** Rows that were archived are read beside those that are stored, whatever is asked for. */
import { expect } from "bun:test";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { archiveAndRemove } from "../../src/retention/archived-removal.ts";
import { firstRow, lastBefore } from "../../src/retention/first-row.ts";
import { Archive } from "../../src/storage/archive/archive.ts";
import type { Edit, NoteChange, Save, TickRow } from "../../src/storage/contract.ts";
import { type ColumnQuery, rowColumnNames, rowsOfBatch } from "../../src/storage/model/columns.ts";
import { type KindName, kindOf, type SeriesRow } from "../../src/storage/model/kinds.ts";
import { seriesRuns } from "../../src/storage/series-runs.ts";
import { randomNumbers } from "../support/random.ts";
import { tempDir } from "../support/temp-dir.ts";
import type { OpenDatabase } from "./drivers.ts";
import { withEachDriver } from "./each-driver.ts";

const DAY = 86_400_000_000;
const BEGIN = Date.UTC(2024, 0, 30) * 1_000;
const DAYS = 6;
const TICKERS = ["A", "BRK/B", "zé"];
const stampAt = (micros: number, length: number): string => {
  const ms = Math.floor(micros / 1_000);
  const iso = new Date(ms).toISOString().replace("T", " ").slice(0, 23);
  return `${iso}${String(micros - ms * 1_000).padStart(3, "0")}`.slice(0, length);
};
const TICK = "2024-01-02 10:00:00.123456".length;
const SECOND = "2024-01-02 10:00:00".length;

/** A row with its series, as one text. */
function linesOf(kind: KindName, batch: Parameters<typeof rowsOfBatch>[1]): string[] {
  const { hasSeq } = kindOf(kind);
  const rows = rowsOfBatch(kind, batch);
  return seriesRuns(kind, batch).flatMap(({ ticker, part, start, end }) =>
    rows.slice(start, end).map((row) => JSON.stringify([ticker, part, ...(hasSeq ? row.slice(0, -1) : row)])),
  );
}

class Store {
  readonly db: OpenDatabase;
  readonly archive: Archive;
  readonly #stop = new AbortController();

  constructor(db: OpenDatabase, folder: string) {
    this.db = db;
    this.archive = new Archive(folder, (...of) => db.reader.notes(...of));
  }

  readonly stored = (query: ColumnQuery) => this.db.reader.columns(query);

  async walk(query: Partial<ColumnQuery> & { kind: KindName }, merged = true): Promise<string[]> {
    const { part } = kindOf(query.kind);
    const whole: ColumnQuery = {
      ...{ tickers: null, parts: null, from: null, to: null },
      columns: ["ticker", ...(part === null ? [] : [part]), ...rowColumnNames(query.kind)],
      ...query,
    };
    const lines: string[] = [];
    const walk = merged ? this.archive.columns(whole, this.stored) : this.stored(whole);
    for await (const batch of walk) lines.push(...linesOf(query.kind, batch));
    return lines;
  }

  /** Goes on behind the last row, as pages do. */
  async pages(query: Partial<ColumnQuery> & { kind: KindName }, limit: number): Promise<string[]> {
    const { part, stamp, hasSeq } = kindOf(query.kind);
    const columns = ["ticker", ...(part === null ? [] : [part]), ...rowColumnNames(query.kind)];
    const all: string[] = [];
    for (let after: ColumnQuery["after"] = null; ; ) {
      const page: string[] = [];
      const whole: ColumnQuery = {
        tickers: null,
        parts: null,
        from: null,
        to: null,
        ...query,
        columns,
        limit,
        after,
      };
      for await (const batch of this.archive.columns(whole, this.stored)) {
        page.push(...linesOf(query.kind, batch));
        const [run, row] = [seriesRuns(query.kind, batch).at(-1)!, rowsOfBatch(query.kind, batch).at(-1)!];
        after = {
          ...{ ticker: run.ticker, part: run.part, stamp: row[0] },
          seq: hasSeq ? Number(row.at(-1)) : null,
        };
        expect(batch.columns.has(stamp.name)).toBe(true);
      }
      all.push(...page);
      expect(page.length).toBeLessThanOrEqual(limit);
      if (page.length < limit) return all;
    }
  }

  async save(saves: Save[]): Promise<void> {
    for (const save of saves) expect(await this.db.writer.commit([save])).toMatchObject([{ ok: true }]);
  }

  /** All series of the kind. @returns how many rows were removed. */
  async archiveBefore(kind: KindName, end: number): Promise<number> {
    const { db, archive } = this;
    const { signal } = this.#stop;
    let removed = 0;
    for (let behind = null as Awaited<ReturnType<typeof firstRow>>; ; ) {
      const to = lastBefore(kind, end);
      const first = await firstRow({
        columns: this.stored,
        kind,
        ticker: null,
        part: null,
        to,
        behind,
        signal,
      });
      if (first === null) return removed;
      behind = first;
      await archiveAndRemove({
        db: { columns: this.stored, edit: async (edit) => db.writer.edit(edit) },
        ...{ archive, kind, first, end, signal, mayRemove: async () => true },
        done(rows) {
          removed += rows;
        },
      });
    }
  }
}

withEachDriver({ topic: "archive", needs: "ageing" }, ({ withDatabase }) => {
  const withStore = (name: string, body: (store: Store, folder: string) => Promise<void>): void =>
    withDatabase(name, async (db) => {
      using dir = tempDir();
      const store = new Store(db, dir.path);
      try {
        await body(store, dir.path);
      } finally {
        await store.archive.close();
      }
    });

  const randomTicks = (random: () => number, count: number, days = DAYS): TickRow[] =>
    Array.from({ length: count }, (_, n): TickRow => {
      // Stamps are shared, and some ticks bring an id.
      const micros = BEGIN + Math.floor(random() * days) * DAY + Math.floor(random() * 40) * 1_000_001;
      const id = random() < 0.3 ? `${n}-${Math.floor(random() * 1e9)}` : null;
      const size = random() < 0.1 ? null : String(2n ** 60n + BigInt(n));
      return [stampAt(micros, TICK), n / 7, size, random(), n % 2 === 0 ? 0.5 : 3, id, null, null];
    });

  withStore("every range, order, page and subset of ticks is as it was before", async (store) => {
    const random = randomNumbers(1);
    for (const ticker of TICKERS)
      for (const part of ["quote", "trade"])
        await store.save([
          { kind: "ticks", ticker, part, rows: randomTicks(random, 200), onDuplicate: "match" },
        ]);
    const kind = "ticks";
    const queries: Partial<ColumnQuery>[] = [
      {},
      { tickers: ["BRK/B"] },
      { tickers: ["zé", "A", "none"], parts: ["trade"] },
      { parts: ["quote"], from: stampAt(BEGIN + DAY + 5_000_005, TICK), to: stampAt(BEGIN + 4 * DAY, TICK) },
      { tickers: ["A"], to: stampAt(BEGIN + 2 * DAY - 1, TICK) },
    ];
    const asked = queries.flatMap((query) => [query, { ...query, order: "descending" as const }]);
    const before = await Promise.all(asked.map((query) => store.walk({ kind, ...query })));
    expect(before[0]).toHaveLength(1_200);
    expect(await store.archiveBefore(kind, BEGIN + 3 * DAY)).toBeGreaterThan(500);
    expect((await store.walk({ kind }, false)).length).toBeLessThan(700);
    for (const [index, query] of asked.entries()) {
      expect(await store.walk({ kind, ...query })).toEqual(before[index]!);
      for (const limit of [1, 97].slice(query.tickers === undefined ? 1 : 0)) {
        expect(await store.walk({ kind, ...query, limit })).toEqual(before[index]!.slice(0, limit));
        if (limit > 1) expect(await store.pages({ kind, ...query }, limit)).toEqual(before[index]!);
      }
    }
    // Columns that are asked for come alone, in their order.
    for await (const { columns } of store.archive.columns(
      { kind, tickers: null, parts: null, from: null, to: null, columns: ["size", "ticker"] },
      store.stored,
    ))
      expect([...columns.keys()]).toEqual(["size", "ticker"]);
  });

  withStore(
    "what comes late to an archived day is read in its place, and archived beside it",
    async (store) => {
      const kind = "ticks";
      const at = (n: number): string => stampAt(BEGIN + n * 1_000_000, TICK);
      const tick = (n: number, price: number, id: string | null = null): TickRow => [
        at(n),
        price,
        1,
        null,
        null,
        id,
        null,
        null,
      ];
      const save = (rows: TickRow[]) =>
        store.save([{ kind, ticker: "A", part: "trade", rows, onDuplicate: "match" }]);
      const priceOf = (line: string) => JSON.parse(line)[3] as number;
      const prices = async () => (await store.walk({ kind })).map(priceOf);
      await save([tick(1, 1), tick(2, 2), tick(2, 2), tick(2, 3, "x"), tick(4, 4)]);
      expect(await store.archiveBefore(kind, BEGIN + DAY)).toBe(5);
      // The same again, one more of equal values, one that corrects by its id, others of the stamp.
      await save([tick(2, 2), tick(2, 2), tick(2, 2), tick(2, 33, "x"), tick(2, 7), tick(3, 5), tick(4, 4)]);
      const late = [1, 2, 2, 33, 2, 7, 5, 4];
      expect(await prices()).toEqual(late);
      expect((await store.walk({ kind, order: "descending" })).map(priceOf)).toEqual(late.toReversed());
      for (const limit of [1, 2, 3]) {
        expect((await store.pages({ kind }, limit)).map(priceOf)).toEqual(late);
        const back = await store.pages({ kind, order: "descending" }, limit);
        expect(back.map(priceOf)).toEqual(late.toReversed());
      }
      expect(await store.archiveBefore(kind, BEGIN + DAY)).toBe(7);
      expect(await store.walk({ kind }, false)).toEqual([]);
      expect(await prices()).toEqual(late);
      expect(await store.archiveBefore(kind, BEGIN + DAY)).toBe(0);
    },
  );

  withStore(
    "bars and option snapshots go by months; what is stored again stands for it",
    async (store, folder) => {
      const bar = (micros: number, close: number): SeriesRow => [
        stampAt(micros, SECOND),
        1,
        2,
        0.5,
        close,
        10,
        1.5,
        3,
        null,
      ];
      const snapshot = (micros: number, price: number): SeriesRow =>
        [
          ...[stampAt(micros, TICK), "2024-02-16", 150, "call", stampAt(micros - 5, TICK)],
          ...Array.from({ length: 11 }, (_, n) => (n % 3 === 0 ? null : price + n)),
          ...[7, "9007199254740993"],
        ] as SeriesRow;
      const hours = Array.from({ length: 24 * DAYS }, (_, hour) => BEGIN + hour * 3_600_000_000);
      await store.save([
        ...["5min", "1min"].map(
          (part): Save => ({
            ...{ kind: "interval", ticker: "A", part, onDuplicate: "replace" },
            rows: hours.map((micros) => bar(micros, 1)),
          }),
        ),
        {
          kind: "hourly",
          ticker: "A",
          part: null,
          rows: hours.map((micros) => bar(micros, 2).toSpliced(6, 2) as SeriesRow),
          onDuplicate: "replace",
        },
        ...["O:B", "O:A"].map(
          (part): Save => ({
            ...{ kind: "options", ticker: "A", part, onDuplicate: "replace" },
            rows: hours.map((micros) => snapshot(micros, 1)),
          }),
        ),
      ]);
      const kinds = ["interval", "hourly", "options"] as const;
      const before = await Promise.all(kinds.map((kind) => store.walk({ kind })));
      for (const [index, kind] of kinds.entries()) {
        // Two days of January, the rest of February.
        expect(await store.archiveBefore(kind, BEGIN + 5 * DAY)).toBe(48 * (kind === "hourly" ? 1 : 2));
        expect(await store.walk({ kind })).toEqual(before[index]!);
        expect(await store.pages({ kind }, 17)).toEqual(before[index]!);
        expect(await store.pages({ kind, order: "descending" }, 17)).toEqual(
          await store.walk({ kind, order: "descending" }),
        );
      }
      expect(readdirSync(join(folder, "kind=options/ticker=A/option_ticker=O%3AA"))).toEqual([
        "2024-01.1.parquet",
      ]);
      await store.save([
        {
          kind: "interval",
          ticker: "A",
          part: "1min",
          rows: [bar(hours[1]!, 99), bar(hours[1]! + 60e6, 98)],
          onDuplicate: "replace",
        },
      ]);
      const closes = async () =>
        (await store.walk({ kind: "interval" })).slice(0, 4).map((line) => JSON.parse(line)[6]);
      expect(await closes()).toEqual([1, 99, 98, 1]);
      expect(await store.archiveBefore("interval", BEGIN + 5 * DAY)).toBe(2);
      expect(await closes()).toEqual([1, 99, 98, 1]);
    },
  );

  /** What somebody does between the file and the removal of its rows, the first time. */
  async function archiveBeside(store: Store, meddle: () => Promise<unknown>): Promise<number> {
    const kind = "ticks";
    const { signal } = new AbortController();
    const to = lastBefore(kind, BEGIN + DAY);
    const of = { columns: store.stored, kind, ticker: null, part: null, behind: null } as const;
    const first = (await firstRow({ ...of, to, signal }))!;
    let removed = 0;
    let isFirst = true;
    await archiveAndRemove({
      ...{ archive: store.archive, kind, first, end: BEGIN + DAY, mayRemove: async () => true, signal },
      db: {
        columns: store.stored,
        async edit(edit) {
          if (!edit.dryRun && isFirst) await meddle();
          if (!edit.dryRun) isFirst = false;
          return store.db.writer.edit(edit);
        },
      },
      done(count) {
        removed += count;
      },
    });
    expect(isFirst).toBe(false);
    return removed;
  }

  const tickAt = (micros: number, price: number, id: string | null = null): TickRow => {
    return [stampAt(BEGIN + micros, TICK), price, 1, null, null, id, null, null];
  };
  const trades = (rows: TickRow[]): Save => {
    return { kind: "ticks", ticker: "A", part: "trade", rows, onDuplicate: "match" };
  };

  withStore("rows that change while they are archived stay, and nothing is lost", async (store) => {
    const kind = "ticks";
    await store.save([trades([tickAt(1, 1), tickAt(2, 2, "x"), tickAt(3, 3)])]);
    for (const row of [tickAt(7, 77), tickAt(2, 99, "x")]) {
      const before = (await store.walk({ kind })).length;
      expect(await archiveBeside(store, () => store.save([trades([row])]))).toBe(0);
      expect(await store.walk({ kind })).toEqual(await store.walk({ kind }, false));
      expect((await store.walk({ kind })).length - before).toBe(row[1] === 77 ? 1 : 0);
    }
    expect(await store.archiveBefore(kind, BEGIN + DAY)).toBe(4);
    expect((await store.walk({ kind })).map((line) => JSON.parse(line)[3])).toEqual([1, 99, 3, 77]);
  });

  withStore("a row that is deleted before its removal doesn't come back", async (store) => {
    await store.save([trades([tickAt(1, 1), tickAt(2, 2), tickAt(3, 3)])]);
    const deletion: Edit = {
      what: "removal",
      ...{ kind: "ticks", ticker: "A", part: "trade", ids: null, dryRun: false },
      ...{ from: stampAt(BEGIN + 2, TICK), to: stampAt(BEGIN + 2, TICK) },
      identity: { saveId: "delete", repeated: false },
    };
    expect(await archiveBeside(store, async () => store.db.writer.edit(deletion))).toBe(0);
    for (const removed of [2, 0]) {
      expect(await store.archiveBefore("ticks", BEGIN + DAY)).toBe(removed);
      expect((await store.walk({ kind: "ticks" })).map((line) => JSON.parse(line)[3])).toEqual([1, 3]);
    }
  });

  withStore(
    "late rows complete, correct and repeat archived ones as they would stored ones",
    async (store) => {
      const kind = "ticks";
      const late: TickRow[] = [
        [stampAt(BEGIN + 1, TICK), 1, 1, null, null, null, '{"venue":"X"}', null],
        tickAt(2, 2),
        tickAt(3, 3, "three"),
        tickAt(4, 4),
        tickAt(5, 50, "five"),
      ];
      const early: TickRow[] = [
        tickAt(1, 1),
        [stampAt(BEGIN + 2, TICK), 2, 1, null, null, null, '{"venue":"Y"}', null],
        tickAt(3, 3),
        tickAt(4, 4, "four"),
        [stampAt(BEGIN + 5, TICK), 5, 1, null, null, "five", '{"venue":"Z"}', null],
      ];
      await store.save([
        { ...trades(early), ticker: "STORED" },
        { ...trades(late), ticker: "STORED" },
      ]);
      await store.save([trades(early)]);
      expect(await store.archiveBefore(kind, BEGIN + DAY)).toBe(10);
      await store.save([trades(late)]);
      const linesOfTicker = async (ticker: string) =>
        (await store.walk({ kind, tickers: [ticker] })).map((line) => JSON.parse(line).slice(1));
      expect(await linesOfTicker("A")).toEqual(await linesOfTicker("STORED"));
      expect(await linesOfTicker("A")).toHaveLength(5);
    },
  );

  withStore("the newest of a large day come first, sorted span by span", async (store) => {
    const rows = Array.from({ length: 81_000 }, (_, n) => tickAt(Math.floor(n / 3) * 100_000, n));
    for (let at = 0; at < rows.length; at += 15_000) await store.save([trades(rows.slice(at, at + 15_000))]);
    expect(await store.archiveBefore("ticks", BEGIN + DAY)).toBe(81_000);
    const back = await store.walk({ kind: "ticks", order: "descending" });
    expect(back.map((line) => JSON.parse(line)[3])).toEqual(rows.map((_, n) => n).reverse());
    const bounds = { from: stampAt(BEGIN + 2_000_000_000, TICK), to: stampAt(BEGIN + 4_000_000_000, TICK) };
    const some = await store.walk({ kind: "ticks", order: "descending", ...bounds });
    expect(some).toEqual((await store.walk({ kind: "ticks", ...bounds })).reverse());
  });

  withStore("a ticker whose rows are all archived is known with its parts", async (store) => {
    const { db, archive } = store;
    for (const ticker of ["A", "zé"])
      await store.save([
        { ...trades([tickAt(1, 1)]), ticker },
        { ...trades([tickAt(1, 1)]), ticker, part: "quote" },
      ]);
    await store.save([{ ...trades([tickAt(9 * DAY, 1)]), ticker: "B" }]);
    await store.archiveBefore("ticks", BEGIN + DAY);
    const parts = async (ticker: string) =>
      archive.parts("ticks", ticker, async (...of) => db.reader.parts(...of));
    const tickers = async (after: string | null, limit: number) =>
      archive.tickers("ticks", { after, limit }, async (...of) => db.reader.tickers(...of));
    expect([await parts("A"), await parts("B"), await parts("none")]).toEqual([
      ["quote", "trade"],
      ["trade"],
      [],
    ]);
    expect(await tickers(null, 10)).toEqual(["A", "B", "zé"]);
    expect([await tickers(null, 1), await tickers("A", 1), await tickers("B", 9)]).toEqual([
      ["A"],
      ["B"],
      ["zé"],
    ]);
  });

  withStore(
    "a folder that isn't that of the database is refused, by reads and by whoever writes",
    async (store, folder) => {
      await store.save([trades([tickAt(1, 1)])]);
      const save = async (note: NoteChange) => {
        const [outcome] = await store.db.writer.commit([
          { kind: "hourly", ticker: "note", part: null, rows: [], onDuplicate: "rollup", note },
        ]);
        return outcome!;
      };
      await store.archive.identity.claim(save);
      await store.archive.identity.claim(save);
      await store.archiveBefore("ticks", BEGIN + DAY);
      expect(await store.walk({ kind: "ticks" })).toHaveLength(1);
      const marker = join(folder, "archive.json");
      const text = readFileSync(marker, "utf8");
      for (const other of [null, JSON.stringify({ id: "of another" })]) {
        if (other === null) rmSync(marker);
        else writeFileSync(marker, other);
        const reason = other === null ? "is it mounted?" : "is that of another database";
        const refused = { message: expect.stringContaining(reason) };
        await expect(store.walk({ kind: "ticks" })).rejects.toMatchObject({ status: 503, ...refused });
        await expect(store.archive.identity.claim(save)).rejects.toMatchObject(refused);
      }
      // Killed before it had its name.
      rmSync(marker);
      writeFileSync(`${marker}.new`, text);
      await store.archive.identity.claim(save);
      expect(await store.walk({ kind: "ticks" })).toHaveLength(1);
    },
  );

  withStore("a damaged file is an error, never a shorter answer", async (store, folder) => {
    const kind = "ticks";
    const rows = Array.from(
      { length: 20_000 },
      (_, n): TickRow => [
        stampAt(BEGIN + n * 1_000, TICK),
        Math.sin(n),
        n,
        Math.cos(n),
        n,
        `id${n}`,
        null,
        null,
      ],
    );
    await store.save([{ kind, ticker: "A", part: "trade", rows, onDuplicate: "match" }]);
    expect(await store.archiveBefore(kind, BEGIN + DAY)).toBe(20_000);
    const path = join(folder, "kind=ticks/ticker=A/type=trade/2024-01-30.1.parquet");
    const bytes = new Uint8Array(await Bun.file(path).arrayBuffer());
    for (const damage of [
      bytes.slice(0, bytes.length / 2),
      bytes.fill(0xff, bytes.length / 2, bytes.length / 2 + 5_000),
      new Uint8Array(),
    ]) {
      writeFileSync(path, damage);
      await store.archive.close();
      await expect(store.walk({ kind })).rejects.toMatchObject({
        status: 503,
        message: expect.stringContaining(path),
      });
    }
    expect(statSync(path).size).toBe(0);
  });
});
