/** A plain line read as columns is the row that the reader of rows makes of it. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import type { CsvRecord } from "../../market/csv.ts";
import { stampOfMicros } from "../../market/stamp-micros.ts";
import { NO_CHOICES } from "./layout.ts";
import { type PrepareOptions, prepareFiles } from "./prepare.ts";
import type { PreparedFile } from "./prepared-file.ts";
import { rowReader } from "./row-reader.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "plain-ticks-"));
});
afterEach(async () => {
  await rm(dir, { recursive: true });
});

const OPTIONS: PrepareOptions = {
  ...NO_CHOICES,
  ...{ files: [], ticker: "T", tickerFrom: null, skipBad: false, kind: "trade" },
  ...{ skipLines: 0, separator: null },
};

type ReadLine = [line: number, record: CsvRecord | string];

async function prepared(text: string, options: Partial<PrepareOptions> = {}): Promise<PreparedFile> {
  const path = join(dir, "ticks.csv");
  await writeFile(path, text);
  return (await prepareFiles({ ...OPTIONS, files: [path], ...options })).files[0]!;
}

async function byRows(file: PreparedFile): Promise<ReadLine[]> {
  const read = rowReader(file);
  const found: ReadLine[] = [];
  for await (const rows of file.rows()) for (const row of rows) found.push([row.line, recordOf(read, row)]);
  return found;
}

/** @returns what was read, and how much of it as columns. */
async function byPieces(file: PreparedFile): Promise<{ found: ReadLine[]; plain: number }> {
  const read = rowReader(file);
  const found: ReadLine[] = [];
  let plain = 0;
  for await (const piece of file.pieces()) {
    if (Array.isArray(piece)) {
      for (const row of piece) found.push([row.line, recordOf(read, row)]);
      continue;
    }
    plain += piece.rows;
    for (let row = 0; row < piece.rows; row++) {
      const values = piece.names.map((name, index) => [name, piece.values[index]![row]!]);
      const record = { timestamp: stampOfMicros(piece.micros[row]!), ...Object.fromEntries(values) };
      found.push([piece.firstLine + row, record]);
    }
  }
  return { found, plain };
}

function recordOf(read: ReturnType<typeof rowReader>, row: Parameters<typeof read>[0]): CsvRecord | string {
  try {
    return read(row).record;
  } catch (error) {
    return (error as Error).message;
  }
}

const pick = <T>(from: readonly T[], n: number): T => from[n % from.length]!;
/** So many that a file has more than one chunk, of which only the later have columns. */
const LINES = 20_000;

const PRICES = [
  "185",
  "185.5",
  "-3.25",
  "0.1",
  "1e3",
  "",
  "NaN",
  "+7",
  ".5",
  "7.",
  "0000.30",
  "185.123456789",
];
const LONG_PRICES = ["12345678901234.5", "1234567890123456.5", "0.000000000000001", "0.1234567890123456789"];
const SIZES = ["100", "0", "1.5", '"100"', " 100", "9007199254740993", "-0", "1_000", "100 "];

const FORMS: Record<string, { header: string; stamps: (n: number) => string }> = {
  "ISO with Z": {
    header: "timestamp,price,size",
    stamps: (n) =>
      pick(
        [
          `2024-01-02T10:00:${String(n % 60).padStart(2, "0")}Z`,
          `2024-02-29 23:59:59.${n % 10}Z`,
          `2024-03-01T00:00:00.${String(n).padStart(6, "0")}+00:00`,
          `2024-03-01T00:00:00.${String(n).padStart(9, "1")}Z`,
          "2023-02-29T00:00:00Z",
          "1690-01-01T00:00:00.000001Z",
          "2024-03-01T24:00:00Z",
          "2024-03-01T10:00:00.Z",
          "2024-03-01T10:00:00.1234567890Z",
          "2024-03-01T10:00:00+01:00",
          "2024-03-01T10:00:00",
          "",
        ],
        n % 17,
      ),
  },
  "ISO without a zone": {
    header: "timestamp,price,size",
    stamps: (n) => pick(["2024-01-02 10:00:00.5", "2024-01-02T10:00:00", "2024-01-02 10:00:00Z"], n % 5),
  },
  milliseconds: {
    header: "time,price,qty",
    stamps: (n) => pick([`17041860000${n % 90}1`, "1704186000000", "1704186000", "17041860000000000"], n % 7),
  },
  nanoseconds: {
    header: "ts_event,price,size",
    stamps: (n) => pick(["1704186000123456789", `17041860001234${10_000 + (n % 80_000)}`], n),
  },
};

for (const [name, { header, stamps }] of Object.entries(FORMS)) {
  for (const end of ["\n", "\r\n"]) {
    test(`lines read as columns are those read as rows: ${name}, ${JSON.stringify(end)}`, async () => {
      const plain = stamps(0);
      const lines = Array.from({ length: LINES }, (_, n) => {
        // The first rows decide how the file is read.
        if (n < 2_000 || n % 3 === 0) return `${plain},${pick(PRICES, n % 3)},${n % 900}`;
        const price = pick([...PRICES, ...LONG_PRICES], n % 31);
        const line = `${stamps(n)},${price},${pick(SIZES, n % 23)}`;
        return pick([line, line, line, line, "", `${line},`, `${line},x`, `${plain},1`, `\n${line}`], n % 41);
      });
      const file = await prepared([header, ...lines].join(end));
      const rows = await byRows(file);
      const { found, plain: count } = await byPieces(file);
      expect(found.length).toBe(rows.length);
      expect(count).toBeGreaterThan(LINES / 10);
      for (const [index, row] of rows.entries()) expect(found[index]).toEqual(row);
    });
  }
}

test("columns that are left out are passed over; what has others isn't read as columns", async () => {
  const line = (n: number): string => `a b,2024-01-02T10:00:00.${n % 10}Z,${n},185.25`;
  const lines = Array.from({ length: LINES }, (_, n) =>
    n % 1_000 === 7 ? `"a,b"${line(n).slice(3)}` : line(n),
  );
  const text = ["note,timestamp,size,price", ...lines].join("\n");
  const dropped = await prepared(text, { drop: ["note"] });
  const { found, plain } = await byPieces(dropped);
  expect(plain).toBeGreaterThan(LINES / 2);
  expect(found).toEqual(await byRows(dropped));
  expect((await byPieces(await prepared(text))).plain).toBe(0);
});

const EVERY_SECOND = "timestamp '2024-01-02' + to_seconds(i)";
const SOME_TEXT = `strftime(${EVERY_SECOND}, '%Y-%m-%dT%H:%M:%SZ')`;
const WITH_ZONE = "timestamptz '2024-01-02 10:00:00.000001+00' + to_microseconds(i)";

const PARQUET: [name: string, stamp: string, values: string, isPlain: boolean][] = [
  ["stamps with a zone", WITH_ZONE, "i / 8, i", true],
  ["stamps without", EVERY_SECOND, "(i / 8)::float, i::int", true],
  ["nanoseconds", "make_timestamp_ns(1704186000123456789 + i * 999)", "i / 8, i", true],
  ["before 1970", "make_timestamp_ns(-1000000 + i * 999)", "i / 8, i", false],
  ["epoch numbers", "1704186000123456789 + i * 999", "i / 8, i", true],
  ["two units", "if(i = 4_000, 1704186000123, 1704186000123456 + i)", "i / 8, i", false],
  ["a null", EVERY_SECOND, "nullif(i, 4_000) / 8, i", false],
  ["a number that is none", EVERY_SECOND, "if(i = 4_000, 'nan'::double, i), i", false],
  ["long integers", EVERY_SECOND, "i / 8, i + 9007199254740000", false],
  ["decimals", EVERY_SECOND, "(i / 8)::decimal(18, 4), i", false],
  ["text", SOME_TEXT, "i / 8, i", false],
];

test.each(PARQUET)(
  "rows of Parquet read as columns are those read as rows: %s",
  async (_, stamp, values, is) => {
    const path = join(dir, "ticks.parquet");
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    await connection.run(
      `copy (select ts as timestamp, price, size
       from (select ${stamp}, ${values} from range(5_000) r(i)) t(ts, price, size))
     to '${path}' (format parquet)`,
    );
    connection.closeSync();
    instance.closeSync();
    const [file] = (await prepareFiles({ ...OPTIONS, files: [path] })).files;
    const { found, plain } = await byPieces(file!);
    expect(plain).toBe(is ? 5_000 : 0);
    const rows = await byRows(file!);
    expect(found.length).toBe(5_000);
    for (const [index, row] of rows.entries()) expect(found[index]).toEqual(row);
  },
);
