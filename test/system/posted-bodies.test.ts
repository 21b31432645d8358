/** Bodies of a POST to /v1: their forms, their parameters, their faults and their bounds. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { gzipSync } from "node:zlib";
import {
  Binary,
  DateDay,
  Dictionary,
  Float64,
  Int32,
  makeData,
  Table,
  TimestampMicrosecond,
  TimestampNanosecond,
  tableToIPC,
  Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import { parquetWriteBuffer } from "hyparquet-writer";
import { getText, post, postCsv } from "../support/posted-rows.ts";
import { get, type Json } from "../support/requests.ts";
import { type RunningServer, startServer } from "../support/server.ts";

setDefaultTimeout(120_000);

const ARROW = "application/vnd.apache.arrow.stream";
const PARQUET = "application/vnd.apache.parquet";
let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ flags: ["--max-body-mb", "1"] });
});
afterAll(() => server[Symbol.asyncDispose]());

const csvOf = (path: string): Promise<string> => getText(server, `${path}&format=csv`);
const stampsOf = (values: bigint[], type: TimestampMicrosecond | TimestampNanosecond) =>
  new Vector([makeData({ type, length: values.length, data: BigInt64Array.from(values) })]);

test("each fault names row, column and value", async () => {
  const at = "2024-01-02T10:00:00Z";
  const faults: [path: string, body: unknown, error: string][] = [
    ["/v1/trades", [{ t: at, p: 1 }], "row 1 has no symbol, expected a column symbol, or symbol= in the URL"],
    ["/v1/trades", [{ S: "A", t: "x", p: 1 }], 'row 1.t: cannot read "x" as a timestamp'],
    [
      "/v1/trades",
      [
        { S: "A", t: at, p: 1 },
        { S: "A", p: 1 },
      ],
      "row 2.t: got undefined, expected a stamp",
    ],
    ["/v1/trades", [{ S: "A", t: at, p: [1] }], "row 1.p: got [1], expected a number or null"],
    [
      "/v1/trades",
      [{ S: "A", t: at, p: 1, s: "1e30" }],
      'row 1.s: got "1e30", expected a number within 64 bits',
    ],
    ["/v1/trades", [{ S: "A", t: at, p: 1, i: { a: 1 } }], 'row 1.i: got {"a":1}, expected an id'],
    ["/v1/trades", [{ S: "A", t: at, p: 1, extra: 5 }], "row 1.extra: got 5, expected a JSON object"],
    ["/v1/trades", [{ S: "A", t: at, p: 1, seq: -1 }], "row 1.seq: got -1, expected a whole number from 0"],
    ["/v1/trades", [{ S: "A", t: at, p: 1, type: "quote" }], 'row 1.type: got "quote", expected "trade"'],
    ["/v1/trades", [{ S: "A", t: at }], 'the rows of trades have no prices, expected price; got "S", "t"'],
    ["/v1/trades", [{ S: "A", p: 1 }], "the rows have no column timestamp"],
    [
      "/v1/trades",
      [{ S: "A", t: at, p: 1, price: 2 }],
      'got the columns "p" and "price", expected one of them',
    ],
    ["/v1/trades", [5], "body: row 1: got 5, expected an object"],
    ["/v1/trades", { trades: { A: 5 } }, 'body: trades."A": got 5, expected a list of rows'],
    [
      "/v1/trades",
      { trades: { A: [{ t: at, p: 1, S: "B" }] } },
      'row 1.S: got "B", expected "A", under which',
    ],
    ["/v1/trades", { quotes: { A: [] } }, "body: got quotes, expected trades, as the path says"],
    ["/v1/trades", { trades: [], limit: 5 }, 'body: got "limit" beside trades'],
    ["/v1/trades", { columns: { t: [at], p: [1, 2] } }, "body: columns.p: got 2 values, expected 1 as in t"],
    [
      "/v1/trades?symbl=A",
      [{ t: at, p: 1 }],
      '"symbl" is no parameter of a write to /v1/trades; did you mean symbol?',
    ],
    ["/v1/trades?tz=Mars", [{ t: at, p: 1 }], 'tz: got "Mars", expected an IANA time zone'],
    ["/v1/trades?on_duplicate=merge", [{ t: at, p: 1 }], 'on_duplicate: got "merge", expected "ignore" or'],
    ["/v1/bars", [{ S: "A", t: at, c: 1 }], "timeframe: it is missing, expected a length of bars"],
    [
      "/v1/bars?timeframe=1Month",
      [{ S: "A", t: at, c: 1 }],
      'timeframe: got "1Month", expected a length of up to weeks',
    ],
    [
      "/v1/bars?timeframe=1Day",
      [{ S: "A", t: "2024-01-02T15:00:00Z", c: 1 }],
      "row 1.t: 2024-01-02T15:00:00Z is another day east of UTC: tz says",
    ],
    [
      "/v1/bars?timeframe=5Min",
      [{ S: "A", t: at, c: 1, interval: "1min" }],
      'row 1.interval: got "1min", expected "5min"',
    ],
    [
      "/v1/trades?strict=true",
      [{ S: "A", t: at, p: 1, foo: 1 }],
      'no columns of the table, kept as members of extra: "foo"',
    ],
    [
      "/v1/trades",
      [{ S: "A", t: at, p: 1, x: "V", extra: { x: "N" } }],
      'row 1.x: got "V", and "N" as "x" in "extra"',
    ],
  ];
  for (const [path, sent, error] of faults) {
    const { status, body } = await post(server, path, sent);
    expect({ path, status, error: body.error }).toEqual({
      path,
      status: 400,
      error: expect.stringContaining(error),
    });
  }
  const lines = await post(server, "/v1/trades", '{"S":"A","t":"2024-01-02","p":1}\n\n{"S":', {
    "Content-Type": "application/x-ndjson",
  });
  expect(lines.body.error).toStartWith('body: row 2 (line 3): got {"S":, expected a JSON object');
  for (const [text, error] of [
    ["", "got no line"],
    ["a;b\n", 'got the line of names "a;b", expected commas'],
    ["a,a\n", 'got two columns "a"'],
    ['t,p\n"x,1\n', "row 1 (line 2): a quote is never closed"],
    ['t,p\n"x"y,1\n', "expected a comma or the end of the line after a closing quote"],
  ])
    expect((await post(server, "/v1/trades", text, { "Content-Type": "text/csv" })).body.error).toContain(
      error,
    );
  expect(await csvOf("/v1/trades?symbols=*")).not.toContain("A,");
});

test("quoted fields, line ends and empty lines of CSV", async () => {
  const text =
    '\ufeff"symbol",timestamp,price,id,note\r\n"C,""1",2024-01-02T10:00:00Z,1,"a\nb",""\r\n\r\n"C,""1",2024-01-02T10:00:01Z,,,x';
  const { body } = await post(server, "/v1/trades", text, { "Content-Type": "text/csv; charset=utf-8" });
  expect(body).toMatchObject({ rows: 2, stored: 2 });
  const found = await get(`${server.url}/v1/trades?symbol=C,%221&columns=price,id,extra`);
  expect(found.body.trades['C,"1']).toEqual([
    { t: "2024-01-02T10:00:00.000000Z", p: 1, i: "a\nb", extra: { note: "" } },
    { t: "2024-01-02T10:00:01.000000Z", p: null, extra: { note: "x" } },
  ]);
});

test("tz is the zone of stamps that say none; without it they are UTC, which is said", async () => {
  const lines = ["timestamp,price", "2024-01-02 09:30:00.5,1", "2024-01-02T09:30:00+02:00,2", "1704189600,3"];
  const zoned = await postCsv(server, "/v1/trades?symbol=Z1&tz=America/New_York", lines);
  expect(zoned.body).toMatchObject({ stored: 3 });
  expect(zoned.body.warnings).toBeUndefined();
  expect((await csvOf("/v1/trades?symbols=Z1")).match(/T\S+Z/g)).toEqual([
    "T07:30:00.000000Z",
    "T10:00:00.000000Z",
    "T14:30:00.500000Z",
  ]);
  const assumed = await postCsv(server, "/v1/trades?symbol=Z2", lines);
  expect(assumed.body.warnings).toEqual([
    "timestamps without a zone were read as UTC; tz= names another zone",
  ]);
  const gap = await postCsv(server, "/v1/trades?symbol=Z3&tz=America/New_York", [
    "timestamp,price",
    "2024-03-10 02:30:00,1",
  ]);
  expect(gap.body.error).toContain(
    "row 1 (line 2).timestamp: 2024-03-10 02:30:00 was left out in America/New_York",
  );
  const days = ["timestamp,close", "2024-01-02T15:00:00Z,1"];
  expect((await postCsv(server, "/v1/bars?timeframe=1Day&symbol=Z4&tz=Asia/Tokyo", days)).status).toBe(200);
  expect(await csvOf("/v1/bars?timeframe=1Day&symbols=Z4")).toContain("Z4,2024-01-03T00:00:00Z");
});

test("Arrow as pandas and others write it: nanoseconds, wall clocks, dates, dictionaries, narrow numbers", async () => {
  const nanos = [1_704_189_600_123_456_789n, -1_000_000_001n];
  const table = new Table({
    symbol: vectorFromArray(["AR", "AR"], new Dictionary(new Utf8(), new Int32())),
    timestamp: stampsOf(nanos, new TimestampNanosecond("UTC")),
    price: vectorFromArray([1, 2], new Int32()),
    size: vectorFromArray([null, 2.5], new Float64()),
  });
  const headers = { "Content-Type": ARROW };
  expect((await post(server, "/v1/trades", tableToIPC(table, "stream"), headers)).body).toMatchObject({
    stored: 2,
  });
  expect(await csvOf("/v1/trades?symbols=AR&columns=price,size")).toBe(
    "symbol,timestamp,price,size\r\nAR,1969-12-31T23:59:58.999999Z,2,2.5\r\nAR,2024-01-02T10:00:00.123456Z,1,\r\n",
  );
  const wall = new Table({
    timestamp: stampsOf([1_704_189_600_000_000n], new TimestampMicrosecond(null)),
    close: vectorFromArray([1], new Float64()),
  });
  const hourly = "/v1/bars?timeframe=1Hour&symbol=AW";
  const posted = await post(server, `${hourly}&tz=America/New_York`, tableToIPC(wall, "file"), headers);
  expect(posted.body).toMatchObject({ stored: 1 });
  expect(await csvOf("/v1/bars?timeframe=1Hour&symbols=AW")).toContain("AW,2024-01-02T15:00:00Z");
  const days = new Table({
    timestamp: vectorFromArray([new Date("2024-01-02"), new Date("2024-01-03")], new DateDay()),
    close: vectorFromArray([1, 2], new Float64()),
  });
  await post(server, "/v1/bars?timeframe=1Day&symbol=AD", tableToIPC(days, "stream"), headers);
  expect((await csvOf("/v1/bars?timeframe=1Day&symbols=AD")).match(/AD,\S{10}/g)).toEqual([
    "AD,2024-01-02",
    "AD,2024-01-03",
  ]);
  const tokyo = new Table({
    timestamp: stampsOf([1_704_207_600_000_000n], new TimestampMicrosecond("Asia/Tokyo")),
    close: vectorFromArray([1], new Float64()),
  });
  await post(server, "/v1/bars?timeframe=1Day&symbol=AT", tableToIPC(tokyo, "stream"), headers);
  expect(await csvOf("/v1/bars?timeframe=1Day&symbols=AT")).toContain("AT,2024-01-03");
});

test("Arrow: a missing number may be NaN; infinite ones, binary values and other bytes are refused", async () => {
  const timestamp = stampsOf(
    [1_704_189_600_000_000n, 1_704_189_600_000_001n],
    new TimestampMicrosecond("UTC"),
  );
  const plain = { symbol: vectorFromArray(["IN", "IN"]), timestamp };
  const doubles = (values: number[]) => vectorFromArray(values, new Float64());
  const refused: [columns: Record<string, Vector>, error: string][] = [
    [{ ...plain, price: doubles([1, Number.POSITIVE_INFINITY]) }, "row 2.price: got Infinity"],
    [
      { ...plain, price: doubles([1, 2]), size: doubles([Number.NEGATIVE_INFINITY, 1]) },
      "row 1.size: got -Infin",
    ],
    [
      { ...plain, id: vectorFromArray([Uint8Array.of(120), Uint8Array.of(255)], new Binary()) },
      "binary values",
    ],
  ];
  const headers = { "Content-Type": ARROW };
  for (const [columns, error] of refused) {
    const { status, body } = await post(
      server,
      "/v1/trades",
      tableToIPC(new Table(columns), "stream"),
      headers,
    );
    expect({ status, error: body.error }).toEqual({ status: 400, error: expect.stringContaining(error) });
  }
  const none = await post(server, "/v1/trades", Buffer.from("x"), headers);
  expect(none).toMatchObject({ status: 400, body: { error: expect.stringContaining("no Arrow stream") } });
  expect(await csvOf("/v1/trades?symbols=IN")).not.toContain("IN,");
  const nan = new Table({ ...plain, price: doubles([Number.NaN, 2]) });
  expect((await post(server, "/v1/trades", tableToIPC(nan, "stream"), headers)).body.stored).toBe(2);
  expect(await csvOf("/v1/trades?symbols=IN&columns=price")).toContain("IN,2024-01-02T10:00:00.000000Z,\r\n");
});

test("Parquet of other writers: Snappy, decimals, days, lists", async () => {
  const file = parquetWriteBuffer({
    codec: "SNAPPY",
    schema: [
      { name: "root", num_children: 4 },
      { name: "timestamp", type: "INT64", converted_type: "TIMESTAMP_MILLIS", repetition_type: "REQUIRED" },
      {
        name: "price",
        type: "INT32",
        converted_type: "DECIMAL",
        scale: 2,
        precision: 9,
        repetition_type: "OPTIONAL",
      },
      { name: "size", type: "INT32", repetition_type: "OPTIONAL" },
      { name: "exchange", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
    ],
    columnData: [
      { name: "timestamp", data: [1_704_189_600_123n, 1_704_189_600_124n] },
      { name: "price", data: [1.1, null] },
      { name: "size", data: [5, null] },
      { name: "exchange", data: ["V", null] },
    ],
  } as never);
  const headers = { "Content-Type": PARQUET };
  const posted = await post(server, "/v1/trades?symbol=PQ", new Uint8Array(file), headers);
  expect(posted).toMatchObject({ status: 200, body: { stored: 2 } });
  expect(await csvOf("/v1/trades?symbols=PQ&columns=price,size,exchange")).toBe(
    "symbol,timestamp,price,size,exchange\r\nPQ,2024-01-02T10:00:00.123000Z,1.1,5,V\r\nPQ,2024-01-02T10:00:00.124000Z,,,\r\n",
  );
});

test("bytes that are cut off or claim too much are refused", async () => {
  const good = new Uint8Array(
    await (await fetch(`${server.url}/v1/trades?symbols=*&format=parquet`)).arrayBuffer(),
  );
  const stream = tableToIPC(
    new Table({ symbol: vectorFromArray(["Q", "Q"]), price: vectorFromArray([1, 2], new Float64()) }),
    "stream",
  );
  const bodies: [type: string, bytes: Uint8Array][] = [
    [PARQUET, good.subarray(0, good.length - 9)],
    [PARQUET, good.subarray(20)],
    [PARQUET, new Uint8Array(0)],
    [ARROW, stream.subarray(0, stream.length - 8)],
    [ARROW, stream.subarray(0, 40)],
    [ARROW, new Uint8Array(0)],
  ];
  for (const at of [10, 60, 200, good.length - 120, good.length - 40]) {
    const wrong = good.slice();
    wrong.fill(0xff, at, at + 8);
    bodies.push([PARQUET, wrong]);
  }
  for (const [type, bytes] of bodies) {
    const { status, body } = await post(server, "/v1/trades", bytes, { "Content-Type": type });
    expect({ type, status, body }).toMatchObject({ status: 400, body: { error: expect.any(String) } });
  }
  const zeros = { name: "price", data: new Array(300_000).fill(1.5) };
  const stamps = { name: "timestamp", data: zeros.data.map((_, n) => BigInt(n)), type: "INT64" };
  const large = parquetWriteBuffer({
    columnData: [stamps, { ...zeros, type: "DOUBLE" }] as never,
    codec: "GZIP",
    compressors: { GZIP: (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes)) },
  });
  expect(large.byteLength).toBeLessThan(1024 * 1024);
  const answer = await post(server, "/v1/trades", new Uint8Array(large), { "Content-Type": PARQUET });
  expect(answer.body.error).toContain("take more than 1048576 bytes once they are unpacked");
  expect((await get(`${server.url}/health`)).status).toBe(200);
});

test("packed bodies, within the bound of the unpacked ones", async () => {
  const text = "symbol,timestamp,price\nPK,2024-01-02T10:00:00Z,1\n";
  for (const [coding, bytes] of [
    ["gzip", gzipSync(text)],
    ["zstd", Bun.zstdCompressSync(Buffer.from(text))],
  ] as const) {
    const answer = await post(server, "/v1/trades", new Uint8Array(bytes), {
      ...{ "Content-Type": "text/csv", "Content-Encoding": coding },
    });
    expect({ coding, ...answer }).toMatchObject({ status: 200, body: { rows: 1 } });
    const bomb = "symbol,timestamp,price\n".padEnd(2_000_000, "\n");
    const packed = coding === "gzip" ? gzipSync(bomb) : Bun.zstdCompressSync(Buffer.from(bomb));
    const refused = await post(server, "/v1/trades", new Uint8Array(packed), {
      ...{ "Content-Type": "text/csv", "Content-Encoding": coding },
    });
    expect({ coding, status: refused.status }).toEqual({ coding, status: 413 });
  }
  const cut = Bun.zstdCompressSync(Buffer.from(text)).subarray(0, 20);
  const headers = { "Content-Type": "text/csv", "Content-Encoding": "zstd" };
  expect((await post(server, "/v1/trades", new Uint8Array(cut), headers)).status).toBe(400);
  expect((await post(server, "/v1/trades", text, { ...headers, "Content-Encoding": "br" })).status).toBe(415);
  const typed = await post(server, "/v1/trades", text, { "Content-Type": "text/plain" });
  expect(typed).toMatchObject({ status: 415, body: { error: expect.stringContaining("text/csv") } });
});

test("a JSON object without rows asks a question still", async () => {
  await post(server, "/v1/trades", [{ S: "JQ", t: "2024-01-02T10:00:00Z", p: 1 }]);
  const asked = await post(server, "/v1/trades", { symbols: ["JQ"], columns: ["price"] });
  expect(asked.body.trades.JQ).toEqual([{ t: "2024-01-02T10:00:00.000000Z", p: 1 }]);
  expect((await post(server, "/v1/trades", { symbols: "JQ", strict: true })).status).toBe(400);
  const empty = await post(server, "/v1/trades", { trades: {}, next_page_token: null });
  expect(empty).toMatchObject({ status: 200, body: { rows: 0, stored: 0, parts: [] } });
});

test("every example of the description is stored", async () => {
  await using fresh = await startServer();
  const { paths } = (await get(`${fresh.url}/openapi.json`)).body;
  for (const path of ["/v1/bars", "/v1/trades", "/v1/quotes"]) {
    const { parameters, requestBody } = paths[path].post;
    const query = new URLSearchParams();
    for (const { name, example } of parameters) if (example !== undefined) query.set(name, String(example));
    const bodies: [string, unknown][] = Object.entries<Json>(requestBody.content).flatMap(
      ([type, content]) => [
        ...Object.values<Json>(content.examples ?? {}).map(({ value }): [string, unknown] => [type, value]),
        ...(content.example === undefined ? [] : [[type, content.example] as [string, unknown]]),
      ],
    );
    expect(bodies).toHaveLength(5);
    for (const [index, [type, sent]] of bodies.entries()) {
      const { status, body } = await post(fresh, `${path}?${query}`, sent, { "Content-Type": type });
      expect({ path, type, status, rows: body.rows }).toEqual({ path, type, status: 200, rows: 2 });
      expect(body.warnings).toBeUndefined();
      if (index === 0) expect(body.stored).toBe(2);
    }
  }
});

test("a server that only reads refuses rows", async () => {
  await using reading = await startServer({ flags: ["--read-only"] });
  const row = { S: "A", t: "2024-01-02T10:00:00Z", p: 1 };
  const refused = await post(reading, "/v1/trades", [row, { ...row, S: "B" }]);
  expect(refused).toMatchObject({ status: 403, body: { error: expect.stringContaining("--read-only") } });
  expect((await post(reading, "/v1/trades", [row])).status).toBe(403);
});
