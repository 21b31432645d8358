import { afterAll, beforeAll, expect, test } from "bun:test";
import { type MemoryDuckDb, memoryDuckDb } from "../../test/support/memory-duckdb.ts";
import { randomNumbers } from "../../test/support/random.ts";
import { AsOfMatcher, type AsOfOptions, type Direction, MATCH } from "./as-of.ts";
import { MatchedColumn } from "./matched-column.ts";

/** In order, with many equal stamps. */
function randomStamps(random: () => number, rows: number): number[] {
  let at = 1_000;
  return Array.from({ length: rows }, () => {
    at += random() < 0.4 ? 0 : Math.floor(random() * 20);
    return at;
  });
}

function piecesOf(rows: number, longest: number, random: () => number): [from: number, to: number][] {
  const pieces: [number, number][] = [];
  for (let from = 0; from < rows; ) {
    const to = Math.min(rows, from + Math.floor(random() * longest) + (random() < 0.1 ? 0 : 1));
    pieces.push([from, to]);
    from = to;
  }
  return pieces;
}

/** The joined value of each left row: the number of the right row, which is its value. */
function joined(
  left: readonly number[],
  right: readonly number[],
  options: AsOfOptions,
  cut: { longest: number; random: () => number },
): (number | null)[] {
  const matcher = new AsOfMatcher(options);
  const column = new MatchedColumn();
  const rights = piecesOf(right.length, cut.longest, cut.random);
  const found: (number | null)[] = [];
  for (const [from, to] of piecesOf(left.length, cut.longest, cut.random)) {
    const micros = Float64Array.from(left.slice(from, to));
    const matches = new Int32Array(micros.length);
    column.begin(micros.length);
    for (let row = 0; row < micros.length; ) {
      const next = matcher.match(micros, row, matches);
      column.take(matches, { from: row, to: next, at: 0 });
      row = next;
      if (row === micros.length) break;
      const piece = rights.shift();
      if (piece === undefined) matcher.feed(null);
      else {
        matcher.feed(Float64Array.from(right.slice(...piece)));
        const values = Float64Array.from(right.slice(...piece), (_, at) => piece[0] + at);
        column.feed({ values, wide: null });
      }
    }
    found.push(...[...column.values].map((value) => (Number.isNaN(value) ? null : value)));
  }
  return found;
}

let duckdb: MemoryDuckDb;
beforeAll(async () => {
  duckdb = await memoryDuckDb();
});
afterAll(() => duckdb.close());

/** `seq` makes stamps that are equal to others distinct, in the order of their rows. */
async function sqlJoin(left: number[], right: number[], sql: string): Promise<(number | null)[]> {
  const table = (stamps: number[]) => [
    { name: "n", type: "BIGINT" as const, values: stamps.map((_, n) => n) },
    { name: "us", type: "BIGINT" as const, values: stamps },
  ];
  await duckdb.rows("drop table if exists l; drop table if exists r");
  await duckdb.create("l", table(left));
  await duckdb.create("r", table(right));
  return (await duckdb.rows(sql)).map((row) => row[0] as number | null);
}

const SQL: Record<string, string> = {
  "backward, equal counts": `
    with r2 as (select us, max(n) as n from r group by us)
    select r2.n from l asof left join r2 on l.us >= r2.us order by l.n`,
  "backward, equal doesn't count": `
    with r2 as (select us, max(n) as n from r group by us)
    select r2.n from l asof left join r2 on l.us > r2.us order by l.n`,
  "forward, equal counts": `
    with r2 as (select us, min(n) as n from r group by us)
    select r2.n from l asof left join r2 on l.us <= r2.us order by l.n`,
  "forward, equal doesn't count": `
    with r2 as (select us, min(n) as n from r group by us)
    select r2.n from l asof left join r2 on l.us < r2.us order by l.n`,
};

for (const [name, sql] of Object.entries(SQL)) {
  test(`${name}: as DuckDB's ASOF JOIN, however the rows are cut`, async () => {
    const random = randomNumbers(7);
    const [left, right] = [randomStamps(random, 3_000), randomStamps(random, 2_000)];
    const expected = await sqlJoin(left, right, sql);
    const options: AsOfOptions = {
      direction: name.split(",")[0] as Direction,
      tolerance: Number.POSITIVE_INFINITY,
      allowExact: !name.includes("doesn't"),
    };
    for (const longest of [5_000, 300, 1])
      expect(joined(left, right, options, { longest, random })).toEqual(expected);
  });
}

test("nearest within a tolerance is what SQL finds by looking at all rows", async () => {
  const random = randomNumbers(8);
  const [left, right] = [randomStamps(random, 400), randomStamps(random, 120)];
  for (const tolerance of [0, 3, 15, 1e9]) {
    const expected = await sqlJoin(
      left,
      right,
      `select (select r.n from r where abs(l.us - r.us) <= ${tolerance}
         order by abs(l.us - r.us), r.us, case when r.us <= l.us then -r.n else r.n end limit 1)
       from l order by l.n`,
    );
    for (const longest of [500, 3]) {
      const options = { direction: "nearest", tolerance, allowExact: true } as const;
      expect(joined(left, right, options, { longest, random })).toEqual(expected);
    }
  }
});

test("a tolerance is inclusive, and nothing is found in an empty right", () => {
  const random = randomNumbers(1);
  const cut = { longest: 10, random };
  const at = (direction: Direction, tolerance: number, right: number[]) =>
    joined([100], right, { direction, tolerance, allowExact: true }, cut);
  expect(at("backward", 10, [90])).toEqual([0]);
  expect(at("backward", 9, [90])).toEqual([null]);
  expect(at("forward", 10, [110])).toEqual([0]);
  expect(at("forward", 9, [110])).toEqual([null]);
  for (const direction of ["backward", "forward", "nearest"] as const)
    expect(at(direction, 1e9, [])).toEqual([null]);
});

test("rows that aren't in order are refused", () => {
  const matcher = new AsOfMatcher({ direction: "backward", tolerance: 5, allowExact: true });
  matcher.feed(Float64Array.of(5));
  expect(() => matcher.feed(Float64Array.of(4))).toThrow("on the right");
  matcher.feed(null);
  const into = new Int32Array(2);
  expect(() => matcher.match(Float64Array.of(7, 6), 0, into)).toThrow("on the left");
  matcher.reset();
  expect(matcher.match(Float64Array.of(6), 0, into)).toBe(0);
  matcher.feed(null);
  expect(matcher.match(Float64Array.of(6), 0, into)).toBe(1);
  expect(into[0]).toBe(MATCH.NONE);
});

test("counts that no double holds stay exact", () => {
  const matcher = new AsOfMatcher({ direction: "backward", tolerance: 100, allowExact: true });
  const column = new MatchedColumn();
  const wide = 2n ** 60n + 1n;
  const into = new Int32Array(2);
  column.begin(2);
  matcher.feed(Float64Array.of(1, 2));
  column.feed({ values: Float64Array.of(1, Number(wide)), wide: new Map([[1, wide]]) });
  expect(matcher.match(Float64Array.of(1, 3), 0, into)).toBe(1);
  column.take(into, { from: 0, to: 1, at: 0 });
  matcher.feed(Float64Array.of(9));
  column.feed({ values: Float64Array.of(9), wide: null });
  expect(matcher.match(Float64Array.of(1, 3), 1, into)).toBe(2);
  column.take(into, { from: 1, to: 2, at: 0 });
  expect([...column.exact]).toEqual([[1, wide]]);
});
