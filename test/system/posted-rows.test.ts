/** POST of rows to /v1: what is stored together, what is told, and what is refused. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { getText, post, postCsv } from "../support/posted-rows.ts";
import { usePostgres } from "../support/postgres.ts";
import { get, type Json } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";
import { startTiers } from "../support/tiers.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();
const ENGINES: Record<string, (dir: string) => Promise<string>> = {
  SQLite: async (dir) => join(dir, "test.db"),
  DuckDB: async (dir) => join(dir, "test.duckdb"),
  PostgreSQL: () => postgres.freshSchema(),
};

const csvOf = (server: RunningServer, path: string): Promise<string> => getText(server, `${path}&format=csv`);
const micros = (n: number): string => `2024-01-02T15:00:00.${String(n).padStart(6, "0")}Z`;
const rowsOf = async (server: RunningServer, path: string): Promise<number> =>
  (await csvOf(server, path)).trim().split("\r\n").length - 1;

for (const [engine, place] of Object.entries(ENGINES))
  describe(engine, () => {
    const dir = tempDir();
    let server: RunningServer;
    beforeAll(async () => {
      server = await startServer({ dbFile: await place(dir.path), flags: ["--max-body-mb", "16"] });
    });
    afterAll(async () => {
      await server[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    });

    test("several tickers of a body are stored together, and their subscribers hear of it", async () => {
      await using one = await Subscriber.open(server.wsUrl, "T1");
      await using other = await Subscriber.open(server.wsUrl, "T2");
      const { status, body } = await postCsv(server, "/v1/trades", [
        "symbol,timestamp,price,size,id,exchange",
        `T1,${micros(1)},1.5,10,a,V`,
        `T2,${micros(1)},2.5,20,,`,
        `T1,${micros(2)},1.6,9007199254740993,b,`,
      ]);
      expect({ status, body }).toEqual({
        status: 200,
        body: {
          ...{ rows: 3, stored: 3, replaced: 0, repeated: 0, skipped: 0, epoch: body.epoch },
          positions: { T1: 1, T2: 1 },
          parts: [
            {
              ...{ rows: [1, 3], symbols: ["T1", "T2"] },
              ...{ stored: 3, replaced: 0, repeated: 0, skipped: 0, positions: { T1: 1, T2: 1 } },
            },
          ],
        },
      });
      await waitUntil("both have heard", () => one.updates.length === 1 && other.updates.length === 1);
      expect(one.updates[0]!.data).toEqual({
        ...{ type: "trade", timestamp: micros(1), event_type: "trade_update" },
        payload: [
          { timestamp: micros(1), price: 1.5, size: 10, id: "a", exchange: "V" },
          { timestamp: micros(2), price: 1.6, size: Number(9007199254740993n), id: "b" },
        ],
      });
      expect(other.updates[0]!.data.payload).toEqual([{ timestamp: micros(1), price: 2.5, size: 20 }]);
    });

    test("quotes and bars are told in the names of their commands", async () => {
      await using quotes = await Subscriber.open(server.wsUrl, "N1");
      const quote = { S: "N1", t: micros(1), bp: 1, bs: 2, ap: 3, as: null, c: ["R"] };
      expect((await post(server, "/v1/quotes", [quote])).body.stored).toBe(1);
      const bar = { t: "2024-01-02T10:00:00Z", o: 1, h: 2, l: 0.5, c: 1.5, v: 7, foo: { a: 1 } };
      const posted = await post(server, "/v1/bars?timeframe=5Min", { bars: { N1: [bar] } });
      expect(posted.body.warnings).toEqual(['no columns of the table, kept as members of extra: "foo"']);
      const day = { timestamp: "2024-01-03", close: 2 };
      await post(server, "/v1/bars?timeframe=1Day&symbol=N1", { data: [day] });
      await waitUntil("all are told", () => quotes.updates.length === 3);
      const [ofQuote, ofBar, ofDay] = quotes.updates as Json[];
      expect(ofQuote.data.payload).toEqual([
        { timestamp: micros(1), bid_price: 1, bid_size: 2, ask_price: 3, ask_size: null },
      ]);
      expect(ofBar).toMatchObject({
        interval: "5min",
        data: [{ open: 1, high: 2, low: 0.5, close: 1.5, volume: 7, foo: { a: 1 } }],
      });
      expect(ofDay.data).toEqual([{ date: "2024-01-03", close: 2 }]);
    });

    test("nothing is stored where one row is wrong or refused", async () => {
      const bad = await postCsv(server, "/v1/trades", [
        "symbol,timestamp,price",
        `W1,${micros(1)},1`,
        `W2,${micros(1)},1,5`,
      ]);
      expect(bad).toEqual({
        status: 400,
        body: { error: "body: row 2 (line 3): got 4 fields, expected 3 as in the line of names" },
      });
      const bars = ["symbol,timestamp,close", "W1,2024-01-02,1", "W2,2024-01-02,2", "W3,2024-01-02,3"];
      await postCsv(server, "/v1/bars?timeframe=1Day", [bars[0]!, bars[2]!]);
      const taken = await postCsv(server, "/v1/bars?timeframe=1Day&on_duplicate=error", bars);
      expect(taken).toMatchObject({
        status: 409,
        body: { error: expect.stringContaining("W2"), details: expect.stringContaining("2024-01-02") },
      });
      const stored = await csvOf(server, "/v1/bars?timeframe=1Day&symbols=W1,W2,W3");
      expect(stored.match(/^W\d/gm)).toEqual(["W2"]);
      expect(await csvOf(server, "/v1/trades?symbols=W1,W2")).not.toMatch(/^W\d/m);
    });

    test("a repetition of a request is answered as the first time; the key of another is refused", async () => {
      const send = (lines: string[], key: string) =>
        postCsv(server, "/v1/trades", ["symbol,timestamp,price", ...lines], { "Idempotency-Key": key });
      const lines = [`I1,${micros(1)},1`, `I2,${micros(1)},1`, `I1,${micros(1)},1`];
      const first = await send(lines, "one");
      expect(first.body).toMatchObject({ stored: 3, positions: { I1: 1, I2: 1 } });
      const second = await send(lines, "one");
      expect(second.body).toMatchObject({ stored: 3, positions: { I1: 1, I2: 1 }, repetition: true });
      // Another key says that they are other trades.
      expect((await send(lines, "two")).body).toMatchObject({ stored: 3, positions: { I1: 2, I2: 2 } });
      const other = await send([`I2,${micros(7)},1`, `I3,${micros(7)},1`], "two");
      expect(other).toMatchObject({ status: 409 });
      expect(await rowsOf(server, "/v1/trades?symbols=I1,I2,I3")).toBe(6);
      // Without one, equal trades are those that are stored.
      const plain = await postCsv(server, "/v1/trades", ["symbol,timestamp,price", ...lines]);
      expect(plain.body).toMatchObject({ stored: 0, repeated: 3 });
    });

    test("more rows than one transaction has go in parts, each of which is told", async () => {
      const mixed = Array.from({ length: 16_000 }, (_, n) => `P${n % 3},${micros(n)},${n}`);
      const alone = Array.from({ length: 32_000 }, (_, n) => `PA,${micros(n)},${n}`);
      const { status, body } = await postCsv(server, "/v1/trades", [
        "symbol,timestamp,price",
        ...mixed,
        ...alone,
        `P0,${micros(0)},1`,
      ]);
      expect({ status, parts: body.parts?.map(({ rows, symbols }: Json) => [rows, symbols]) }).toEqual({
        status: 200,
        parts: [
          [
            [1, 15_000],
            ["P0", "P1", "P2"],
          ],
          [
            [15_001, 16_000],
            ["P0", "P1", "P2"],
          ],
          [[16_001, 31_000], ["PA"]],
          [[31_001, 46_000], ["PA"]],
          [[46_001, 48_000], ["PA"]],
          [[48_001, 48_001], ["P0"]],
        ],
      });
      expect(body).toMatchObject({ rows: 48_001, stored: 48_001, positions: { P0: 3, P1: 2, P2: 2, PA: 3 } });
      expect(await rowsOf(server, "/v1/trades?symbols=P0,P1,P2,PA")).toBe(48_001);
    });

    test("where a later part is refused, the answer tells which rows are stored", async () => {
      await postCsv(server, "/v1/bars?timeframe=1Min&symbol=L2", [
        "timestamp,close",
        "2024-01-02T00:00:00Z,1",
      ]);
      const minute = (n: number): string => new Date(Date.UTC(2024, 0, 2) + n * 60_000).toISOString();
      const lines = Array.from({ length: 15_500 }, (_, n) =>
        n < 15_000 ? `L1,${minute(n)},1` : `L2,${minute(n - 15_000)},2`,
      );
      const refused = await postCsv(server, "/v1/bars?timeframe=1Min&on_duplicate=error", [
        "symbol,timestamp,close",
        ...lines,
      ]);
      expect(refused).toMatchObject({
        status: 409,
        body: {
          error: expect.stringMatching(/^rows 15001 to 15500: .*L2/),
          details: expect.stringMatching(/; rows 1 to 15000 are stored, and no others$/),
        },
      });
      expect(await rowsOf(server, "/v1/bars?timeframe=1Min&symbols=L1")).toBe(15_000);
      expect(await rowsOf(server, "/v1/bars?timeframe=1Min&symbols=L2")).toBe(1);
    });

    test("merge keeps what a row doesn't bring; equal keys of a request count once", async () => {
      const path = "/v1/bars?timeframe=1Day&symbol=M";
      await post(server, path, [{ t: "2024-01-02", o: 1, c: 2, v: 3, foo: 1 }]);
      const merged = await post(server, `${path}&on_duplicate=merge`, [
        { t: "2024-01-02", c: 5, o: null },
        { t: "2024-01-02", h: 9 },
      ]);
      expect(merged.body).toMatchObject({ rows: 2, stored: 0, replaced: 2 });
      const { body } = await get(`${server.url}/v1/bars?timeframe=1Day&symbol=M&columns=o,h,c,v,extra`);
      expect(body.bars.M).toEqual([
        { t: "2024-01-02T00:00:00Z", o: null, h: 9, c: 5, v: 3, extra: { foo: 1 } },
      ]);
    });
  });

test("a server in front stores each ticker by itself, and tells the parts", async () => {
  await using tiers = await startTiers({ workers: 1 });
  const { status, body } = await postCsv(tiers.front, "/v1/trades", [
    "symbol,timestamp,price,size,id,foo",
    `A,${micros(1)},1,9007199254740993,7,x`,
    `B,${micros(1)},2,,,`,
    `A,${micros(2)},3,,,`,
  ]);
  expect({ status, stored: body.stored, parts: body.parts?.map((part: Json) => part.symbols) }).toEqual({
    ...{ status: 200, stored: 3, parts: [["A"], ["B"]] },
  });
  // A client may come back through the other server.
  const rows = ["symbol,timestamp,price", `A,${micros(5)},5`, `B,${micros(5)},5`, `A,${micros(6)},6`];
  for (const [server, isRepetition] of [
    [tiers.front, undefined],
    [tiers.upstream, true],
    [tiers.front, true],
  ] as const) {
    const answer = await postCsv(server, "/v1/trades", rows, { "idempotency-key": "once" });
    expect([answer.status, answer.body.stored, answer.body.repetition]).toEqual([200, 3, isRepetition]);
  }
  const stored = await csvOf(tiers.upstream, "/v1/trades?symbols=A,B&columns=price");
  expect(stored.match(/,5\r?$/gm)).toHaveLength(2);
  const question = "/v1/trades?symbols=*&columns=price,size,id,extra";
  expect(await csvOf(tiers.upstream, question)).toContain(
    `A,${micros(1)},1,9007199254740993,7,"{""foo"":""x""}"`,
  );
});
