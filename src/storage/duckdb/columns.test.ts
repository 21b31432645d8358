import { expect, test } from "bun:test";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { tempDir } from "../../../test/support/temp-dir.ts";
import { TransferRowError } from "../contract.ts";
import { hasParts, partDoubles } from "../model/bar-parts.ts";
import type { ColumnData, ColumnQuery, TextColumn } from "../model/columns.ts";
import { openReadOnly } from "./read-only-file.ts";
import { DuckDbTransfer } from "./transfer.ts";

const ROWS = 100_000;
const everything = { kind: "ticks", tickers: null, parts: null, from: null, to: null } as const;

/** A table as the Python server may have made it. */
async function withTable(
  columns: string,
  select: string,
  body: (reader: DuckDbTransfer) => Promise<void>,
): Promise<void> {
  using dir = tempDir();
  const path = join(dir.path, "old.duckdb");
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  await connection.run(`CREATE TABLE realtime_data (${columns})`);
  await connection.run(`INSERT INTO realtime_data SELECT ${select} FROM range(${ROWS}) r(i)`);
  connection.closeSync();
  instance.closeSync();
  const { session, ...file } = await openReadOnly(path);
  const reader = new DuckDbTransfer(session, file);
  await body(reader).finally(() => reader.close());
}

test("a stream that fails in its midst doesn't pass for complete", () =>
  withTable(
    "ticker VARCHAR, timestamp TIMESTAMP, type VARCHAR, price VARCHAR, size BIGINT, seq BIGINT",
    `'A', TIMESTAMP '2024-01-02' + to_microseconds(i), 'trade', if(i = ${ROWS / 2}, 'none', '1.5'), i, 0`,
    async (reader) => {
      let rows = 0;
      const walk = async (query: ColumnQuery): Promise<void> => {
        for await (const batch of reader.columns(query)) rows += batch.rows;
      };
      await walk({ ...everything, columns: ["size"] });
      expect(rows).toBe(ROWS);
      const told = await walk({ ...everything, columns: ["price"] }).catch((error: unknown) => error);
      expect(told).toBeInstanceOf(TransferRowError);
      expect(String(told)).toContain("none");
    },
  ));

test("of a table without seq, ticks that share a stamp are counted, and floats are numbers", () =>
  withTable(
    "ticker VARCHAR, timestamp TIMESTAMP, type VARCHAR, price FLOAT, size DOUBLE",
    `'A', TIMESTAMP '2024-01-02' + to_microseconds(i // 2), 'trade', 1.5,
     if(i % 2 = 0, 1, 'nan'::DOUBLE)`,
    async (reader) => {
      const columns = new Map<string, ColumnData[]>();
      for await (const batch of reader.columns({ ...everything, columns: ["seq", "price", "size"] }))
        for (const [name, data] of batch.columns) columns.set(name, [...(columns.get(name) ?? []), data]);
      const seqs = columns.get("seq")!.flatMap((data) => (data.type === "int64" ? [...data.values] : []));
      expect(seqs).toHaveLength(ROWS);
      expect(seqs.every((seq, row) => seq === BigInt(row % 2))).toBe(true);
      const price = columns.get("price")![0]!;
      expect(price.type === "double" && price.values[0]).toBe(1.5);
      const size = columns.get("size")![0]!;
      expect([size.type, size.nulls?.[0], size.nulls?.[1]]).toEqual(["int64", 0, 1]);
    },
  ));

/** As texts. */
async function rowsInOrder(reader: DuckDbTransfer, query: Partial<ColumnQuery>): Promise<string[]> {
  const rows: string[] = [];
  const columns = ["ticker", "type", "size"];
  for await (const batch of reader.columns({ ...everything, ...query, columns })) {
    const cell = (name: string, row: number): string => {
      const data = batch.columns.get(name)!;
      return data.type === "text"
        ? data.dictionary[data.codes[row]!]!
        : String((data as { values: ArrayLike<unknown> }).values[row]);
    };
    for (let row = 0; row < batch.rows; row++) rows.push(columns.map((name) => cell(name, row)).join(" "));
  }
  return rows;
}

const COLUMNS = "ticker VARCHAR, timestamp TIMESTAMP, type VARCHAR, price DOUBLE, size BIGINT, seq BIGINT";
const NAMES = ["A", "B", "a name of more than 12 bytes", "a name of more than 12 letters", "é'"];
const TYPES = ["quote", "trade"];
const LIST = `[${NAMES.map((name) => `'${name.replaceAll("'", "''")}'`).join(", ")}]`;
const SERIES = NAMES.length * TYPES.length;
const PER_SERIES = ROWS / SERIES;
const expected = (names: string[], types: string[]): string[] =>
  names.flatMap((name) =>
    types.flatMap((type) => Array.from({ length: PER_SERIES }, (_, n) => `${name} ${type} ${n}`)),
  );

/** By the SQL of a row's place in all, of its series, and of its place there. */
const ORDERS: Record<string, { series: string; at: string }> = {
  "one series after the other": { series: `i // ${PER_SERIES}`, at: `i % ${PER_SERIES}` },
  "series side by side": { series: `i % ${SERIES}`, at: `i // ${SERIES}` },
  "the last row of the third series first": {
    series: `i // ${PER_SERIES}`,
    at: `if(i // ${PER_SERIES} = 2, ${PER_SERIES - 1} - i % ${PER_SERIES}, i % ${PER_SERIES})`,
  },
  "the last series first": {
    series: `${SERIES - 1} - i // ${PER_SERIES}`,
    at: `i % ${PER_SERIES}`,
  },
};
for (const [stored, { series, at }] of Object.entries(ORDERS))
  test(`stored with ${stored}, rows come in order of the walk`, () =>
    withTable(
      COLUMNS,
      `${LIST}[(${series}) // 2 + 1], TIMESTAMP '2024-01-02' + to_microseconds(${at}),
       if((${series}) % 2 = 0, 'quote', 'trade'), 1, ${at}, 0`,
      async (reader) => {
        expect(await rowsInOrder(reader, {})).toEqual(expected(NAMES, TYPES));
        expect(await rowsInOrder(reader, { parts: ["trade"] })).toEqual(expected(NAMES, ["trade"]));
        const some = [NAMES[4]!, NAMES[2]!, "none", NAMES[0]!];
        const wanted = expected([NAMES[0]!, NAMES[2]!, NAMES[4]!], TYPES);
        expect(await rowsInOrder(reader, { tickers: some })).toEqual(wanted);
        const after = { ticker: "B", part: "quote", stamp: "2024-01-02 00:00:00.000099", seq: 0 };
        const behind = expected(NAMES, TYPES).slice(2 * PER_SERIES + 100);
        expect(await rowsInOrder(reader, { after })).toEqual(behind);
      },
    ));

/** A vector of DuckDB's has so many rows. */
const CHUNK_ROWS = 2_048;
for (const early of [CHUNK_ROWS - 1, CHUNK_ROWS, CHUNK_ROWS + 1, 8 * CHUNK_ROWS, 8 * CHUNK_ROWS + 1])
  test(`the earliest row of a series, stored as its last one, number ${early}, comes first`, () =>
    withTable(
      COLUMNS,
      `if(i <= ${early}, 'A', 'B'), TIMESTAMP '2024-01-02' + to_microseconds(if(i = ${early}, 0, i + 1)),
       'trade', 1, i, 0`,
      async (reader) => {
        const rows = [early, ...Array.from({ length: ROWS }, (_, i) => i).filter((i) => i !== early)];
        expect(await rowsInOrder(reader, {})).toEqual(
          rows.map((i) => `${i <= early ? "A" : "B"} trade ${i}`),
        );
      },
    ));

/** The tickers of the parts, each with how many ticks they have; null: rows came instead. */
async function partsOf(reader: DuckDbTransfer): Promise<Record<string, number> | null> {
  const ticks: Record<string, number> = {};
  const bars = { micros: 60_000_000, price: "trade" } as const;
  for await (const batch of reader.columns({ ...everything, parts: ["trade"], columns: ["price"], bars })) {
    if (!hasParts(batch)) return null;
    const { codes, dictionary } = batch.columns.get("ticker") as TextColumn;
    for (const [row, count] of partDoubles(batch, "ticks").entries())
      ticks[dictionary[codes[row]!]!] = (ticks[dictionary[codes[row]!]!] ?? 0) + count;
  }
  return ticks;
}

const TRADES = "if(i % 2 = 0, 'A', 'B'), TIMESTAMP '2024-01-02' + to_microseconds(i), 'trade'";

test("parts of bars are made where sizes add up, and their failure is told", async () => {
  await withTable(COLUMNS, `${TRADES}, 1, i, 0`, async (reader) => {
    expect(await partsOf(reader)).toEqual({ A: ROWS / 2, B: ROWS / 2 });
  });
  await withTable(COLUMNS, `'A', TIMESTAMP '2024-01-02', 'quote', 1, i, 0`, async (reader) => {
    expect(await partsOf(reader)).toEqual({});
  });
  for (const seq of [`-i`, `i * ${2 ** 33}`])
    await withTable(COLUMNS, `${TRADES}, 1, i, ${seq}`, async (reader) => {
      expect(await partsOf(reader)).toBeNull();
    });
  const exact = COLUMNS.replace("size BIGINT", "size DECIMAL(38, 18)");
  await withTable(exact, `${TRADES}, 1, i, 0`, async (reader) => {
    expect(await partsOf(reader)).toBeNull();
  });
  const texts = COLUMNS.replace("price DOUBLE", "price VARCHAR");
  await withTable(texts, `${TRADES}, if(i = ${ROWS - 1}, 'none', '1.5'), i, 0`, async (reader) => {
    const told = await partsOf(reader).catch((error: unknown) => error);
    expect(told).toBeInstanceOf(TransferRowError);
    expect(String(told)).toContain("none");
  });
});
