/** What every driver does alike when rows are removed, and when a ticker is renamed. */
import { expect } from "bun:test";
import type {
  Edit,
  Edited,
  EditOutcome,
  Removal,
  Renaming,
  SaveRows,
  TickRow,
} from "../../src/storage/contract.ts";
import { KIND_NAMES, kindOf, type SeriesRow } from "../../src/storage/model/kinds.ts";
import type { RequestIdentity } from "../../src/storage/update-contract.ts";
import { randomAction } from "../support/action-rows.ts";
import { randomNumbers } from "../support/random.ts";
import { at, daily, dateOf, logged, ticks, upTo } from "../support/saves.ts";
import { newestOf } from "../support/snapshots.ts";
import type { OpenDatabase } from "./drivers.ts";
import { withEachDriver } from "./each-driver.ts";
import { allBars, allTicks, expectStored } from "./saves.ts";

let ids = 0;

const removal = (of: Partial<Removal>): Removal => ({
  what: "removal",
  kind: "ticks",
  ticker: "A",
  part: "trade",
  from: null,
  to: null,
  ids: null,
  ...of,
});

const renaming = (ticker: string, newTicker: string): Renaming => ({ what: "renaming", ticker, newTicker });

interface Manner {
  dryRun?: boolean;
  saveId?: string;
  repeated?: boolean;
  request?: RequestIdentity;
}

function make(
  db: OpenDatabase,
  edit: Removal | Renaming,
  { dryRun = false, saveId = `edit-${ids++}`, repeated = false, request }: Manner = {},
): Promise<EditOutcome> {
  const whole: Edit = { ...edit, dryRun, identity: { saveId, repeated, request } };
  return Promise.resolve(db.writer.edit(whole));
}

async function made(db: OpenDatabase, edit: Removal | Renaming, manner?: Manner): Promise<Edited> {
  const outcome = await make(db, edit, manner);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome));
  return outcome;
}

const trades = (...of: [second: number, price: number][]) =>
  ticks(
    "A",
    of.map(([second, price]) => [at(second), price]),
  );

/** A tick with an id of its own. */
const withId = (second: number, price: number, id: string): TickRow => [
  at(second),
  price,
  100,
  null,
  null,
  id,
  null,
  null,
];

const pricesOf = async (db: OpenDatabase, ticker = "A", type = "trade") =>
  (await allTicks(db, ticker, type)).map(({ price }) => price);

const framesOf = async (db: OpenDatabase, ticker: string) =>
  (await db.reader.updates.after(ticker, 0, { updates: 1_000, characters: 1_000_000 })).map(
    ({ position, type, frame }) => ({ position, type, frame: frame === "" ? null : JSON.parse(frame) }),
  );

/** The rows of `trades` at 1, 2, 3 … seconds, with equal prices. */
const fill = (db: OpenDatabase, last: number) =>
  db.writer.commit([trades(...upTo(last).map((n): [number, number] => [n, n]))]);

withEachDriver({ topic: "edits" }, ({ testOf, withDatabase }) => {
  withDatabase("a removal takes what is between its bounds, which it includes", async (db) => {
    await fill(db, 6);
    expect(await made(db, removal({ from: at(2), to: at(4) }))).toMatchObject({ rows: 3, position: 2 });
    expect(await pricesOf(db)).toEqual([1, 5, 6]);
    expect(await made(db, removal({ to: at(1) }))).toMatchObject({ rows: 1, position: 3 });
    expect(await made(db, removal({ from: at(6) }))).toMatchObject({ rows: 1, position: 4 });
    expect(await pricesOf(db)).toEqual([5]);
    expect(await made(db, removal({}))).toMatchObject({ rows: 1, position: 5 });
    expect(await pricesOf(db)).toEqual([]);
    expect(await db.reader.tickers("ticks", null, 10)).toEqual([]);
  });

  withDatabase("it takes rows of its ticker, kind and part alone", async (db) => {
    await db.writer.commit([
      trades([1, 1]),
      { ...trades([1, 2]), part: "quote" },
      { ...trades([1, 3]), ticker: "B" },
      daily("A", [["2024-01-02", 4]]),
      { ...daily("A", [["2024-01-02 10:00:00", 5]]), kind: "interval", part: "1min" },
      { ...daily("A", [["2024-01-02 10:00:00", 6]]), kind: "interval", part: "5min" },
    ]);
    expect((await made(db, removal({}))).rows).toBe(1);
    expect((await made(db, removal({ kind: "interval", part: "1min" }))).rows).toBe(1);
    expect(await pricesOf(db, "A", "quote")).toEqual([2]);
    expect(await pricesOf(db, "B")).toEqual([3]);
    expect((await allBars(db, "A")).map(({ close }) => close)).toEqual([4]);
    expect(await db.reader.parts("interval", "A")).toEqual(["5min"]);
  });

  withDatabase("without a part it takes ticks of every type, and counts them together", async (db) => {
    await db.writer.commit([
      trades([1, 1], [2, 2]),
      { ...trades([1, 3]), part: "quote" },
      { ...trades([2, 4]), part: "of an odd 'name\"" },
    ]);
    const all = removal({ part: null, from: at(2), to: at(2) });
    expect(await made(db, all)).toMatchObject({ rows: 2, position: 4 });
    expect(await pricesOf(db)).toEqual([1]);
    expect(await pricesOf(db, "A", "quote")).toEqual([3]);
    expect(await pricesOf(db, "A", "of an odd 'name\"")).toEqual([]);
    expect((await framesOf(db, "A")).at(-1)!.type).toBe("tick_delete *");
  });

  withDatabase("ids pick ticks, also within bounds", async (db) => {
    const rows = [withId(1, 1, "a"), withId(1, 2, "b"), withId(2, 3, "a"), withId(3, 4, "odd ' é \\ 😀")];
    await db.writer.commit([{ ...trades(), rows: [...rows, ...trades([3, 5]).rows] }]);
    expect((await made(db, removal({ ids: ["none"] }))).rows).toBe(0);
    expect((await made(db, removal({ ids: ["a", "b"], from: at(2) }))).rows).toBe(1);
    expect(await pricesOf(db)).toEqual([1, 2, 4, 5]);
    expect((await made(db, removal({ ids: ["b", "odd ' é \\ 😀", "none"] }))).rows).toBe(2);
    expect(await pricesOf(db)).toEqual([1, 5]);
  });

  withDatabase("thousands of rows and ids are one edit", async (db) => {
    const count = 12_000;
    const stampOf = (n: number) => `2024-01-02 10:00:00.${String(n % 3).padStart(6, "0")}`;
    const rows = upTo(count)
      .map((n): TickRow => [stampOf(n), n, 1, null, null, `id-${n}`, null, null])
      .sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1]! - b[1]!));
    await db.writer.commit([{ ...trades(), rows }]);
    const some = upTo(10_000).map((n) => `id-${n}`);
    expect(await made(db, removal({ ids: some }))).toMatchObject({ rows: 10_000, position: 2 });
    expect(await made(db, removal({}), { dryRun: true })).toMatchObject({ rows: 2_000, position: null });
    expect(await made(db, removal({}))).toMatchObject({ rows: 2_000, position: 3 });
    expect(await pricesOf(db)).toEqual([]);
  });

  withDatabase("it is one update, with the range and how many rows it took", async (db) => {
    await fill(db, 3);
    const found = await made(db, removal({ from: at(2), ids: null }));
    const data = {
      type: "tick_delete",
      data_type: "trade",
      start: "2024-01-02T10:00:02.000000Z",
      end: null,
      removed: 2,
    };
    const [, update] = await framesOf(db, "A");
    expect(update).toEqual({ position: 2, type: "tick_delete trade", frame: { symbol: "A", data } });
    expect(found.epoch ?? (await db.reader.updates.epoch())).toBe(await db.reader.updates.epoch());
    await db.writer.commit([daily("A", [["2024-01-02", 1]])]);
    await made(db, removal({ kind: "daily", part: null, from: "2024-01-01", to: "2024-01-31" }));
    expect((await framesOf(db, "A")).at(-1)).toMatchObject({
      position: 4,
      type: "bar_delete",
      frame: { symbol: "A", data: { type: "bar_delete", interval: "daily", removed: 1 } },
    });
    expect(newestOf(await db.reader.updates.snapshot("A"), "ticks", "trade")?.[0]).toBe(at(1));
  });

  withDatabase("what concerns no row is no update", async (db) => {
    await fill(db, 1);
    const none = { ok: true, rows: 0, position: null };
    expect(await make(db, removal({ from: at(2) }))).toMatchObject(none);
    expect(await make(db, removal({ part: "quote" }))).toMatchObject(none);
    expect(await make(db, removal({ ticker: "UNKNOWN" }))).toMatchObject(none);
    expect(await make(db, renaming("UNKNOWN", "NEW"))).toMatchObject(none);
    expect(await db.reader.updates.positions(null)).toEqual(new Map([["A", 1]]));
  });

  withDatabase("a dry run counts, and changes nothing", async (db) => {
    await fill(db, 3);
    expect(await made(db, removal({ from: at(2) }), { dryRun: true })).toMatchObject({
      rows: 2,
      position: null,
    });
    expect(await made(db, renaming("A", "B"), { dryRun: true })).toMatchObject({ rows: 3, position: null });
    expect(await pricesOf(db)).toEqual([1, 2, 3]);
    expect(await db.reader.updates.positions(null)).toEqual(new Map([["A", 1]]));
  });

  withDatabase(
    "an edit that is sent again changes nothing, and is answered as the first time",
    async (db) => {
      await fill(db, 3);
      const saveId = "sent-twice";
      const first = await made(db, removal({ from: at(2) }), { saveId });
      expect(first).toMatchObject({ rows: 2, position: 2 });
      await db.writer.commit([trades([2, 9])]);
      const again = await made(db, removal({ from: at(2) }), { saveId, repeated: true });
      expect(again).toMatchObject({ rows: 2, position: 2 });
      expect(await pricesOf(db)).toEqual([1, 9]);
      const renamed = await made(db, renaming("A", "B"), { saveId: "renamed" });
      expect(await made(db, renaming("A", "B"), { saveId: "renamed", repeated: true })).toMatchObject({
        rows: 2,
        position: renamed.position,
      });
      await db.reopen();
      expect(await made(db, renaming("A", "B"), { saveId: "renamed", repeated: true })).toMatchObject({
        rows: 2,
        position: 1,
      });
      expect(await db.reader.updates.positions(null)).toEqual(
        new Map([
          ["A", 4],
          ["B", 1],
        ]),
      );
    },
  );

  withDatabase("another renaming under the identity of one that was made is refused", async (db) => {
    await fill(db, 2);
    const request = (print: string) => ({ key: "renamings", print, text: "z" });
    expect(await made(db, renaming("A", "B"), { request: request("B") })).toMatchObject({ rows: 2 });
    await fill(db, 1);
    expect(await make(db, renaming("A", "C"), { request: request("C") })).toMatchObject({
      ok: false,
      status: 409,
    });
    expect(await made(db, renaming("A", "B"), { request: request("B") })).toMatchObject({ rows: 2 });
    expect([...(await db.reader.updates.positions(null)).keys()].sort()).toEqual(["A", "B"]);
  });

  withDatabase("saved again, a removed tick is a new one: in its place, or behind the others", async (db) => {
    const rows = [withId(1, 1, "a"), withId(1, 2, "b"), withId(1, 3, "c")];
    await db.writer.commit([{ ...trades(), rows }]);
    await made(db, removal({ ids: ["b"] }));
    await expectStored(db, [{ ...trades(), rows: [withId(1, 2, "b"), withId(1, 3, "c")] }], [1]);
    expect((await pricesOf(db)).toSorted()).toEqual([1, 2, 3]);
    // And those after the newest that is left.
    await fill(db, 5);
    await made(db, removal({ from: at(3) }));
    await expectStored(db, [trades([3, 3], [4, 4])], [2]);
    await expectStored(db, [trades([3, 3], [4, 4])], [0]);
    await expectStored(db, [trades([5, 5])], [1]);
  });

  withDatabase("what a request has saved stays known when its rows are gone", async (db) => {
    const request = { key: "of-the-request", print: "p", text: "text" };
    const save = { ...trades([1, 1]), update: { ...logged("first", "{}"), request } };
    await db.writer.commit([save]);
    await made(db, removal({}));
    const again = { ...save, update: { ...save.update, saveId: "second" } };
    const [outcome] = await db.writer.commit([again]);
    expect(outcome).toMatchObject({ ok: true, stored: 1, position: 1, isRepetition: true });
    expect(await pricesOf(db)).toEqual([]);
  });

  withDatabase("averages are those of the bars that are left", async (db) => {
    const random = randomNumbers(5);
    const closes = upTo(400).map((n): [string, number] => [dateOf(n), Math.round(random() * 1e4) / 100]);
    await db.writer.commit([daily("A", closes.slice(0, 300)), daily("A", closes.slice(300))]);
    const from = (first: number, last: number) =>
      removal({ kind: "daily", part: null, from: dateOf(first), to: dateOf(last) });
    for (const [first, last] of [
      [130, 140],
      [1, 3],
      [257, 300],
      [390, 400],
    ] as const) {
      await made(db, from(first, last));
      closes.splice(
        closes.findIndex(([date]) => date === dateOf(first)),
        last - first + 1,
      );
      await db.writer.commit([daily(`OF ${first}`, closes)]);
      expect(withoutNames(await allBars(db, "A"))).toEqual(withoutNames(await allBars(db, `OF ${first}`)));
    }
    await db.writer.commit([daily("A", [[dateOf(395), 50]])]);
    await db.writer.commit([daily("ALL", [...closes, [dateOf(395), 50]])]);
    expect(withoutNames(await allBars(db, "A"))).toEqual(withoutNames(await allBars(db, "ALL")));
    await made(db, renaming("A", "B"));
    expect(withoutNames(await allBars(db, "B"))).toEqual(withoutNames(await allBars(db, "ALL")));
    await db.writer.commit(["B", "ALL"].map((ticker) => daily(ticker, [[dateOf(200), 51]])));
    expect(withoutNames(await allBars(db, "B"))).toEqual(withoutNames(await allBars(db, "ALL")));
    expect((await made(db, removal({ kind: "daily", part: null, ticker: "B" }))).rows).toBe(
      closes.length + 1,
    );
    await db.writer.commit(["B", "NEW"].map((ticker) => daily(ticker, closes.slice(0, 200))));
    expect(withoutNames(await allBars(db, "B"))).toEqual(withoutNames(await allBars(db, "NEW")));
  });

  withDatabase("a renaming takes rows of every kind, and is an update of both tickers", async (db) => {
    const saves = KIND_NAMES.map((name): SaveRows => rowOf(name));
    await db.writer.commit(saves);
    await db.writer.commit([{ ...trades([9, 1]), part: "quote" }]);
    const found = await made(db, renaming("A", "NEW 'é"));
    expect(found).toMatchObject({ rows: KIND_NAMES.length + 1, position: 1 });
    for (const name of KIND_NAMES)
      expect([name, await db.reader.tickers(name, null, 10)]).toEqual([name, ["NEW 'é"]]);
    const data = { type: "ticker_rename", old: "A", new: "NEW 'é", renamed: KIND_NAMES.length + 1 };
    const told = { type: "ticker_rename", frame: { data } };
    expect((await framesOf(db, "A")).at(-1)).toMatchObject({ position: KIND_NAMES.length + 2, ...told });
    expect(await framesOf(db, "NEW 'é")).toMatchObject([{ position: 1, ...told }]);
    // Both count on.
    await db.writer.commit([trades([1, 1]), { ...trades([1, 1]), ticker: "NEW 'é" }]);
    expect(await db.reader.updates.positions(null)).toEqual(
      new Map([
        ["A", KIND_NAMES.length + 3],
        ["NEW 'é", 2],
      ]),
    );
  });

  withDatabase("ticks that are sent to the new ticker find those that were renamed", async (db) => {
    await fill(db, 3);
    await made(db, renaming("A", "B"));
    await expectStored(db, [{ ...trades([2, 2], [3, 3], [4, 4]), ticker: "B" }], [1]);
    await expectStored(db, [trades([1, 1], [2, 2])], [2]);
    expect(await pricesOf(db, "B")).toEqual([1, 2, 3, 4]);
    expect(await pricesOf(db)).toEqual([1, 2]);
  });

  withDatabase("a ticker that has rows of any kind is not renamed to", async (db) => {
    for (const name of KIND_NAMES) {
      await db.writer.commit([{ ...rowOf(name), ticker: `WITH ${name}` }]);
      await fill(db, 1);
      for (const dryRun of [true, false])
        expect(await make(db, renaming("A", `WITH ${name}`), { dryRun })).toMatchObject({
          ok: false,
          status: 409,
        });
    }
    expect(await pricesOf(db)).toEqual([1]);
    // One that has updates and no rows is free.
    await made(db, removal({ ticker: "WITH ticks", part: null }));
    expect(await made(db, renaming("A", "WITH ticks"))).toMatchObject({ rows: 1, position: 3 });
  });

  testOf("ageing", "old rows go only as a dry run has found them, and it is no update", (name) =>
    withDatabase(name, async (db) => {
      await fill(db, 4);
      await db.writer.commit([
        { ...rowOf("interval"), rows: [["2024-01-02 10:00:00", 1, 1, 1, 1, 1, 1, 1, null]] },
      ]);
      const old = removal({ to: at(2), isAgeing: true });
      const bars = removal({ kind: "interval", part: "5min", isAgeing: true });
      const found = async (edit: Removal) => (await made(db, edit, { dryRun: true })).found!;
      const [first, firstBars] = [await found(old), await found(bars)];
      expect(await found(old)).toBe(first);
      const refused = { ok: false, status: 409, rowsMoved: true };
      // A value of a row that was there, and a row more.
      await db.writer.commit([
        { ...rowOf("interval"), rows: [["2024-01-02 10:00:00", 2, 2, 2, 2, 2, 2, 2, null]] },
      ]);
      expect(await make(db, { ...bars, asFound: firstBars })).toMatchObject(refused);
      await db.writer.commit([{ ...trades([1, 77]), ticker: "A" }]);
      expect(await make(db, { ...old, asFound: first })).toMatchObject(refused);
      expect(await pricesOf(db)).toEqual([1, 77, 2, 3, 4]);
      // What is newer than the bound doesn't count.
      const second = await found(old);
      await db.writer.commit([trades([9, 9])]);
      const before = await db.reader.updates.newest("A");
      expect(await made(db, { ...old, asFound: second })).toMatchObject({
        rows: 3,
        position: null,
        updates: [],
      });
      expect(await make(db, { ...bars, asFound: await found(bars) })).toMatchObject({ ok: true, rows: 1 });
      expect(await pricesOf(db)).toEqual([3, 4, 9]);
      expect(await db.reader.updates.newest("A")).toEqual(before);
    }),
  );

  testOf("sql", "what another program has removed counts no more", (name) =>
    withDatabase(name, async (db) => {
      await fill(db, 3);
      await db.execute(`DELETE FROM realtime_data WHERE price = 2`);
      expect(await make(db, removal({}), { dryRun: true })).toMatchObject({ ok: true, rows: 2 });
      expect(await make(db, removal({}))).toMatchObject({ ok: true, rows: 2 });
    }),
  );
});

const withoutNames = (rows: Record<string, unknown>[]) =>
  rows.map(({ ticker: _, write_timestamp: __, ...row }) => row);

/** One that each kind takes. */
function rowOf(name: (typeof KIND_NAMES)[number]): SaveRows {
  const kind = kindOf(name);
  const stamps = { date: "2024-01-02", second: "2024-01-02 10:00:00", instant: at(0) };
  const stamp = stamps[kind.stamp.type];
  const part = kind.part === null ? null : ({ ticks: "trade", interval: "5min" }[name as string] ?? "O:A");
  const row: SeriesRow =
    name === "actions"
      ? randomAction(randomNumbers(1), stamp, { type: "split", place: 0 })
      : ([stamp, ...kind.values.map(oneOf), ...(kind.hasSeq ? [0] : [])] as SeriesRow);
  return { kind: name, ticker: "A", part, rows: [row], onDuplicate: "replace" } as SaveRows;
}

function oneOf({ type }: { type: string }): string | number | null {
  if (type === "double" || type === "count") return 1;
  if (type === "date") return "2024-01-02";
  return type === "instant" ? at(0) : null;
}
