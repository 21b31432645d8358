/** Market data over HTTP, on servers with a real database of each engine. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { tableFromIPC } from "apache-arrow";
import { usePostgres } from "../support/postgres.ts";
import { command, type Json } from "../support/requests.ts";
import type { RunningServer } from "../support/server.ts";
import { type Backend, DUCKDB, postgresBackend, SQLITE } from "../wire/backends.ts";

setDefaultTimeout(180_000);

const BACKENDS: Backend[] = [SQLITE, DUCKDB, postgresBackend(usePostgres())];
const START_MS = Date.UTC(2024, 0, 2, 14, 30);
const BARS = 30;
const TRADES = 50;

/** What a parameter is good for only beside another one. */
const NEEDED: Record<string, [name: string, value: string]> = {
  "/v1/latest timeframe": ["of", "bars"],
  "/v1/bars price": ["source", "quotes"],
  "/v1/bars sale_conditions": ["source", "trades"],
};

const day = (index: number): string => new Date(Date.UTC(2024, 0, 1 + index)).toISOString().slice(0, 10);

async function fill(server: RunningServer): Promise<void> {
  const save = async (name: string, params: Record<string, unknown>): Promise<void> => {
    const { status, body } = await server.command(name, params);
    if (status !== 200) throw new Error(`${name}: ${status} ${JSON.stringify(body)}`);
  };
  for (const [ticker, factor] of [
    ["AAPL", 1],
    ["AAB", 2],
    ["SPY", 3],
  ] as const) {
    const data = Array.from({ length: BARS }, (_, i) => ({
      ...{ date: day(i), open: factor * (100 + i), high: factor * (101 + i), low: factor * (99 + i) },
      ...{ close: factor * (100.5 + i), volume: 1_000 + i, vwap: factor * (100.25 + i) },
    }));
    await save("save_stock_data", { ticker, index_col: "date", data });
  }
  const trades = Array.from({ length: TRADES }, (_, i) => ({
    timestamp: new Date(START_MS + i * 250).toISOString(),
    ...{ price: 100 + i / 4, size: i, id: 1_000 + i },
    ...(i % 2 === 0 ? { exchange: "V", conditions: ["@", "I"], tape: "C" } : {}),
  }));
  const ticks = { ticker: "AAPL", index_col: "timestamp" };
  await save("save_realtime_data", { ...ticks, data_type: "trade", data: trades });
  const quotes = [
    {
      timestamp: "2024-01-02T14:30:00.000001Z",
      ...{ bid_price: 99.5, bid_size: 3, ask_price: 100.5, ask_size: 4, bx: "V", ax: "Q" },
    },
  ];
  await save("save_realtime_data", { ...ticks, data_type: "quote", data: quotes });
  await save("save_corporate_actions", {
    ticker: "AAPL",
    data: [
      { ex_date: day(10), type: "split", ratio: 4 },
      { ex_date: day(20), type: "dividend", cash: 1.5 },
    ],
  });
  await save("save_options_data", {
    ticker: "AAPL",
    data: [
      {
        ...{ option_ticker: "AAPL400120C00150000", timestamp: "2024-01-02T15:00:00Z" },
        ...{ expiration_date: "2040-01-20", strike_price: 150, option_type: "call", price: 12.5 },
        ...{ bid: 12.25, ask: 12.75, last_quote_timestamp: "2024-01-02T14:59:59Z", delta: 0.5 },
      },
    ],
  });
}

for (const backend of BACKENDS) {
  describe(`market data over HTTP: ${backend.name}`, () => {
    const stack = new AsyncDisposableStack();
    let server: RunningServer;
    const ask = async (
      path: string,
      init: RequestInit = {},
    ): Promise<{ status: number; body: Json; headers: Headers }> => {
      const response = await fetch(server.url + path, init);
      return { status: response.status, body: await response.json(), headers: response.headers };
    };
    const text = async (path: string): Promise<string> => (await fetch(server.url + path)).text();

    beforeAll(async () => {
      server = await backend.start({ flags: [], workers: 1 }, stack);
      await fill(server);
    });
    afterAll(() => stack.disposeAsync());

    test("bars, trades and quotes have the shapes of Alpaca's API", async () => {
      const bars = await ask("/v1/bars?symbols=SPY,AAPL&timeframe=1Day&end=2024-01-02");
      expect(bars.body).toEqual({
        bars: {
          AAPL: [
            { t: "2024-01-01T00:00:00Z", o: 100, h: 101, l: 99, c: 100.5, v: 1_000, vw: 100.25 },
            { t: "2024-01-02T00:00:00Z", o: 101, h: 102, l: 100, c: 101.5, v: 1_001, vw: 101.25 },
          ],
          SPY: [
            { t: "2024-01-01T00:00:00Z", o: 300, h: 303, l: 297, c: 301.5, v: 1_000, vw: 300.75 },
            { t: "2024-01-02T00:00:00Z", o: 303, h: 306, l: 300, c: 304.5, v: 1_001, vw: 303.75 },
          ],
        },
        next_page_token: null,
      });
      const trades = await ask("/v1/trades?symbol=AAPL&end=2024-01-02T14:30:00.250Z");
      expect(trades.body.trades).toEqual({
        AAPL: [
          { t: "2024-01-02T14:30:00.000000Z", p: 100, s: 0, i: 1000, x: "V", c: ["@", "I"], z: "C" },
          { t: "2024-01-02T14:30:00.250000Z", p: 100.25, s: 1, i: 1001 },
        ],
      });
      const quotes = await ask("/v1/quotes?symbols=A*");
      expect(quotes.body.quotes).toEqual({
        AAPL: [{ t: "2024-01-02T14:30:00.000001Z", bp: 99.5, bs: 3, bx: "V", ap: 100.5, as: 4, ax: "Q" }],
      });
      expect((await ask("/v1/trades?symbols=SPY")).body).toEqual({
        trades: {},
        next_page_token: null,
        warnings: ["SPY: no trades are stored"],
      });
    });

    test("every format has the same rows", async () => {
      const path = "/v1/trades?symbols=AAPL&columns=price,size,id,exchange,seq";
      const lines = (await text(`${path}&format=ndjson`)).trim().split("\n");
      const rows = lines.map((line) => JSON.parse(line));
      expect(rows).toHaveLength(TRADES);
      expect(rows[2]).toEqual({
        ...{ symbol: "AAPL", timestamp: "2024-01-02T14:30:00.500000Z", price: 100.5, size: 2 },
        ...{ id: "1002", exchange: "V", seq: 0 },
      });
      const { columns } = JSON.parse(await text(`${path}&format=columns`));
      expect(
        rows.map((_, at) =>
          Object.fromEntries(Object.keys(columns).map((name) => [name, columns[name][at]])),
        ),
      ).toEqual(rows);
      const csv = (await text(`${path}&format=csv`)).trim().split("\r\n");
      expect(csv[0]).toBe(Object.keys(rows[0]).join(","));
      expect(csv.slice(1)).toEqual(
        rows.map((row) =>
          Object.values(row)
            .map((value) => value ?? "")
            .join(","),
        ),
      );
      const arrow = tableFromIPC(await (await fetch(`${server.url}${path}&format=arrow`)).arrayBuffer());
      expect(arrow.schema.fields.map(({ name, type }) => `${name} ${type}`)).toEqual([
        "symbol Dictionary<Int32, Utf8>",
        "timestamp Timestamp<MICROSECOND, UTC>",
        "price Float64",
        "size Int64",
        "id Utf8",
        "exchange Utf8",
        "seq Int64",
      ]);
      const cells = [...arrow].map((row) => row.toJSON() as Json);
      expect(
        cells.map(({ timestamp, size, seq, ...row }) => ({
          ...row,
          timestamp: new Date(Number(timestamp)).toISOString().replace("Z", "000Z"),
          ...{ size: Number(size), seq: Number(seq) },
        })),
      ).toEqual(rows.map((row) => expect.objectContaining(row)));
      const parquet = await fetch(`${server.url}${path}`, {
        headers: { accept: "application/vnd.apache.parquet" },
      });
      expect(parquet.headers.get("content-type")).toBe("application/vnd.apache.parquet");
      const bytes = Buffer.from(await parquet.arrayBuffer());
      expect([bytes.subarray(0, 4), bytes.subarray(-4)].map(String)).toEqual(["PAR1", "PAR1"]);
    });

    for (const sort of ["asc", "desc"]) {
      test(`pages have together what the whole answer has, ${sort}`, async () => {
        const path = `/v1/bars?symbols=*&timeframe=1Day&sort=${sort}&format=ndjson`;
        const whole = await text(path);
        expect(whole.trim().split("\n")).toHaveLength(3 * BARS);
        let pages = "";
        let token: string | null = null;
        for (let page = 0; page === 0 || token !== null; page++) {
          const next: string = token === null ? "" : `&page_token=${token}`;
          const response = await fetch(`${server.url}${path}&limit=17${next}`);
          pages += await response.text();
          token = response.headers.get("next-page-token");
          expect(page).toBeLessThan(6);
        }
        expect(pages).toBe(whole);
      });
    }

    test("a page token is good for its own question alone", async () => {
      const path = "/v1/bars?symbols=AAPL&timeframe=1Day&limit=3";
      const { body } = await ask(path);
      const other = await ask(`${path}&sort=desc&page_token=${body.next_page_token}`);
      expect([other.status, other.body.error]).toEqual([400, expect.stringContaining("another question")]);
      const altered = await ask(`${path}&page_token=x${body.next_page_token}`);
      expect([altered.status, altered.body.error]).toEqual([400, expect.stringContaining("isn't whole")]);
      expect((await ask(`${path}&page_token=${body.next_page_token}`)).body.bars.AAPL[0].t).toBe(
        "2024-01-04T00:00:00Z",
      );
    });

    test("with a time zone, dates are days there, and stamps are shown there", async () => {
      const path = "/v1/trades?symbols=AAPL&columns=price&format=csv&tz=America/New_York";
      const lines = (await text(`${path}&start=2024-01-02T09:30:12`)).trim().split("\r\n");
      expect(lines.slice(1)).toEqual([
        "AAPL,2024-01-02T09:30:12.000000-05:00,112",
        "AAPL,2024-01-02T09:30:12.250000-05:00,112.25",
      ]);
      const ofDay = async (date: string): Promise<number> =>
        (await text(`${path}&start=${date}&end=${date}`)).trim().split("\r\n").length - 1;
      expect([await ofDay("2024-01-02"), await ofDay("2024-01-03")]).toEqual([TRADES, 0]);
      const tokyo = await ask("/v1/bars?symbols=AAPL&timeframe=1Day&limit=1&tz=Asia/Tokyo");
      expect(tokyo.body.bars.AAPL[0].t).toBe("2024-01-01T00:00:00+09:00");
    });

    test("adjusted bars are those of get_stock_data", async () => {
      for (const adjustment of ["split", "dividend", "all"]) {
        const params = { ticker: "AAPL", adjustment, include_extra: true };
        const { body } = await command(server.url, "get_stock_data", params);
        const expected = body.data.map(({ date, open, high, low, close, volume }: Json) => ({
          ...{ t: date.replace(".000000", ""), o: open, h: high, l: low, c: close, v: volume },
        }));
        const asked = await ask(`/v1/bars?symbols=AAPL,SPY&timeframe=1Day&adjustment=${adjustment}`);
        expect(asked.body.bars.AAPL.map(({ vw: _, ...bar }: Json) => bar)).toEqual(expected);
        expect(asked.body.bars.SPY[0]).toMatchObject({ o: 300, v: 1_000 });
      }
      const { body } = await ask("/v1/bars?symbols=AAPL&timeframe=1Day&adjustment=split&limit=1");
      expect(body.bars.AAPL[0]).toMatchObject({ c: 25.125, v: 4_000, vw: 25.0625 });
    });

    test("rows tell the positions up to which they are whole", async () => {
      const { body: positions } = await command(server.url, "get_positions", { tickers: ["AAPL", "SPY"] });
      const { body, headers } = await ask(
        "/v1/bars?symbols=AAPL,SPY&timeframe=1Day&limit=1&with_position=true",
      );
      expect({ epoch: body.epoch, positions: body.positions }).toEqual(positions);
      expect(headers.has("positions")).toBe(false);
      const csv = await fetch(`${server.url}/v1/trades?symbols=AAPL&format=csv&with_position=true`);
      expect(JSON.parse(csv.headers.get("positions")!)).toEqual({ AAPL: positions.positions.AAPL });
      const arrow = await fetch(`${server.url}/v1/trades?symbols=AAPL&format=arrow&with_position=true`);
      const { metadata } = tableFromIPC(await arrow.arrayBuffer()).schema;
      expect(metadata.get("epoch")).toBe(positions.epoch);
      expect(JSON.parse(metadata.get("positions")!)).toEqual({ AAPL: positions.positions.AAPL });
    });

    test("a count that isn't whole makes its column one of doubles", async () => {
      const save = (ticker: string, sizes: number[]): Promise<unknown> =>
        server.command("save_realtime_data", {
          ...{ ticker, index_col: "timestamp", data_type: "trade" },
          data: sizes.map((size, i) => ({ timestamp: new Date(START_MS + i).toISOString(), price: 1, size })),
        });
      await save("HALF", [1, 2, 0.5]);
      const half = await fetch(`${server.url}/v1/trades?symbols=HALF&format=arrow`);
      const sizes = tableFromIPC(await half.arrayBuffer()).getChild("size")!;
      expect([`${sizes.type}`, [...sizes]]).toEqual(["Float64", [1, 2, 0.5]]);
      await save("LATE", [...Array.from({ length: 40_000 }, (_, i) => i), 0.5]);
      const late = async (): Promise<ArrayBuffer> =>
        (await fetch(`${server.url}/v1/trades?symbols=LATE&format=arrow`)).arrayBuffer();
      if (backend !== DUCKDB) {
        // Long after the first byte: it breaks off, and the next one has doubles from the start.
        const outcome = await late().then(
          () => "whole",
          () => "broken off",
        );
        expect(outcome).toBe("broken off");
        await server.logged("an answer was broken off after its first byte");
      }
      // A column of DuckDB has one type.
      const column = tableFromIPC(await late()).getChild("size")!;
      expect([`${column.type}`, column.length, column.get(40_000)]).toEqual(["Float64", 40_001, 0.5]);
    });

    test("newest rows, snapshots, options, corporate actions and tickers", async () => {
      const latest = await ask("/v1/latest?symbols=AAPL,SPY");
      expect(latest.body).toEqual({
        trades: { AAPL: { t: "2024-01-02T14:30:12.250000Z", p: 112.25, s: 49, i: 1049 } },
        next_page_token: null,
        warnings: ["SPY: no trades are stored"],
      });
      const snapshots = await ask("/v1/snapshots?symbols=AAPL,SPY");
      expect(Object.keys(snapshots.body.snapshots.AAPL)).toEqual([
        "latestTrade",
        "latestQuote",
        "dailyBar",
        "prevDailyBar",
      ]);
      expect(snapshots.body.snapshots.SPY).toMatchObject({
        dailyBar: { c: 388.5 },
        prevDailyBar: { c: 385.5 },
      });
      const chain = await ask("/v1/options?underlying=AAPL&type=call&strike_price_gte=100");
      expect(chain.body.snapshots).toEqual({
        AAPL400120C00150000: {
          latestQuote: { t: "2024-01-02T14:59:59.000000Z", bp: 12.25, ap: 12.75 },
          greeks: { delta: 0.5 },
          ...{ underlying: "AAPL", t: "2024-01-02T15:00:00.000000Z", expiration_date: "2040-01-20" },
          ...{ strike_price: 150, type: "call", price: 12.5 },
        },
      });
      expect((await ask("/v1/options?underlying=AAPL&strike_price_gte=200")).body).toEqual({
        snapshots: {},
        next_page_token: null,
      });
      expect((await ask("/v1/corporate-actions?symbols=*&limit=1")).body.corporate_actions).toEqual({
        AAPL: [{ ex_date: day(10), type: "split", ratio: 4 }],
      });
      const tickers = await ask("/v1/tickers?symbols=AA*&series=true");
      expect(tickers.body.tickers).toEqual([
        expect.objectContaining({ symbol: "AAB", kinds: ["daily"] }),
        expect.objectContaining({ symbol: "AAPL", kinds: ["daily", "ticks", "options", "actions"] }),
      ]);
      expect(tickers.body.tickers[1].series).toContainEqual({
        ...{ kind: "ticks", series: "trade" },
        ...{ first: "2024-01-02T14:30:00.000000Z", last: "2024-01-02T14:30:12.250000Z" },
      });
      expect((await ask("/v1/sql?sql=SELECT+count(*)+AS+n+FROM+daily_prices")).body).toEqual({
        data: [{ n: 90 }],
      });
    });

    test("GET, POST and the command answer alike", async () => {
      const params = { symbols: ["AAPL", "SPY"], timeframe: "1Day", limit: 5, with_position: true };
      const got = await ask("/v1/bars?symbols=AAPL,SPY&timeframe=1Day&limit=5&with_position=true");
      const posted = await ask("/v1/bars", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(params),
      });
      const { body } = await command(server.url, "get_bars", params);
      const { next_page_token: token, ...rest } = got.body;
      expect(posted.body).toMatchObject(rest);
      expect(body).toMatchObject(rest);
      expect(token).toBeString();
      for (const name of ["get_trades", "get_quotes"]) {
        const table = name.slice("get_".length);
        expect((await command(server.url, name, { symbol: "AAPL" })).body).toEqual(
          (await ask(`/v1/${table}?symbol=AAPL`)).body,
        );
      }
    });

    test("bars of a session are made of bars that end at its open, not of the hour around it", async () => {
      const save = async (interval: string, data: [at: string, price: number, volume: number][]) => {
        const bars = data.map(([at, price, volume]) => ({
          ...{ datetime: `2024-01-02T${at}:00Z`, volume },
          ...{ open: price, high: price, low: price, close: price },
        }));
        const params = { ticker: "HOURS", interval, index_col: "datetime", data: bars };
        expect((await server.command("save_stock_data", params)).status).toBe(200);
      };
      await save("hourly", [
        ["14:00", 1, 1_001],
        ["20:00", 11, 1],
      ]);
      const day = "/v1/bars?symbols=HOURS&timeframe=1Day&calendar=XNYS&session=regular";
      expect((await ask(day)).body.bars.HOURS).toMatchObject([{ o: 1, v: 1_002 }]);
      await save("1min", [
        ["14:10", 1, 1_000],
        ["14:35", 10, 1],
        ["20:59", 11, 1],
      ]);
      expect((await ask(day)).body.bars.HOURS).toMatchObject([{ o: 10, c: 11, l: 10, v: 2 }]);
    });

    test("every example of the description is answered", async () => {
      const { body: api } = await ask("/openapi.json");
      expect(api.openapi).toBe("3.1.0");
      const refused: string[] = [];
      for (const [path, { get }] of Object.entries<Json>(api.paths)) {
        if (get === undefined) continue;
        const required = get.parameters.filter((each: Json) => each.required || each.name === "symbols");
        for (const one of get.parameters) {
          if (one.example === undefined && one.schema.enum === undefined) continue;
          const values = one.schema.enum ?? [one.example];
          for (const value of values) {
            const query = new URLSearchParams();
            for (const { name, example } of required)
              if (example !== undefined) query.set(name, String(example));
            query.set(one.name, String(value));
            const [name, needed] = NEEDED[`${path} ${one.name}`] ?? [];
            if (name !== undefined) query.set(name, needed!);
            const left = new AbortController();
            const response = await fetch(`${server.url}${path}?${query}`, { signal: left.signal });
            // A stream has no end.
            const isEndless = "text/event-stream" in get.responses[200].content;
            const text = isEndless && response.ok ? "" : await response.text();
            left.abort();
            if (response.status !== 200) refused.push(`${path}?${query}: ${text}`);
          }
        }
      }
      expect(refused).toEqual([]);
    });
  });
}
