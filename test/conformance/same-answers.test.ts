/**
 * Whatever is saved, in whatever batches: every driver gives the same outcomes and the same answers
 * as the first one.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { ACTION_TYPES } from "../../src/market/corporate-actions.ts";
import type { Count, Save, SaveOutcome, TickRow } from "../../src/storage/contract.ts";
import {
  KIND_NAMES,
  KINDS,
  type KindColumn,
  type SeriesRow,
  type SeriesValue,
} from "../../src/storage/model/kinds.ts";
import { randomAction } from "../support/action-rows.ts";
import { textOf } from "../support/answered.ts";
import { randomNumbers } from "../support/random.ts";
import { utcDay } from "../support/saves.ts";
import { tempDir } from "../support/temp-dir.ts";
import { DRIVERS, type OpenDatabase } from "./drivers.ts";

setDefaultTimeout(120_000);

const [reference, ...others] = DRIVERS;

const TICKERS = ["A", "B", 'quote " and \\', "comma, and\nline", "é😀", "'; --", "$1"];
/** Only for those that can store them. */
const ODD_TICKERS = ["nul \0 inside", "half \ud83d"];
const TYPES = ["trade", "quote", "other, type"];
const PLAIN_KINDS = KIND_NAMES.filter((name) => name !== "ticks");
/** By the column that names the part; a server in front takes lengths of bars only. */
const PARTS: Record<string, string[]> = {
  interval: ["5min", "2hour"],
  option_ticker: ["O:A240119C00150000", 'comma, and "quote"'],
};
const partsOf = (part: string | null): (string | null)[] => (part === null ? [null] : PARTS[part]!);
const COUNTS: (Count | null)[] = [
  0,
  1,
  100,
  null,
  -5,
  0.5,
  10.25,
  1e-7,
  123456.789,
  "9007199254740993",
  1e15,
  2 ** 53,
];
const PRICES = [1, 1.5, null, 0.1 + 0.2, 1e-9, 1e21, 5e-324, 1.7976931348623157e308, -0, 123.456];

const EXTRAS = ['{"x":"V"}', '{"o":[{"a":1},  {"b":2}]}'];

const two = (n: number): string => String(n).padStart(2, "0");

function randomSaves(seed: number, tickers: string[]) {
  const random = randomNumbers(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const price = (): number | null => (below(3) === 0 ? pick(PRICES) : below(4));
  const count = (): Count | null => (below(3) === 0 ? pick(COUNTS) : below(3));

  function ticks(): Save {
    const rows = Array.from(
      { length: 1 + below(6) },
      (): TickRow => [
        `2024-01-02 10:00:0${below(3)}.${below(2) === 0 ? "000000" : "000001"}`,
        price(),
        count(),
        price(),
        count(),
        below(4) === 0 ? pick(["a", "b"]) : null,
        below(4) === 0 ? pick(EXTRAS) : null,
        below(3) === 0 ? below(4) : null,
      ],
    );
    const onDuplicate = pick(["match", "match", "append", "keep", "replace", "error"] as const);
    return { kind: "ticks", ticker: pick(tickers), part: pick(TYPES), rows, onDuplicate };
  }

  function randomValue({ name, type }: KindColumn): SeriesValue {
    if (type === "count") return count();
    if (type === "double") return price();
    if (type === "json") return pick(EXTRAS);
    if (name === "expiration_date") return `2024-02-${two(1 + below(28))}`;
    if (name === "option_type") return pick(["call", "put", null]);
    return type === "instant" ? pick(["2024-01-02 09:59:59.123456", null]) : pick(["", "é, \n", null]);
  }

  function actions(): Save {
    const rows = Array.from({ length: 1 + below(5) }, () =>
      randomAction(random, `2024-01-0${1 + below(3)}`, { type: pick(ACTION_TYPES), place: below(2) }),
    );
    const byKey = new Map(rows.map((row) => [`${row[0]} ${String(row.at(-1)).padStart(4, "0")}`, row]));
    const sorted = [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
    const onDuplicate = pick(["replace", "replace", "keep", "error"] as const);
    return { kind: "actions", part: null, ticker: pick(tickers), rows: sorted, onDuplicate };
  }

  function plain(): Save {
    const kind = pick(PLAIN_KINDS);
    if (kind === "actions") return actions();
    const { stamp, values, part } = KINDS[kind];
    const stampOf = (n: number): string =>
      stamp.type === "date"
        ? `2024-01-${two(1 + n)}`
        : `2024-01-02 ${two(n)}:00:00${stamp.type === "instant" ? ".000000" : ""}`;
    const first = below(10);
    const rows = Array.from({ length: 1 + below(12) }, (_, i): SeriesRow => {
      const row: SeriesRow = [stampOf(first + i)];
      for (const column of values) row.push(column.name === "close" ? below(50) : randomValue(column));
      return row;
    });
    const onDuplicate = pick(["replace", "replace", "keep", "error"] as const);
    if (kind === "options" && onDuplicate === "error")
      return { kind, part: PARTS[part!]![0]!, ticker: pick(tickers), rows, onDuplicate: "keep" };
    return { kind, part: pick(partsOf(part)), ticker: pick(tickers), rows, onDuplicate };
  }

  return Array.from({ length: 30 }, () =>
    Array.from({ length: 1 + below(8) }, () => (below(2) === 0 ? ticks() : plain())),
  );
}

/** Integers as their digits, other numbers by value; without the time of writing. */
function comparable(text: string): unknown {
  if (text === "") return text;
  type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;
  return (JSON.parse as (text: string, reviver: Reviver) => unknown)(text, (key, value, { source }) => {
    if (key === "write_timestamp") return typeof value;
    if (typeof value !== "number") return value;
    return source !== undefined && /^-?\d{16,}$/.test(source) ? source : value + 0;
  });
}

async function answersOf(db: OpenDatabase, tickers: string[], ofAnyDay: boolean): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const ticker of tickers) {
    for (const kind of PLAIN_KINDS) {
      const parts = partsOf(KINDS[kind].part);
      answers.push(await db.reader.parts(kind, ticker));
      if (KINDS[kind].part !== null) {
        const all = { parts: null, from: null, to: null, by: "stamp", where: [], columns: null } as const;
        answers.push(comparable(await textOf(db.reader.newestOfParts({ kind, ticker, ...all }))));
      }
      for (const part of parts) {
        const range = { kind, part, ticker, from: null, to: null, withExtra: true };
        answers.push(comparable(await textOf(db.reader.rows(range))));
        if (kind === "actions") {
          answers.push(comparable(await textOf(db.reader.rows({ ...range, withSeq: true }))));
          continue;
        }
        answers.push(comparable(await textOf(db.reader.newest({ ...range, limit: 3 }))));
      }
    }
    const from = "2024-01-02 10:00:01.000000";
    for (const type of TYPES) {
      answers.push(
        comparable(await textOf(db.reader.rows({ kind: "ticks", ticker, part: type, from: null, to: null }))),
      );
      answers.push(
        comparable(await textOf(db.reader.rows({ kind: "ticks", ticker, part: type, from, to: from }))),
      );
      answers.push(
        comparable(
          await textOf(
            db.reader.newest({ kind: "ticks", ticker, part: type, from: null, to: null, limit: 2 }),
          ),
        ),
      );
    }
    answers.push(await db.reader.latestPrice(ticker), await db.reader.previousClose(ticker));
    if (!ofAnyDay) continue;
    answers.push(await db.reader.openingPrice(ticker, utcDay("2024-01-05")));
    answers.push(await db.reader.dailyVolume(ticker, utcDay("2024-01-05")));
  }
  for (const kind of KIND_NAMES) answers.push(await db.reader.tickers(kind, null, 5));
  return answers;
}

/** Without what differs by database: its epoch, and how none is told. */
function plain(outcome: SaveOutcome | null) {
  if (!outcome?.ok) return outcome;
  const { ok, stored, replaced = 0, repeated = 0, skipped = 0, position } = outcome;
  return { ok, stored, replaced, repeated, skipped, position };
}

const referenceIn = reference!.prepare();

for (const driver of others) {
  const without = driver.absent ?? driver.lacks.fractionalCounts;
  if (without !== undefined) {
    test.skip(`${driver.name} and ${reference!.name} (${without})`, () => {});
    continue;
  }
  const tickers = driver.lacks.anyText === undefined ? [...TICKERS, ...ODD_TICKERS] : TICKERS;
  const ofAnyDay = driver.lacks.anyDay === undefined;
  const openIn = driver.prepare();
  describe(`${driver.name} and ${reference!.name}`, () => {
    for (const seed of [1, 2, 3]) {
      test(`agree on outcomes and answers (seed ${seed})`, async () => {
        using dir = tempDir();
        await using expected = await referenceIn(dir.path);
        await using db = await openIn(dir.path);
        for (const batch of randomSaves(seed, tickers)) {
          const outcomes = await expected.writer.commit(batch);
          expect((await db.writer.commit(batch)).map(plain)).toEqual(outcomes.map(plain));
        }
        expect(await answersOf(db, tickers, ofAnyDay)).toEqual(await answersOf(expected, tickers, ofAnyDay));
      });
    }
  });
}
