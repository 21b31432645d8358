/** User-written SQL, which isn't in the transcripts: execute_sql, and GET /api/execute_sql. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type CommandAnswer, type RunningServer, startServer } from "../support/server.ts";

setDefaultTimeout(120_000);

let server: RunningServer;

beforeAll(async () => {
  server = await startServer();
  await run("raw", "create table notes(id integer primary key, text text, weight real, data blob)");
  await run("raw", "insert into notes values (1, 'one', 1.5, x'00ff10'), (2, null, null, null)");
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

interface Told {
  data?: unknown;
  message?: string;
  error?: string;
  details?: string;
  rows_changed?: number;
}
type Answer = CommandAnswer<Told>;

function run(query_type: unknown, sql_query: unknown, query_params?: unknown): Promise<Answer> {
  return server.command("execute_sql", {
    sql_query,
    query_type,
    ...(query_params === undefined ? {} : { query_params }),
  });
}

async function select(sql: string, params?: unknown): Promise<unknown> {
  const { status, body } = await run("select", sql, params);
  expect({ status, error: body.error }).toEqual({ status: 200, error: undefined });
  return body.data;
}

async function get(path: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(server.url + path);
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

describe("execute_sql", () => {
  test("select answers with rows as objects", async () => {
    const { status, body } = await run("select", "select id, text, weight from notes order by id");
    expect(status).toBe(200);
    expect(body).toEqual({
      data: [
        { id: 1, text: "one", weight: 1.5 },
        { id: 2, text: null, weight: null },
      ],
    });
  });

  test("select without rows says so", async () => {
    const { status, body } = await run("select", "select id from notes where id = 99");
    expect(status).toBe(200);
    expect(body).toEqual({ message: "Query executed, no data returned.", data: [] });
  });

  test("raw commits, and answers with the rows if there are any", async () => {
    const inserted = await run("raw", "insert into notes(id, text) values (10, 'ten')");
    expect(inserted.body).toEqual({ message: "Raw SQL query executed.", rows_changed: 1, data: [] });
    const returned = await run("raw", "update notes set text = 'TEN' where id = 10 returning id, text");
    expect(returned.body).toEqual({
      message: "Raw SQL query executed.",
      rows_changed: 1,
      data: [{ id: 10, text: "TEN" }],
    });
    const read = await run("raw", "select text from notes where id = 10");
    expect(read.body).toEqual({ message: "Raw SQL query executed.", data: [{ text: "TEN" }] });
    await run("raw", "delete from notes where id = 10");
    expect(await select("select count(*) n from notes")).toEqual([{ n: 2 }]);
  });

  test("select can't write", async () => {
    for (const sql of [
      "insert into notes(id) values (50)",
      "insert into notes(id) values (50) returning id",
      "update notes set text = 'x'",
      "delete from notes",
      "create table other(x)",
      "drop table notes",
    ]) {
      const { status, body } = await run("select", sql);
      expect({ sql, status }).toEqual({ sql, status: 400 });
      expect(body.error).toBeString();
    }
    expect(await select("select count(*) n, sum(id) s from notes")).toEqual([{ n: 2, s: 3 }]);
    expect(await select("select name from sqlite_schema where name = 'other'")).toEqual([]);
  });

  test("parameters are taken in the order of the list, whatever the placeholders are called", async () => {
    expect(await select("select ? a, ? b", [1, "x"])).toEqual([{ a: 1, b: "x" }]);
    expect(await select("select ?2 a, ?1 b", [1, "x"])).toEqual([{ a: "x", b: 1 }]);
    expect(await select("select :first a, :second b", [1, "x"])).toEqual([{ a: 1, b: "x" }]);
    expect(await select("select ? a, ? b, ? c", [null, true, 1.5])).toEqual([{ a: null, b: 1, c: 1.5 }]);
  });

  test("integers keep their 64 bits, also beside a null", async () => {
    const answer = await fetch(`${server.url}/db_command`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `{"command":"execute_sql","params":{"query_type":"select","query_params":[9007199254740993],
        "sql_query":"select ? a union all select 9223372036854775807 union all select null"}}`,
    });
    expect((await answer.text()).replaceAll(" ", "")).toBe(
      '{"data":[{"a":9007199254740993},{"a":9223372036854775807},{"a":null}]}',
    );
  });

  test("a BLOB is base64 text", async () => {
    for (const type of ["select", "raw"]) {
      const { body } = await run(type, "select data from notes where id = 1");
      expect(body.data).toEqual([{ data: "AP8Q" }]);
    }
  });

  test("of columns with one name the last wins", async () => {
    expect(await select("select 1 a, 2 b, 3 a")).toEqual([{ a: 3, b: 2 }]);
  });

  test("saved rows are in the tables under their old names", async () => {
    await server.command("save_stock_data", {
      ticker: "T",
      index_col: "date",
      data: [{ date: "2024-01-02", open: 1, high: 2, low: 0.5, close: 1.5, volume: 10 }],
    });
    await server.command("save_realtime_data", {
      ticker: "T",
      index_col: "timestamp",
      data: [{ timestamp: "2024-01-02T10:00:00.5Z", price: 1, size: 2, ask_price: 3, ask_size: 4 }],
    });
    expect(
      await select("select ticker, date, open, high, low, close, volume, ma_10, ema_89 from daily_prices"),
    ).toEqual([
      {
        ticker: "T",
        date: "2024-01-02",
        open: 1,
        high: 2,
        low: 0.5,
        close: 1.5,
        volume: 10,
        ma_10: null,
        ema_89: null,
      },
    ]);
    expect(
      await select("select ticker, timestamp, type, price, size, ask_price, ask_size from realtime_data"),
    ).toEqual([
      {
        ticker: "T",
        timestamp: "2024-01-02 10:00:00.500000",
        type: "quote",
        price: 1,
        size: 2,
        ask_price: 3,
        ask_size: 4,
      },
    ]);
    expect(await select("select datetime, write_timestamp from hourly_prices")).toEqual([]);
  });

  test("what is missing or misspelt is refused", async () => {
    const missing = "Missing 'sql_query' or 'query_type' for execute_sql";
    const wrongType = "Invalid 'query_type'. Must be 'select' or 'raw'.";
    const cases: [unknown, unknown, unknown, string][] = [
      ["select", undefined, undefined, missing],
      ["select", "", undefined, missing],
      [undefined, "select 1", undefined, missing],
      ["", "select 1", undefined, missing],
      ["SELECT", "select 1", undefined, wrongType],
      ["delete", "select 1", undefined, wrongType],
      ["select", "select ?", "x", "'query_params' must be a list or tuple."],
      ["select", "select ?", { a: 1 }, "'query_params' must be a list or tuple."],
    ];
    for (const [type, sql, params, error] of cases) {
      const { status, body } = await run(type, sql, params);
      expect({ status, error: body.error }).toEqual({ status: 400, error });
    }
  });

  test("an error of the SQL is the caller's, and says what it is", async () => {
    const cases: [string, unknown[], RegExp][] = [
      ["selec 1", [], /syntax/],
      ["select * from nowhere", [], /nowhere/],
      ["select ?, ?", [1], /parameter|binding/i],
      ["select ?", [1, 2], /parameter|binding/i],
      ["select ?", [[1]], /parameter/],
      ["select ?", [{ a: 1 }], /parameter/],
      ["select 1; select 2", [], /one statement/i],
      ["insert into notes(id) values (1)", [], /UNIQUE/],
    ];
    for (const [sql, params, naming] of cases) {
      const { status, body } = await run("raw", sql, params);
      expect({ sql, status }).toEqual({ sql, status: 400 });
      expect(`${body.error} ${body.details}`).toMatch(naming);
    }
  });
});

describe("GET /api/execute_sql", () => {
  const path = (query: Record<string, string>, name = "execute_sql") =>
    `/api/${name}?${new URLSearchParams(query)}`;

  test("answers as execute_sql does, under both names of the path and of the parameter", async () => {
    const found = { status: 200, body: { data: [{ id: 1 }, { id: 2 }] } };
    const sql = "select id from notes order by id";
    expect(await get(path({ sql }))).toEqual(found);
    expect(await get(path({ sql_query: sql }))).toEqual(found);
    expect(await get(path({ sql }, "sql_query"))).toEqual(found);
    expect(await get(path({ sql, query_type: "SELECT" }))).toEqual(found);
    expect((await get(path({ sql, query_type: "Raw" }))).body).toEqual({
      message: "Raw SQL query executed.",
      data: [{ id: 1 }, { id: 2 }],
    });
    expect((await get(path({ sql: "select ? a, ? b", query_params: '[1,"x"]' }))).body).toEqual({
      data: [{ a: 1, b: "x" }],
    });
    expect((await get(path({ sql: "select 1 where 0" }))).body).toEqual({
      message: "Query executed, no data returned.",
      data: [],
    });
  });

  test("refuses what is missing or no JSON list", async () => {
    const refused = async (query: Record<string, string>) => {
      const { status, body } = await get(path(query));
      return { status, error: body.error };
    };
    expect(await refused({})).toEqual({
      status: 400,
      error: "Missing required parameter 'sql' or 'sql_query'",
    });
    expect(await refused({ sql: "select ?", query_params: "{}" })).toEqual({
      status: 400,
      error: "'query_params' must be a JSON array",
    });
    expect(await refused({ sql: "select ?", query_params: "[" })).toEqual({
      status: 400,
      error: expect.stringMatching(/^Invalid JSON in 'query_params': ./),
    });
    expect((await refused({ sql: "selec 1" })).status).toBe(400);
    expect((await refused({ sql: "select 1", query_type: "write" })).status).toBe(400);
  });

  test("never writes: any web page can make a browser send a GET", async () => {
    for (const query_type of ["select", "raw"]) {
      const { status } = await get(path({ sql: "insert into notes(id) values (77)", query_type }));
      expect([400, 403]).toContain(status);
    }
    expect(await select("select count(*) n from notes where id = 77")).toEqual([{ n: 0 }]);
  });
});
