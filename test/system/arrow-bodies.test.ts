/** Rows that come as an Arrow body are stored and told as the same rows in JSON are. */
import { expect, setDefaultTimeout, test } from "bun:test";
import {
  Bool,
  type DataType,
  Dictionary,
  Field,
  Float64,
  Int32,
  Int64,
  List,
  makeData,
  Null,
  Struct,
  Table,
  TimestampMicrosecond,
  tableToIPC,
  Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import { usePostgres } from "../support/postgres.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { type Backend, DUCKDB, FRONT, postgresBackend, SQLITE } from "../wire/backends.ts";

setDefaultTimeout(180_000);

const BACKENDS: Backend[] = [SQLITE, DUCKDB, postgresBackend(usePostgres()), FRONT];
const START_US = Date.UTC(2024, 0, 2, 15) * 1_000;
const STREAM = "application/vnd.apache.arrow.stream";

type Value = number | bigint | string | boolean | null | Value[] | { [name: string]: Value };
type Columns = Record<string, [type: DataType, values: Value[]]>;

function listOf(type: DataType): List {
  return new List(new Field("item", type, true));
}

/** The library's builder of stamps takes milliseconds. */
function vectorOf(type: DataType, values: Value[]): Vector {
  if (type instanceof Null) return new Vector([makeData({ type, length: 5_000 })]);
  if (!(type instanceof TimestampMicrosecond)) return vectorFromArray(values, type) as Vector;
  const data = BigInt64Array.from(values as bigint[]);
  return new Vector([makeData({ type, length: values.length, nullCount: 0, data })]);
}

function bodyOf(columns: Columns, format: "stream" | "file" = "stream"): Uint8Array<ArrayBuffer> {
  const vectors = Object.fromEntries(
    Object.entries(columns).map(([name, [type, values]]) => [name, vectorOf(type, values)]),
  );
  return new Uint8Array(tableToIPC(new Table(vectors), format));
}

async function send(
  server: RunningServer,
  command: { command: string; params: object } | null,
  body: Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
) {
  const query = command === null ? "" : `?${new URLSearchParams({ command: JSON.stringify(command) })}`;
  const response = await fetch(`${server.url}/db_command${query}`, {
    method: "POST",
    headers: { "content-type": STREAM, ...headers },
    body,
  });
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it as they please.
  return { status: response.status, body: (await response.json()) as any };
}

const micros = (count: number, step = 1_000): bigint[] =>
  Array.from({ length: count }, (_, i) => BigInt(START_US + i * step));
const stampType = new TimestampMicrosecond("UTC");

function saveTicks(ticker: string, type: string, more: object = {}) {
  const params = { ticker, data_type: type, index_col: "timestamp", ...more };
  return { command: "save_realtime_data", params };
}

async function stored(server: RunningServer, ticker: string, type: string): Promise<object[]> {
  const params = { ticker, data_type: type, include_extra: true };
  const { body } = await server.command<{ data: Record<string, unknown>[] }>("get_realtime_data", params);
  return body.data.map(({ write_timestamp: _, ticker: __, ...row }) => row);
}

for (const backend of BACKENDS) {
  test(`ticks as Arrow are those of JSON, for readers and subscribers: ${backend.name}`, async () => {
    await using stack = new AsyncDisposableStack();
    const server = await backend.start({ flags: [], workers: 2 }, stack);
    await using subscriber = Subscriber.ask(server.wsUrl, { symbols: "*" });
    await subscriber.until("it is subscribed", () => subscriber.heartbeats.length > 0);
    const prices = [1.5, null, 0.1, Number.NaN, -2];
    const sizes = [100n, 2n ** 60n + 1n, null, 0n, 7n];
    const columns: Columns = {
      timestamp: [stampType, [0, 0, 1, 2, 3].map((step) => BigInt(START_US + step * 1_001))],
      Price: [new Float64(), prices],
      size: [new Int64(), sizes],
    };
    const asArrow = await send(server, saveTicks("T", "trade"), bodyOf(columns));
    const data = [0, 0, 1, 2, 3].map((step, i) => ({
      timestamp: `2024-01-02T15:00:00.${String(step * 1_001).padStart(6, "0")}Z`,
      Price: Number.isNaN(prices[i]) ? null : prices[i],
      size: sizes[i] === null ? null : `${sizes[i]}`,
    }));
    const json = JSON.stringify({ ...saveTicks("J", "trade", { data }) }).replace(
      /"size":"(\d+)"/g,
      '"size":$1',
    );
    const asJson = await fetch(`${server.url}/db_command`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: json,
    });
    const { epoch: _, ...told } = (await asJson.json()) as { epoch: string };
    expect(asArrow).toMatchObject({
      status: 200,
      body: { ...told, message: "Realtime data (trade) for T saved successfully." },
    });
    const rows = await stored(server, "T", "trade");
    expect(rows).toHaveLength(5);
    expect(rows).toEqual(await stored(server, "J", "trade"));
    const quotes: Columns = {
      timestamp: [new TimestampMicrosecond(), micros(3)],
      price: [new Float64(), [1, 2, null]],
      size: [new Float64(), [1, 2.5, null]],
      ask_price: [new Float64(), [3, 4, 5]],
    };
    expect((await send(server, saveTicks("Q", "quote"), bodyOf(quotes, "file"))).status).toBe(200);
    await subscriber.until("three updates", () => subscriber.updates.length === 3);
    const [ofT, ofJ, ofQ] = ["T", "J", "Q"].map(
      (ticker) => subscriber.updates.find(({ symbol }) => symbol === ticker)!,
    );
    expect({ ...ofT!.data, payload: null }).toEqual({ ...ofJ!.data, payload: null });
    expect(ofT!.data.payload.map((row: object) => Object.values(row))).toEqual(
      ofJ!.data.payload.map((row: object) => Object.values(row)),
    );
    expect(ofQ!.data.payload[1]).toEqual({
      timestamp: "2024-01-02T15:00:00.001000Z",
      bid_price: 2,
      bid_size: 2.5,
      ask_price: 4,
      ask_size: null,
    });
    // The same again, and some of them among new ones: what is there already is found.
    expect((await send(server, saveTicks("T", "trade"), bodyOf(columns))).body).toMatchObject({
      rows: 5,
      stored: 0,
      repeated: 5,
      seq: null,
    });
    const some: Columns = {
      timestamp: [stampType, [BigInt(START_US), BigInt(START_US), BigInt(START_US + 9)]],
      price: [new Float64(), [1.5, 1.5, 3]],
      size: [new Int64(), [100n, 100n, 1n]],
    };
    const again = await send(server, saveTicks("T", "trade"), bodyOf(some));
    expect(again.body).toMatchObject({ stored: 2, repeated: 1, seq: 2 });
    expect(await stored(server, "T", "trade")).toHaveLength(7);
  });

  test(`record batches are saves of their own where that is asked for: ${backend.name}`, async () => {
    await using stack = new AsyncDisposableStack();
    const server = await backend.start({ flags: [], workers: 2 }, stack);
    await using subscriber = Subscriber.ask(server.wsUrl, { symbols: "*" });
    await subscriber.until("it is subscribed", () => subscriber.heartbeats.length > 0);
    const tableOf = (first: number, count: number, more: Columns = {}): Table => {
      const ticks: Columns = {
        timestamp: [stampType, micros(first + count).slice(first)],
        price: [new Float64(), Array.from({ length: count }, (_, i) => first + i)],
        size: [new Int64(), Array.from({ length: count }, () => 1n)],
        ...more,
      };
      return new Table(
        Object.fromEntries(
          Object.entries(ticks).map(([name, [type, values]]) => [name, vectorOf(type, values)]),
        ),
      );
    };
    const bodyOfParts = (...tables: Table[]): Uint8Array<ArrayBuffer> =>
      new Uint8Array(tableToIPC(tables[0]!.concat(...tables.slice(1)), "stream"));
    const body = bodyOfParts(tableOf(0, 3_000), tableOf(3_000, 2), tableOf(3_002, 2_500));
    const saved = await send(server, saveTicks("T", "trade", { parts: true }), body);
    const counts = { replaced: 0, repeated: 0, skipped: 0 };
    expect(saved.body).toMatchObject({
      ...{ rows: 5_502, stored: 5_502, ...counts, seq: 3 },
      parts: [3_000, 2, 2_500].map((rows, i) => ({ rows, stored: rows, ...counts, seq: i + 1 })),
    });
    await subscriber.until("three updates", () => subscriber.updates.length === 3);
    expect(subscriber.updates.map(({ data }) => data.payload.length)).toEqual([3_000, 2, 2_500]);
    const updates = await server.command("get_updates", { ticker: "T", since: 0 });
    expect(updates.body).toMatchObject({ recovered: true, seq: 3 });
    expect((await stored(server, "T", "trade")).length).toBe(5_502);
    // Older rows, some of which are there, and rows that aren't plain.
    const again = await send(
      server,
      saveTicks("T", "trade", { parts: true }),
      bodyOfParts(tableOf(5_000, 1_000), tableOf(5_990, 20)),
    );
    expect(again.body.parts).toMatchObject([
      { rows: 1_000, stored: 498, repeated: 502 },
      { rows: 20, stored: 10, repeated: 10 },
    ]);
    const ids: Columns = { id: [new Utf8(), ["a", "b"]] };
    const named = bodyOfParts(tableOf(7_000, 2, ids), tableOf(7_000, 2, ids));
    expect((await send(server, saveTicks("I", "trade", { parts: true }), named)).body).toMatchObject({
      ...{ stored: 2, repeated: 2 },
      parts: [{ stored: 2 }, { repeated: 2 }],
    });
    const refused = await send(
      server,
      saveTicks("T", "trade", { parts: true, on_duplicate: "error" }),
      bodyOfParts(tableOf(8_000, 2), tableOf(8_000, 3)),
    );
    expect([refused.status, refused.body.error]).toEqual([409, expect.stringMatching(/^part 2 of 2: /)]);
    expect(refused.body.details).toContain("of the others, 1 are stored");
  });

  test(`what isn't plain is read as records: ${backend.name}`, async () => {
    await using stack = new AsyncDisposableStack();
    const server = await backend.start({ flags: [], workers: 1 }, stack);
    const columns: Columns = {
      t: [new Int64(), micros(3).map((at) => at / 1_000n)],
      price: [new Float64(), [1, 2, 3]],
      size: [new Int32(), [1, 2, 3]],
      id: [new Int64(), [1n, 2n ** 62n + 1n, 3n]],
      exchange: [new Dictionary(new Utf8(), new Int32()), ["Q", "N", "Q"]],
      odd: [new Bool(), [true, null, false]],
    };
    const command = saveTicks("T", "trade", { index_col: "t" });
    expect((await send(server, command, bodyOf(columns))).body).toMatchObject({ stored: 3 });
    expect(await stored(server, "T", "trade")).toMatchObject([
      { size: 1, id: "1", extra: { exchange: "Q", odd: true } },
      { size: 2, id: "4611686018427387905", extra: { exchange: "N" } },
      { timestamp: "2024-01-02T15:00:00.002000Z", id: "3", extra: { exchange: "Q", odd: false } },
    ]);
    const bars: Columns = {
      date: [new Utf8(), ["2024-01-02", "2024-01-03"]],
      Close: [new Float64(), [10, 11]],
      Volume: [new Int64(), [5n, 6n]],
    };
    const saveBars = { command: "save_stock_data", params: { ticker: "B", index_col: "date" } };
    expect((await send(server, saveBars, bodyOf(bars))).body).toMatchObject({ rows: 2, stored: 2 });
    // With an identity, a repeated request is known as one.
    const key = { "idempotency-key": "k1" };
    const plain = bodyOf({
      timestamp: [stampType, micros(2)],
      price: [new Float64(), [1, 1]],
      size: [new Int64(), [1n, 1n]],
    });
    expect((await send(server, saveTicks("K", "trade"), plain, key)).body).toMatchObject({ stored: 2 });
    expect((await send(server, saveTicks("K", "trade"), plain, key)).body).toMatchObject({
      stored: 2,
      repeated: true,
    });
    expect(
      (await send(server, saveTicks("K", "trade"), plain, { "idempotency-key": "k2" })).body,
    ).toMatchObject({
      stored: 2,
    });
    expect(await stored(server, "K", "trade")).toHaveLength(4);
  });

  test(`rows that are left out are counted, and lists are those of JSON: ${backend.name}`, async () => {
    await using stack = new AsyncDisposableStack();
    const server = await backend.start({ flags: [], workers: 1 }, stack);
    const body = bodyOf({
      t: [new Utf8(), [null, "2024-01-02T15:00:00Z", "2024-01-02T15:00:01Z"]],
      price: [new Float64(), [1, 2, 3]],
      size: [new Int64(), [1n, 2n, 3n]],
      conditions: [listOf(new Int64()), [null, [12n, 2n ** 60n + 1n, null], []]],
      flags: [listOf(new Utf8()), [null, ["@", "T"], null]],
      venue: [
        new Struct([new Field("code", new Int64()), new Field("name", new Utf8())]),
        [null, { code: 4n, name: "N" }, null],
      ],
    });
    const command = saveTicks("T", "trade", { index_col: "t" });
    expect((await send(server, command, body)).body).toMatchObject({ rows: 3, stored: 2, skipped: 1 });
    expect(await stored(server, "T", "trade")).toMatchObject([
      {
        extra: {
          conditions: [12, 2 ** 60 + 1, null],
          flags: ["@", "T"],
          venue: { code: 4, name: "N" },
        },
      },
      { extra: { conditions: [] } },
    ]);
    const saveBars = { command: "save_stock_data", params: { ticker: "B", index_col: "date" } };
    const bars = bodyOf({
      date: [new Utf8(), [null, "2024-01-02", "2024-01-02"]],
      close: [new Float64(), [10, 11, 12]],
    });
    expect((await send(server, saveBars, bars)).body).toMatchObject({
      ...{ rows: 3, stored: 1, replaced: 1, skipped: 1 },
    });
  });

  test(`a body within --max-body-mb is taken, however long it were as JSON: ${backend.name}`, async () => {
    await using stack = new AsyncDisposableStack();
    const server = await backend.start({ flags: ["--max-body-mb", "1"], workers: 1 }, stack);
    const count = 30_000;
    const body = bodyOf({
      timestamp: [stampType, micros(count)],
      price: [new Float64(), Array.from({ length: count }, (_, i) => 100 + i / 7)],
      size: [new Int64(), new Array<bigint>(count).fill(1n)],
    });
    expect((await send(server, saveTicks("T", "trade"), body)).body).toMatchObject({ stored: count });
  });
}

test("parts that aren't record batches are refused", async () => {
  await using server = await startServer();
  const ticks: Columns = {
    timestamp: [stampType, micros(2)],
    price: [new Float64(), [1, 2]],
    size: [new Int64(), [1n, 1n]],
  };
  for (const [more, error] of [
    [{ parts: 1 }, "parts: got 1, expected true or false"],
    [{ parts: true, save_id: "x" }, "parts: expected no save_id and no Idempotency-Key"],
  ] as const) {
    const { status, body } = await send(server, saveTicks("T", "trade", more), bodyOf(ticks));
    expect([status, body.error]).toEqual([400, expect.stringContaining(error)]);
  }
  const data = [{ timestamp: "2024-01-02T15:00:00Z", price: 1, size: 1 }];
  const { status, body } = await server.command<{ error: string }>(
    "save_realtime_data",
    saveTicks("T", "trade", { data, parts: true }).params,
  );
  expect([status, body.error]).toEqual([400, expect.stringContaining("parts: expected an Arrow body")]);
  expect(await stored(server, "T", "trade")).toEqual([]);
});

test("a body that can't be taken says why, and nothing is stored", async () => {
  await using server = await startServer();
  const plain = bodyOf({
    timestamp: [stampType, micros(2)],
    price: [new Float64(), [1, 1]],
    size: [new Int64(), [1n, 1n]],
  });
  const refused = async (
    ...args: Parameters<typeof send> extends [unknown, ...infer Rest] ? Rest : never
  ) => {
    const { status, body } = await send(server, ...args);
    return [status, body.error];
  };
  expect(await refused(null, plain)).toEqual([400, expect.stringContaining("expected it in the URL")]);
  expect(await refused(saveTicks("T", "trade", { data: [] }), plain)).toEqual([
    400,
    "data: got it twice, in the URL and as the body",
  ]);
  expect(await refused({ command: "get_tickers", params: {} }, plain)).toEqual([
    415,
    "Content-Type: get_tickers takes no Arrow body, expected application/json",
  ]);
  expect(await refused(saveTicks("T", "trade"), new TextEncoder().encode("timestamp,price"))).toEqual([
    400,
    expect.stringContaining("data: the body is no Arrow stream that can be read"),
  ]);
  expect(await refused(saveTicks("T", "heartbeat"), plain)).toEqual([
    400,
    expect.stringContaining('data_type: got "heartbeat"'),
  ]);
  expect(await refused(saveTicks("", "trade"), plain)).toEqual([400, expect.any(String)]);
  const twice = bodyOf({
    timestamp: [stampType, micros(1)],
    price: [new Float64(), [1]],
    PRICE: [new Float64(), [2]],
    size: [new Int64(), [1n]],
  });
  expect(await refused(saveTicks("T", "trade"), twice)).toEqual([
    400,
    'data: got two columns "PRICE", expected one: case makes no difference',
  ]);
  // Columns without a value take no bytes, however many rows they claim.
  const nothing = Object.fromEntries(
    Array.from({ length: 200 }, (_, i): [string, [DataType, Value[]]] => [`n${i}`, [new Null(), []]]),
  );
  const empty = bodyOf({ timestamp: [stampType, micros(5_000)], ...nothing });
  expect(await refused(saveTicks("T", "trade"), empty)).toEqual([
    400,
    expect.stringMatching(/^data: got 5000 rows of 201 columns in \d+ bytes/),
  ]);
  const late = bodyOf({
    timestamp: [stampType, [BigInt(Date.UTC(2300, 0, 1)) * 1_000n]],
    price: [new Float64(), [1]],
    size: [new Int64(), [1n]],
  });
  expect(await refused(saveTicks("T", "trade"), late)).toEqual([
    400,
    expect.stringContaining("a date from 1677-09-22 to 2262-04-11"),
  ]);
  // Cut off, or with other bytes anywhere, it is refused or another table; the server lives on.
  for (let at = 0; at < plain.length; at += 11) {
    const cut = await send(server, saveTicks("CUT", "trade"), plain.slice(0, at));
    expect(cut.status).toBe(400);
    const spoilt = plain.slice();
    spoilt[at] = spoilt[at]! ^ 0xff;
    const { status } = await send(server, saveTicks("SPOILT", "trade"), spoilt);
    expect([200, 400]).toContain(status);
  }
  const { body } = await server.command<{ data: unknown[] }>("get_realtime_data", {
    ticker: "T",
    data_type: "trade",
  });
  expect(body.data ?? []).toEqual([]);
  expect((await send(server, saveTicks("T", "trade"), plain)).body).toMatchObject({ stored: 2 });
});
