/** The same rows in every format and packing that an import reads. */
import { expect, test } from "bun:test";
import { crc32, deflateRawSync, gzipSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import { Table, TimestampMicrosecond, tableToIPC, Utf8, vectorFromArray } from "apache-arrow";
import { ImportFolder } from "../support/importing.ts";

const CSV =
  "symbol,timestamp,price,size\nAA,2024-01-02T15:00:00.123456Z,1.5,9007199254740993\nBB,2024-01-02T15:00:01Z,2.25,\n";
const ROWS = [
  ["AA", "2024-01-02 15:00:00.123456", 1.5, "9007199254740993"],
  ["BB", "2024-01-02 15:00:01.000000", 2.25, null],
];

/** A zip archive of files, deflated. */
function zip(files: Record<string, string>): Buffer {
  const parts: Buffer[] = [];
  const list: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const data = Buffer.from(text);
    const packed = deflateRawSync(data);
    const fields = Buffer.alloc(22);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(8, 4);
    fields.writeUInt32LE(crc32(data), 10);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(data.length, 18);
    const lengths = Buffer.alloc(4);
    lengths.writeUInt16LE(Buffer.byteLength(name), 0);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), fields, lengths, Buffer.from(name), packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    list.push(
      Buffer.concat([
        Buffer.from("PK\x01\x02\x14\x00"),
        fields,
        lengths,
        rest.subarray(0, 14),
        Buffer.from(name),
      ]),
    );
    parts.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(list);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(list.length, 8);
  end.writeUInt16LE(list.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, directory, end]);
}

async function parquet(folder: ImportFolder, select: string, name = "made.parquet"): Promise<string> {
  const path = `${folder.path}/${name}`;
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  await connection.run(`COPY (${select}) TO '${path}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
  return path;
}

function stored(folder: ImportFolder): unknown[][] {
  return folder.query(
    "SELECT ticker, timestamp, price, CAST(size AS TEXT) FROM realtime_data ORDER BY ticker, seq",
  );
}

const SKIPPED_FRAME = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);

test("CSV, TSV, NDJSON and JSON have the same rows, plain and packed", async () => {
  const ndjson =
    '{"symbol":"AA","timestamp":"2024-01-02T15:00:00.123456Z","price":1.5,"size":9007199254740993}\n\n' +
    '{"price":2.25,"symbol":"BB","timestamp":"2024-01-02T15:00:01Z"}\n';
  const list = `[${ndjson.trim().replace("\n\n", ",")}]`;
  const packings: ((text: string) => string | Uint8Array)[] = [
    (text) => text,
    (text) => gzipSync(text),
    (text) => Bun.zstdCompressSync(text),
    // pzstd writes a frame to be passed over in front.
    (text) => Buffer.concat([SKIPPED_FRAME, Bun.zstdCompressSync(text)]),
    (text) => zip({ "a/b.csv": text, "__MACOSX/._b.csv": "x" }),
  ];
  for (const text of [CSV, CSV.replaceAll(",", "\t"), CSV.replaceAll("\n", "\r\n"), ndjson, list]) {
    for (const pack of packings) {
      using folder = new ImportFolder();
      const { result } = await folder.importText(pack(text), [], "in.bin");
      expect(result.stoppedBy).toBeNull();
      expect(stored(folder)).toEqual(ROWS);
    }
  }
});

test("a first line that tells the separator, as Excel has it, is no row", async () => {
  for (const [first, separator] of [
    ["sep=;\r\n", ";"],
    ["\ufeffSEP=|\n", "|"],
    ["sep=\t\n", "\t"],
  ] as const) {
    using folder = new ImportFolder();
    const rows = ["date,open,high,low,close,volume", "2024-01-02,1,2,1,1.5,9", "2024-01-03,2,3,2,2.5,9"].join(
      "\n",
    );
    await folder.importText(first + rows.replaceAll(",", separator));
    expect(folder.query("SELECT date, close FROM daily_prices ORDER BY date")).toEqual([
      ["2024-01-02", 1.5],
      ["2024-01-03", 2.5],
    ]);
  }
});

test("each file of a zip archive is a file; a damaged one is told", async () => {
  using folder = new ImportFolder();
  const bars = "Date,Open,High,Low,Close\n2024-01-02,1,2,0.5,1\n2024-01-03,1,2,0.5,1\n";
  const packed = zip({ "x/CC.csv": bars, "x/AA.csv": bars });
  const path = folder.write("all.zip", packed);
  const { result, plan } = await folder.import([path, "--ticker-from", "filename"]);
  expect(result.stoppedBy).toBeNull();
  expect(plan?.files.map(({ source }) => source.name)).toEqual([`${path}/x/AA.csv`, `${path}/x/CC.csv`]);
  expect(result.tickers.map(({ ticker, rows }) => [ticker, rows])).toEqual([
    ["AA", 2],
    ["CC", 2],
  ]);
  const damaged = Buffer.from(packed);
  damaged[50] = damaged[50]! ^ 0xff;
  const wrong = await folder.import([folder.write("wrong.zip", damaged), "--ticker", "W"]);
  expect(wrong.result.stoppedBy).toContain("wrong.zip");
  expect(wrong.result.stoppedBy).toContain("damaged");
  expect(folder.query("SELECT count(*) FROM daily_prices WHERE ticker = 'W'")).toEqual([[0]]);
});

test("Parquet keeps every digit and every type of stamp", async () => {
  using folder = new ImportFolder();
  const path = await parquet(
    folder,
    `SELECT * FROM (VALUES
       ('AA', TIMESTAMPTZ '2024-01-02 15:00:00.123456+00', 1.5::DOUBLE, 9007199254740993::BIGINT, {a: 1}),
       ('BB', TIMESTAMPTZ '2024-01-02 16:00:01+01', 2.25::DOUBLE, NULL, NULL)
     ) t(symbol, timestamp, price, size, info)`,
  );
  const { result, plan } = await folder.import([path]);
  expect(result.stoppedBy).toBeNull();
  expect(plan?.files[0]?.format).toBe("Parquet");
  expect(stored(folder)).toEqual(ROWS);
  for (const [type, tz, date] of [
    ["DATE '2024-01-02'", [], "2024-01-02"],
    ["TIMESTAMP '2024-01-02 00:00:00'", [], "2024-01-02"],
    ["TIMESTAMP_NS '2024-01-02 00:00:00'", [], "2024-01-02"],
    ["epoch_ms(TIMESTAMP '2024-01-01 15:00:00')", ["--tz", "Asia/Tokyo"], "2024-01-02"],
  ] as const) {
    using days = new ImportFolder();
    const select = `SELECT ${type} AS date, 1.5::DECIMAL(9,3) AS open, 2 AS high,
      0.5 AS low, 1.25::FLOAT AS close, 10 AS volume`;
    const file = await parquet(days, select);
    const imported = await days.import([file, "--ticker", "T", "--interval", "daily", ...tz]);
    expect(imported.result.stoppedBy).toBeNull();
    expect(days.daily()).toEqual([[date, 1.5, 2, 0.5, 1.25, 10]]);
  }
});

test("Parquet that is packed, or has signs of patterns in its name, is read", async () => {
  using folder = new ImportFolder();
  const select = "SELECT 'AA' symbol, TIMESTAMP '2024-01-02 15:00:00' \"timestamp\", 1.5 price, 2 size";
  const path = await parquet(folder, select);
  const bytes = await Bun.file(path).bytes();
  for (const [name, content] of [
    ["x[1]*.parquet", bytes],
    ["x.parquet.gz", gzipSync(bytes)],
  ] as const) {
    using other = new ImportFolder();
    const { result } = await other.import([other.write(name, content)]);
    expect(result.stoppedBy).toBeNull();
    expect(other.ticks()).toHaveLength(1);
  }
  const cut = folder.write("cut.parquet", bytes.subarray(0, bytes.length - 9));
  expect((await folder.import([cut, "--ticker", "T"])).result.stoppedBy).toContain("cannot read");
});

test("Arrow files and streams are read, their stamps with every digit", async () => {
  const micros = [1704207600123456n, 1704207601000000n];
  const table = new Table({
    symbol: vectorFromArray(["AA", "BB"], new Utf8()),
    timestamp: vectorFromArray([0, 0], new TimestampMicrosecond("UTC")),
    price: vectorFromArray([1.5, 2.25]),
    size: vectorFromArray([9007199254740993n, null]),
  });
  (table.getChild("timestamp")!.data[0]!.values as BigInt64Array).set(micros);
  for (const form of ["file", "stream"] as const) {
    using folder = new ImportFolder();
    const { result, plan } = await folder.importText(tableToIPC(table, form), [], "ticks.arrow");
    expect(result.stoppedBy).toBeNull();
    expect(plan?.files[0]?.format).toBe("Arrow");
    expect(stored(folder)).toEqual(ROWS);
  }
});

test("a member that comes up late goes along, unless it is a column by another name", async () => {
  const line = (i: number, more = ""): string =>
    `{"timestamp":"2024-01-02T15:00:00.${String(i).padStart(6, "0")}Z","price":1,"size":1${more}}`;
  const lines = Array.from({ length: 1_100 }, (_, i) => line(i));
  using folder = new ImportFolder();
  const fine = await folder.importText(`${[...lines, line(1_200, ',"tape":"C"')].join("\n")}\n`);
  expect(fine.result).toMatchObject({ stoppedBy: null, rows: 1_101 });
  const asks = await folder.importText(`${[...lines, line(1_200, ',"qty":5')].join("\n")}\n`);
  expect(asks.result).toMatchObject({ stoppedBy: null });
});

test("JSON that is none is told with its line", async () => {
  using folder = new ImportFolder();
  const { result } = await folder.importText(
    '{"timestamp":"2024-01-02T15:00:00Z","price":1,"size":1}\n{"time\n',
  );
  expect(result.stoppedBy).toContain("file.csv:2");
});
