/** Corporate actions in a whole server: what a client sends, reads and sees. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { get } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";

setDefaultTimeout(120_000);

type Row = Record<string, number | string | null>;

let server: RunningServer;
beforeAll(async () => {
  server = await startServer({ workers: 2, flags: ["--sample"] });
});
afterAll(() => server[Symbol.asyncDispose]());

const save = (ticker: string, data: object[], more: object = {}) =>
  server.command("save_corporate_actions", { ticker, data, ...more });

const read = async (params: object) =>
  (
    await server.command<{ data: Row[]; adjustment?: object }>("get_stock_data", {
      ticker: "AAPL",
      ...params,
    })
  ).body;

test("the sample's Apple has its splits and dividends: the prices of a vendor", async () => {
  // [date, close for splits, for all, volume]
  const expected: [string, number, number, number][] = [
    ["2014-05-07", 21.154643, 18.958291, 274128092],
    ["2014-06-06", 23.056071, 20.777713, 339266788],
    ["2014-06-09", 23.425, 21.110185, 291503792],
    ["2014-08-06", 23.7425, 21.39631, 143762492],
    ["2020-08-28", 124.8075, 124.406645, 176436116],
    ["2020-08-31", 129.04, 128.625551, 210024091],
  ];
  for (const [date, ofSplit, all, volume] of expected) {
    const day = { start_date: date, end_date: date };
    expect((await read({ ...day, adjustment: "split" })).data).toMatchObject([{ close: ofSplit, volume }]);
    expect((await read({ ...day, adjustment: "all" })).data).toMatchObject([{ close: all, volume }]);
  }
  const { data, adjustment } = await read({ adjustment: "all" });
  expect(data).toHaveLength(2_000);
  expect(adjustment).toEqual({ type: "all", as_of: expect.stringMatching(/^\d{4}-\d\d-\d\d$/) });
  const newest = data.slice(-200).map(({ close }) => Number(close));
  const mean = newest.reduce((sum, close) => sum + close, 0) / 200;
  expect(data.at(-1)!.ma_200).toBeCloseTo(mean, 3);
  // As stored, the split of August 2020 is in it.
  expect((await read({ start_date: "2021-03-31" })).data[0]).toMatchObject({
    close: 122.15,
    ma_200: 198.7835,
  });
});

test("a subscriber hears of actions by their own type", async () => {
  await using live = Subscriber.ask(server.wsUrl, { symbols: "LIVE", types: "corporate_action" });
  await live.until("the subscription", () => live.frames.length > 0);
  const sent = { ex_date: "2024-06-10", type: "split", ratio: "10:1", note: "as sent" };
  await server.command("save_stock_data", {
    ticker: "LIVE",
    index_col: "date",
    data: [{ date: "2024-06-07", close: 9 }],
  });
  expect((await save("LIVE", [sent])).body).toMatchObject({
    message: "Corporate actions saved successfully.",
  });
  await live.until("the split", () => live.frames.some(({ seq, data }) => seq === 2 && data?.payload));
  const updates = live.frames.filter(({ data }) => data?.event_type !== undefined);
  expect(updates).toMatchObject([
    {
      symbol: "LIVE",
      data: {
        type: "corporate_action",
        timestamp: "2024-06-10",
        event_type: "corporate_action_update",
        payload: [sent],
      },
      seq: 2,
    },
  ]);
  const { body } = await server.command("get_snapshot", { ticker: "LIVE" });
  expect(body).toMatchObject({ seq: 2, bar: { daily: { close: 9 } } });
  const ticks = { ticker: "LIVE", data_type: "corporate_action", index_col: "timestamp" };
  const refused = await server.command("save_realtime_data", {
    ...ticks,
    data: [{ timestamp: "2024-01-02T10:00:00Z", price: 1, size: 1 }],
  });
  expect(refused.status).toBe(400);
});

test("what can't be an action is refused with its place and what was expected", async () => {
  const split = { ex_date: "2024-06-10", type: "split", ratio: 2 };
  const refusals: [object, string][] = [
    [{ ...split, ex_date: null }, "data[1].ex_date: got null, expected a date such as 2024-01-02"],
    [{ ...split, ex_date: "soon" }, "data[1].ex_date: "],
    [
      { ...split, type: "merger" },
      'data[1].type: got "merger", expected "split", "dividend", "spinoff" or "symbol_change"',
    ],
    [{ ex_date: "2024-06-10", ratio: 2 }, "data[1].type: got undefined"],
    [
      { ...split, ratio: 0 },
      'data[1].ratio: got 0, expected a number above 0, new for old, such as 7 or "7:1"',
    ],
    [{ ...split, ratio: "7:0" }, 'data[1].ratio: got "7:0"'],
    [{ ...split, ratio: null }, "data[1].ratio: got null, expected one, as a split has it"],
    [{ ...split, cash: 1 }, "data[1].cash: got 1, but a split has no cash"],
    [{ ex_date: "2024-06-10", type: "dividend", cash: -1 }, "data[1].cash: got -1, expected 0 or more"],
    [{ ex_date: "2024-06-10", type: "dividend", cash: "much" }, 'data[1].cash: got "much"'],
    [
      { ex_date: "2024-06-10", type: "dividend", cash: 1, basis: "both" },
      'data[1].basis: got "both", expected "new" or "old"',
    ],
    [{ ex_date: "2024-06-10", type: "symbol_change" }, "data[1].new_ticker: got undefined"],
    [{ ...split, seq: 1_000 }, "data[1].seq: got 1000, expected a whole number from 0 to 999 for a split"],
    [{ ...split, seq: 0 }, "data[1].seq: data[0] has the same ex_date and seq, expected each once"],
  ];
  for (const [record, error] of refusals) {
    const answer = await save("WRONG", [{ ...split, seq: 0 }, record]);
    expect([answer.status, answer.body.error]).toEqual([400, expect.stringContaining(error)] as never);
  }
  expect((await save("WRONG", [])).status).toBe(400);
  expect((await server.command("get_corporate_actions", { ticker: "WRONG" })).body).toEqual({
    message: "No corporate actions found",
    data: [],
  });
  for (const params of [
    { adjustment: "full" },
    { adjustment: "raw", adjust_to: "2024-01-02" },
    { adjust_to: "x" },
  ])
    expect((await server.command("get_stock_data", { ticker: "AAPL", ...params })).status).toBe(400);
});

test("on_duplicate counts within ex-date, type and place", async () => {
  const regular = { ex_date: "2024-06-10", type: "dividend", cash: 0.25 };
  const special = { ...regular, cash: 3 };
  await save("DUP", [regular, special]);
  const cash = async () =>
    (await server.command<{ data: Row[] }>("get_corporate_actions", { ticker: "DUP" })).body.data.map(
      (row) => row.cash,
    );
  expect(await cash()).toEqual([0.25, 3]);
  expect((await save("DUP", [regular], { on_duplicate: "error" })).status).toBe(409);
  await save("DUP", [{ ...regular, cash: 9 }], { on_duplicate: "keep" });
  expect(await cash()).toEqual([0.25, 3]);
  await save("DUP", [{ ...regular, cash: 0.26 }]);
  await save("DUP", [{ ...regular, cash: 1, seq: 1_002 }]);
  expect(await cash()).toEqual([0.26, 3, 1]);
});

test("counted, copied between engines, and there again under the same names", async () => {
  const tables = (await get(`${server.url}/stats/tables`)).body.tables;
  expect(tables.corporate_actions.row_count).toBeGreaterThan(30);
  const tickers = await server.command("get_tickers", { kind: "actions" });
  expect(tickers.body).toMatchObject({ tickers: expect.arrayContaining(["AAPL"]) });
  for (const [to, from] of [
    ["copied.duckdb", server.url],
    ["copied.db", join(server.dir, "copied.duckdb")],
  ] as const) {
    const path = join(server.dir, to);
    const copy = await runCli(["copy", "--from", from, "--to", path, "--list", "--quiet"]);
    expect(copy).toMatchObject({ code: 0, stdout: expect.stringContaining("AAPL\t34\t") });
    const back = await runCli(["copy", "--from", path, "--to", server.url, "--dry-run", "--quiet"]);
    expect(back).toMatchObject({ code: 0, stdout: expect.stringContaining("0 would be written") });
  }
});

test("the last bars of a range are adjusted as all of them are", async () => {
  const read = async (command: string, params: Record<string, unknown>) =>
    (await server.command<{ data: object[]; adjustment: object }>(command, { ticker: "AAPL", ...params }))
      .body;
  for (const params of [{ adjustment: "all" }, { adjustment: "split" }, { adjust_to: "2020-08-31" }]) {
    const all = await read("get_stock_data", { ...params, end_date: "2020-09-10" });
    const last = await read("get_historical_data", {
      ...{ ...params, data_type: "daily", end_date: "2020-09-10", limit: 30 },
    });
    expect(last.data).toEqual(all.data.slice(-30));
    expect(last.adjustment).toEqual(all.adjustment);
  }
  expect(await read("get_historical_data", { interval: "5min", adjustment: "all" })).toMatchObject({
    message: "No historical data found",
  });
  const { status, body } = await server.command("get_historical_data", { ticker: "A", adjustment: "all" });
  expect([status, body.error]).toEqual([
    400,
    'adjustment: only bars are adjusted, got the data_type "trade"',
  ]);
});

test("a dividend after a split is of the share after it, also where no close lies between", async () => {
  const bars = [
    { date: "2024-06-07", close: 1_000 },
    { date: "2024-06-11", close: 98 },
  ];
  await server.command("save_stock_data", { ticker: "GAP", index_col: "date", data: bars });
  const minute = [{ datetime: "2024-06-10T15:00:00Z", close: 100 }];
  const ofMinutes = { ticker: "GAP", interval: "1min" };
  await server.command("save_stock_data", { ...ofMinutes, index_col: "datetime", data: minute });
  await save("GAP", [
    { ex_date: "2024-06-10", type: "split", ratio: 10 },
    { ex_date: "2024-06-11", type: "dividend", cash: 2 },
  ]);
  const closes = async (params: Record<string, unknown>): Promise<number[]> => {
    const { body } = await server.command<{ data: { close: number }[] }>("get_stock_data", params);
    return body.data.map(({ close }) => close);
  };
  expect(await closes({ ticker: "GAP", adjustment: "all" })).toEqual([98, 98]);
  expect(await closes({ ticker: "GAP", adjustment: "dividend" })).toEqual([980, 98]);
  expect(await closes({ ...ofMinutes, adjustment: "all", start_date: "2024-06-10T14:00:00Z" })).toEqual([98]);
  expect(await closes({ ...ofMinutes, adjustment: "all", start_date: "2024-06-11" })).toEqual([]);
});

test("what another program has stored as an action, and can't be one, is passed over", async () => {
  await server.command("save_stock_data", {
    ticker: "ODD",
    index_col: "date",
    data: [{ date: "2024-06-07", close: 10 }],
  });
  await save("ODD", [{ ex_date: "2024-06-10", type: "split", ratio: 2 }]);
  for (const [date, type, ratio, cash] of [
    ["soon", "split", 5, null],
    ["2024-06-11", "merger", 5, null],
    ["2024-06-12", "dividend", null, "much"],
    ["2024-02-31", "split", 3, null],
  ]) {
    const sql =
      "INSERT INTO corporate_actions (ticker, ex_date, type, ratio, cash) VALUES ('ODD', ?, ?, ?, ?)";
    const params = { sql_query: sql, query_type: "raw", query_params: [date, type, ratio, cash] };
    expect((await server.command("execute_sql", params)).status).toBe(200);
  }
  for (const interval of ["daily", "hourly"]) {
    const { status } = await server.command("get_stock_data", { ticker: "ODD", interval, adjustment: "all" });
    expect(status).toBe(200);
  }
  const { data } = await read({ ticker: "ODD", adjustment: "all" });
  expect(data).toMatchObject([{ close: 5 }]);
});
