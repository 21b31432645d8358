/** Options and financial figures as clients save, read and watch them, on every engine. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { usePostgres } from "../support/postgres.ts";
import { get } from "../support/requests.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { DUCKDB, FRONT, postgresBackend, SQLITE } from "../wire/backends.ts";

setDefaultTimeout(120_000);

type Row = Record<string, unknown>;
type Rows = { data: Row[]; message?: string };

/** More than any answer has in one piece. */
const CONTRACTS = 12_000;
const DAY_MS = 86_400_000;

/** The date in some days. */
const inDays = (days: number): string => new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 10);
const stampOf = (date: string): string => `${date}T00:00:00.000000Z`;
const contractsOf = (rows: Row[]): unknown[] => rows.map((row) => row.option_ticker);

for (const backend of [SQLITE, DUCKDB, FRONT, postgresBackend(usePostgres())]) {
  describe(`on ${backend.name}`, () => {
    const stack = new AsyncDisposableStack();
    let server: RunningServer;
    beforeAll(async () => {
      server = await backend.start({ workers: 2, flags: [] }, stack);
    });
    afterAll(() => stack.disposeAsync());

    const ask = async (command: string, params: Row): Promise<Row[]> => {
      const { status, body } = await server.command<Rows>(command, params);
      expect({ command, status, body }).toMatchObject({ status: 200 });
      return body.data;
    };
    const save = async (ticker: string, data: Row[], more: Row = {}): Promise<void> => {
      const { status, body } = await server.command("save_options_data", { ticker, data, ...more });
      expect({ status, body }).toMatchObject({
        status: 200,
        body: { message: `Options data saved successfully for ${ticker}` },
      });
    };

    test("/v1/options shows each side and greek that there is", async () => {
      const at = { expiration: inDays(30), strike: 1, type: "call" };
      await save("SIDES", [
        { option_ticker: "O:SIDES1", ...at, bid: 1.5, ask: 1.75 },
        { option_ticker: "O:SIDES2", ...at, gamma: 0.25, vega: 2 },
        { option_ticker: "O:SIDES3", ...at },
      ]);
      const { body } = await get(`${server.url}/v1/options?underlying=SIDES`);
      const shown = ["O:SIDES1", "O:SIDES2", "O:SIDES3"].map((name) => body.snapshots[name]);
      expect(shown.map(({ latestQuote, greeks }) => [latestQuote, greeks])).toEqual([
        [{ bp: 1.5, ap: 1.75 }, undefined],
        [undefined, { gamma: 0.25, vega: 2 }],
        [undefined, undefined],
      ]);
    });

    test("a chain as the Python client sends it, and what its methods read", async () => {
      const row = {
        option_ticker: "O:PY300119C00150000",
        Expiration: inDays(30),
        STRIKE: 150,
        type: "Call",
        index: 0,
        last_quote_timestamp: 1_704_189_600_123_456_789n,
        price: 5.25,
        bid: null,
        volume: "12",
        open_interest: 9_007_199_254_740_993n,
        break_even_price: 155.2,
      };
      const expired = { option_ticker: "O:PY200117C00150000", expiration: inDays(-3), price: 1 };
      const today = { option_ticker: "O:PY_TODAY", expiration: inDays(0), price: 2 };
      const body = JSON.stringify(
        {
          command: "save_options_data",
          params: { ticker: "PY", index_col: "expiration_date", data: [row, expired, today] },
        },
        (_, value) =>
          typeof value === "bigint"
            ? (JSON as never as { rawJSON(t: string): unknown }).rawJSON(`${value}`)
            : value,
      );
      const headers = { "Content-Type": "application/json" };
      const saved = await fetch(`${server.url}/db_command`, { method: "POST", headers, body });
      expect(await saved.json()).toMatchObject({ message: "Options data saved successfully for PY" });
      const found = await ask("get_options_data", { ticker: "PY" });
      expect(contractsOf(found)).toEqual(["O:PY300119C00150000", "O:PY_TODAY"]);
      expect(found[0]).toMatchObject({
        ticker: "PY",
        expiration_date: stampOf(inDays(30)),
        strike_price: 150,
        option_type: "call",
        last_quote_timestamp: "2024-01-02T10:00:00.123456Z",
        price: 5.25,
        bid: null,
        volume: 12,
      });
      expect(found[0]!.timestamp).toMatch(/T\d\d:(00|15|30|45):00\.000000Z$/);
      expect(await ask("get_latest_options_data", { ticker: "PY" })).toEqual(found);
      const of = (params: Row) => ask("get_options_data", { ticker: "PY", ...params });
      expect(contractsOf(await of({ expiration_date: inDays(-3) }))).toEqual(["O:PY200117C00150000"]);
      expect(contractsOf(await of({ start_datetime: inDays(-4), end_datetime: inDays(0) }))).toEqual([
        "O:PY200117C00150000",
        "O:PY_TODAY",
      ]);
      expect(await of({ option_tickers: ["O:PY_TODAY", "O:NO"] })).toHaveLength(1);
      expect(await of({ ticker: "PY2" })).toEqual([]);
      const feature = { ticker: "PY", option_ticker: "O:PY300119C00150000" };
      expect(await ask("get_option_price_feature", feature)).toEqual({
        price: 5.25,
        bid: null,
        ask: null,
        day_close: null,
        fmv: null,
      } as never);
      expect(await ask("get_option_price_feature", { ...feature, option_ticker: "O:NO" })).toBeNull();
    });

    test("a poller leaves one row a bucket; a stamp that is sent is kept", async () => {
      const row = { option_ticker: "O:POLL", expiration_date: inDays(5) };
      // Twice within one bucket, unless it ends in between.
      for (let tries = 1; ; tries++) {
        const ticker = `POLL${tries}`;
        for (const price of [1, 2]) await save(ticker, [{ ...row, price }]);
        const history = await ask("get_option_history", { ticker, option_ticker: "O:POLL" });
        if (history.length === 2 && tries === 1) continue;
        expect(history).toMatchObject([{ price: 2 }]);
        break;
      }
      await save("POLL", [
        { ...row, timestamp: "2024-01-02T15:07:08.5Z", price: 3 },
        { ...row, timestamp: "2024-01-03T15:00:00Z", price: 4 },
        { ...row, timestamp: "2024-01-03T15:00:00Z", price: 5 },
      ]);
      const history = (params: Row) =>
        ask("get_option_history", { ticker: "POLL", option_ticker: "O:POLL", ...params });
      expect(await history({})).toMatchObject([
        { timestamp: "2024-01-02T15:07:08.500000Z", price: 3 },
        { timestamp: "2024-01-03T15:00:00.000000Z", price: 5 },
      ]);
      expect(await history({ end_datetime: "2024-01-02" })).toMatchObject([{ price: 3 }]);
      expect(await history({ limit: 1 })).toMatchObject([{ price: 5 }]);
      await save("POLL", [{ ...row, timestamp: "2024-01-03T15:00:00Z", price: 6 }], { on_duplicate: "keep" });
      expect(await history({ limit: 1 })).toMatchObject([{ price: 5 }]);
    });

    test("a chain as of a moment, by expiration, strike and type", async () => {
      const contract = (
        name: string,
        expiration: string,
        strike: number,
        type: string,
        at: string,
        price: number,
      ) => ({
        option_ticker: name,
        expiration_date: expiration,
        strike_price: strike,
        option_type: type,
        timestamp: at,
        price,
      });
      await save("DESK", [
        contract("O:1", "2024-01-19", 100, "call", "2024-01-10T15:00:00Z", 1),
        contract("O:1", "2024-01-19", 100, "call", "2024-01-19T15:00:00Z", 2),
        contract("O:2", "2024-01-19", 110, "put", "2024-01-10T15:00:00Z", 3),
        contract("O:3", "2024-02-16", 100, "put", "2024-01-11T15:00:00Z", 4),
        contract("O:4", inDays(40), 120, "call", "2024-01-12T15:00:00Z", 5),
      ]);
      const chain = async (params: Row) =>
        (await ask("get_option_chain", { ticker: "DESK", ...params })).map(({ price }) => price);
      expect(await chain({})).toEqual([5]);
      expect(await chain({ as_of: "2024-01-10" })).toEqual([1, 3]);
      expect(await chain({ as_of: "2024-01-10T14:59:59Z" })).toEqual([]);
      expect(await chain({ as_of: "2024-01-19" })).toEqual([2, 3, 4, 5]);
      // In New York it is still the 19th.
      expect(await chain({ as_of: "2024-01-20T02:00:00Z" })).toEqual([2, 3, 4, 5]);
      expect(await chain({ as_of: "2024-01-21" })).toEqual([4, 5]);
      expect(await chain({ expiration_date: "2024-01-19" })).toEqual([2, 3]);
      const as_of = "2024-01-19";
      expect(await chain({ as_of, option_type: "P" })).toEqual([3, 4]);
      expect(await chain({ as_of, strike_min: 100, strike_max: 110 })).toEqual([2, 3, 4]);
      expect(await chain({ as_of, strike_min: 110.5 })).toEqual([5]);
      expect(
        await ask("get_option_chain", { ticker: "DESK", as_of, option_tickers: ["O:2"], columns: ["price"] }),
      ).toEqual([{ price: 3 }]);
      expect(await ask("get_expirations", { ticker: "DESK", as_of })).toEqual([
        { expiration_date: stampOf("2024-01-19"), contracts: 2, calls: 1, puts: 1 },
        { expiration_date: stampOf("2024-02-16"), contracts: 1, calls: 0, puts: 1 },
        { expiration_date: stampOf(inDays(40)), contracts: 1, calls: 1, puts: 0 },
      ]);
      expect(await ask("get_expirations", { ticker: "DESK" })).toHaveLength(1);
      const newest = {
        kind: "options",
        ticker: "DESK",
        where: [{ column: "expiration_date", to: "2024-01-31" }],
      };
      expect(contractsOf(await ask("get_newest_rows", newest))).toEqual(["O:1", "O:2"]);
    });

    test(`a chain of ${CONTRACTS} contracts is one save, one update and one answer`, async () => {
      const names = Array.from({ length: CONTRACTS }, (_, n) => `O:BIG${String(n).padStart(6, "0")}`);
      const expiration_date = inDays(10);
      for (const hour of [14, 15])
        await save(
          "BIG",
          names.map((option_ticker, n) => ({
            option_ticker,
            expiration_date,
            strike_price: n,
            option_type: n % 2 === 0 ? "call" : "put",
            timestamp: `2024-01-02T${hour}:00:00Z`,
            price: hour,
          })),
        );
      const chain = await ask("get_option_chain", { ticker: "BIG" });
      expect(contractsOf(chain)).toEqual(names);
      expect(chain.every(({ price }) => price === 15)).toBe(true);
      const before = await ask("get_option_chain", {
        ticker: "BIG",
        as_of: "2024-01-02T14:30:00Z",
        strike_max: 10,
      });
      expect(before.map(({ price }) => price)).toEqual(Array(11).fill(14));
      expect(await ask("get_expirations", { ticker: "BIG" })).toEqual([
        {
          expiration_date: stampOf(expiration_date),
          contracts: CONTRACTS,
          calls: CONTRACTS / 2,
          puts: CONTRACTS / 2,
        },
      ]);
      const { body } = await server.command<{ positions: Row }>("get_positions", { tickers: ["BIG"] });
      expect(body.positions).toMatchObject({ BIG: 2 });
    });

    test("subscribers get what they ask for, and what they missed", async () => {
      await using options = Subscriber.connect(server.wsUrl, "LIVE");
      await options.until("a frame", () => options.ofType("heartbeat").length > 0);
      await using only = Subscriber.ask(server.wsUrl, { symbol: "LIVE", types: "option" });
      await using figures = Subscriber.ask(server.wsUrl, { symbol: "LIVE", types: "financial" });
      for (const each of [only, figures])
        await each.until("a frame", () => each.ofType("heartbeat").length > 0);
      await save("LIVE", [
        {
          option_ticker: "O:L",
          expiration_date: "2030-01-18",
          timestamp: "2024-01-02T15:00:00Z",
          price: 1,
          junk: 2,
        },
      ]);
      await server.command("save_financial_info", {
        ticker: "LIVE",
        financial_data: { date: "2024-01-02", current: 2, x: 1 },
      });
      const option = {
        type: "option",
        event_type: "option_update",
        timestamp: "2024-01-02T15:00:00.000000Z",
        payload: [
          {
            option_ticker: "O:L",
            timestamp: "2024-01-02T15:00:00.000000Z",
            expiration_date: "2030-01-18T00:00:00.000000Z",
            price: 1,
          },
        ],
      };
      const financial = {
        type: "financial",
        event_type: "financial_update",
        timestamp: "2024-01-02T00:00:00.000000Z",
        payload: [{ date: "2024-01-02T00:00:00.000000Z", current_ratio: 2 }],
      };
      await options.until("a frame", () => options.ofType("financial").length > 0);
      expect(options.ofType("option")).toMatchObject([{ symbol: "LIVE", seq: 1, data: option }]);
      expect(options.ofType("financial")).toMatchObject([{ symbol: "LIVE", seq: 2, data: financial }]);
      await only.until("a frame", () => only.ofType("option").length > 0);
      await figures.until("a frame", () => figures.ofType("financial").length > 0);
      expect(only.ofType("financial")).toEqual([]);
      expect(figures.ofType("option")).toEqual([]);
      const { body } = await server.command<{ updates: Row[] }>("get_updates", { ticker: "LIVE", since: 0 });
      expect(body.updates).toMatchObject([
        { seq: 1, data: option },
        { seq: 2, data: financial },
      ]);
    });

    test("financial figures stay until they are sent anew", async () => {
      const saveFigures = async (financial_data: Row, more: Row = {}) => {
        const { status, body } = await server.command("save_financial_info", {
          ticker: "FIN",
          financial_data,
          ...more,
        });
        expect({ status, body }).toMatchObject({
          status: 200,
          body: { message: "Financial info saved successfully for FIN" },
        });
      };
      await saveFigures({ date: "2024-01-02", Price: 10, market_cap: 3e12, quick: 1.5, cash_ratio: 0.5 });
      await saveFigures({ date: "2024-01-03", price: 11, iv_analysis_json: { rank: 5 } });
      await saveFigures({ date: "2024-01-03", price: 12 });
      const newest = {
        ticker: "FIN",
        date: stampOf("2024-01-03"),
        price: 12,
        market_cap: 3e12,
        quick_ratio: 1.5,
        quick: 1.5,
        cash_ratio: 0.5,
        cash: 0.5,
        current_ratio: null,
        current: null,
        iv_analysis_json: '{"rank":5}',
      };
      expect(await ask("get_financial_info", { ticker: "FIN" })).toMatchObject([newest]);
      const between = { ticker: "FIN", start_date: "2024-01-01", end_date: "2024-01-31" };
      expect(await ask("get_financial_info", between)).toMatchObject([
        { price: 10, iv_analysis_json: null },
        newest,
      ]);
      await saveFigures({ price: 13 });
      expect(await ask("get_financial_info", { ticker: "FIN" })).toMatchObject([{ price: 13, quick: 1.5 }]);
      await saveFigures({ date: "2024-01-03", price: 14 }, { on_duplicate: "replace" });
      expect(await ask("get_financial_info", { ...between, start_date: "2024-01-03" })).toMatchObject([
        { price: 14, quick: null },
      ]);
      const { body } = await server.command("get_financial_info", { ticker: "NO" });
      expect(body).toEqual({ message: "No financial info found", data: [] });
    });

    test("a refusal names the row, the column and the value; nothing is saved", async () => {
      const row = { option_ticker: "O:X", expiration_date: inDays(1) };
      const cases: [params: Row, error: string][] = [
        [
          { data: [row, { ...row, strike: "abc" }] },
          'data[1].strike_price: got "abc", expected a number or null',
        ],
        [{ data: [{ ...row, volume: "many" }] }, 'data[0].volume: got "many"'],
        [
          { data: [{ ...row, type: "straddle" }] },
          'data[0].option_type: got "straddle", expected "call" or "put"',
        ],
        [{ data: [{ ...row, expiration_date: "soon" }] }, "data[0].expiration_date: "],
        [{ data: [row, { ...row, expiration_date: null }] }, "data[1].expiration_date: got null"],
        [{ data: [row, { expiration_date: inDays(1) }] }, "data[1].option_ticker: got undefined"],
        [{ data: [{ ...row, last_quote_timestamp: "then" }] }, "data[0].last_quote_timestamp: "],
        [{ data: [row], on_duplicate: "error" }, 'on_duplicate: got "error"'],
      ];
      for (const [params, error] of cases) {
        const { status, body } = await server.command("save_options_data", { ticker: "BAD", ...params });
        expect({ status, body }).toMatchObject({
          status: 400,
          body: { error: expect.stringContaining(error) },
        });
      }
      expect(await ask("get_options_data", { ticker: "BAD" })).toEqual([]);
      const reads: [command: string, params: Row, error: string][] = [
        ["get_option_chain", { as_of: "never" }, "as_of: "],
        ["get_option_chain", { strike_min: "x" }, 'params.strike_min: got "x"'],
        ["get_option_chain", { columns: ["nope"] }, 'columns: got ["nope"]'],
        ["get_options_data", { option_tickers: "O:X" }, 'option_tickers: got "O:X"'],
        ["get_newest_rows", { kind: "daily" }, 'kind: got "daily"'],
        ["get_newest_rows", { kind: "options", where: [{ column: "x" }] }, 'where[0].column: got "x"'],
        ["save_financial_info", { financial_data: { price: "high" } }, 'financial_data.price: got "high"'],
      ];
      for (const [command, params, error] of reads) {
        const { status, body } = await server.command(command, { ticker: "BAD", ...params });
        expect({ command, status, body }).toMatchObject({
          status: 400,
          body: { error: expect.stringContaining(error) },
        });
      }
      const { status, body } = await server.command("save_realtime_data", {
        ticker: "BAD",
        data_type: "option",
        index_col: "timestamp",
        data: [{ timestamp: "2024-01-02T10:00:00Z", price: 1, size: 1 }],
      });
      expect({ status, body }).toMatchObject({
        status: 400,
        body: { error: expect.stringContaining("data_type") },
      });
    });

    test("both kinds are counted", async () => {
      await save("COUNTED", [{ option_ticker: "O:C", expiration_date: inDays(1) }]);
      await server.command("save_financial_info", { ticker: "COUNTED", financial_data: { price: 1 } });
      const { body } = await get(`${server.url}/stats/tables`);
      const { options_data, financial_info } = body.tables as Record<string, { row_count: number }>;
      expect(options_data!.row_count).toBeGreaterThan(0);
      expect(financial_info!.row_count).toBeGreaterThan(0);
    });
  });
}

test("a date as a moment is that date, wherever the market is", async () => {
  await using server = await startServer({ flags: ["--market-timezone", "Asia/Tokyo"] });
  const row = { option_ticker: "O:1", expiration_date: "2024-01-19", timestamp: "2024-01-10T15:00:00Z" };
  await server.command("save_options_data", { ticker: "T", data: [row] });
  const count = async (as_of: string): Promise<number> => {
    const { body } = await server.command<{ data: Row[] }>("get_option_chain", { ticker: "T", as_of });
    return body.data.length;
  };
  expect(await count("2024-01-19")).toBe(1);
  expect(await count("2024-01-19T14:59:59Z")).toBe(1);
  // It is the 20th in Tokyo.
  expect(await count("2024-01-19T15:00:00Z")).toBe(0);
  expect(await count("2024-01-20")).toBe(0);
});
