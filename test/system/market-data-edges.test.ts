/** What /v1 refuses, and how its answers are packed and break off. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { tableFromIPC } from "apache-arrow";
import { get } from "../support/requests.ts";
import { type RunningServer, startServer } from "../support/server.ts";

setDefaultTimeout(180_000);

const START_MS = Date.UTC(2024, 0, 2);

async function saveTrades(server: RunningServer, ticker: string, sizes: number[]): Promise<void> {
  const data = sizes.map((size, i) => ({
    timestamp: new Date(START_MS + i).toISOString(),
    ...{ price: 1 + i / 100, size, id: i },
  }));
  const { status } = await server.command("save_realtime_data", {
    ...{ ticker, index_col: "timestamp", data_type: "trade", data },
  });
  expect(status).toBe(200);
}

function columnsOf(arrow: Uint8Array): unknown {
  const table = tableFromIPC(arrow);
  return table.schema.fields.map(({ name }) => [name, [...table.getChild(name)!]]);
}

const WRONG: [query: string, error: string][] = [
  ["/v1/trades", "symbols: it is missing, expected tickers such as AAPL,SPY, or *"],
  ["/v1/trades?symbols=A&symbols=B", "symbols: got it twice, expected it once"],
  ["/v1/trades?symbols=A&symbol=B", "symbol: got it beside symbols, expected one of them"],
  ["/v1/trades?symbols=A*B", 'symbols: got "A*B", expected a star only at the end, as in AA*'],
  ["/v1/trades?symbols=A&limit=0", 'limit: got "0", expected a whole number from 1 to 100000'],
  ["/v1/trades?symbols=A&limit=1e3", 'limit: got "1e3", expected a whole number from 1 to 100000'],
  ["/v1/trades?symbols=A&sort=up", 'sort: got "up", expected "asc" or "desc"'],
  ["/v1/trades?symbols=A&tz=EST", 'tz: got "EST", expected an IANA time zone such as "America/New_York"'],
  [
    "/v1/trades?symbols=A&format=xml",
    'format: got "xml", expected one of json, columns, ndjson, csv, arrow, parquet',
  ],
  ["/v1/trades?symbols=A&limti=1", '"limti" is no parameter of /v1/trades; did you mean limit?'],
  [
    "/v1/trades?symbols=A&columns=close",
    'columns: got "close", expected some of symbol, timestamp, price, size, id, exchange, conditions, tape, seq, extra',
  ],
  [
    "/v1/trades?symbols=A&start=2024-01-02&end=2024-01-01",
    'end: got "2024-01-01", expected no earlier than start',
  ],
  ["/v1/bars?symbols=A", "timeframe: it is missing, expected a length of bars such as 1Min, 1Hour or 1Day"],
  [
    "/v1/bars?symbols=A&timeframe=1Day&adjustment=raw&adjust_to=2024-01-02",
    "adjust_to: got a date beside adjustment=raw, expected one of them",
  ],
  [
    "/v1/bars?symbols=A&timeframe=1Day&adjust_to=soon",
    'adjust_to: got "soon", expected a date such as 2024-01-02',
  ],
  ["/v1/latest?symbols=A&timeframe=1Day", "timeframe: got it for trades, expected it only with of=bars"],
  ["/v1/options?underlying=A&strike_price_gte=x", 'strike_price_gte: got "x", expected a number'],
  ["/v1/sql", "sql: it is missing, expected an SQL statement"],
];

test("errors name the parameter, its value and what was expected", async () => {
  await using server = await startServer();
  for (const [path, error] of WRONG)
    expect([path, (await get(server.url + path)).body]).toEqual([path, { error }]);
  const { body } = await get(`${server.url}/v1/trades?symbols=A&start=soon`);
  expect(body.error).toStartWith('start: cannot read "soon" as a timestamp');
  const list = await fetch(`${server.url}/v1/tickers`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "[]",
  });
  expect([list.status, await list.json()]).toEqual([
    400,
    { error: "body: got [], expected an object with parameters" },
  ]);
});

test("a page of another site is refused, and the operator's bounds of SQL hold", async () => {
  await using server = await startServer({ flags: ["--sql", "off", "--read-only"] });
  const foreign = await get(`${server.url}/v1/tickers`, { origin: "https://elsewhere.example" });
  expect(foreign.status).toBe(403);
  expect((await get(`${server.url}/v1/tickers`, { host: "elsewhere.example" })).status).toBe(403);
  expect((await get(`${server.url}/v1/tickers`)).body).toEqual({ tickers: [], next_page_token: null });
  const sql = await get(`${server.url}/v1/sql?sql=SELECT+1`);
  expect([sql.status, sql.body.error]).toEqual([403, expect.stringContaining("--sql off")]);
});

test("GET of SQL can be turned off by itself, and neither way writes", async () => {
  await using server = await startServer({ flags: ["--sql-get", "off"] });
  expect((await get(`${server.url}/v1/sql?sql=SELECT+1`)).status).toBe(403);
  const long = 2n ** 53n + 1n;
  const post = async (sql: string): Promise<Response> =>
    fetch(`${server.url}/v1/sql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `{"sql":${JSON.stringify(sql)},"params":[${long}]}`,
    });
  expect(await (await post("SELECT ? AS x")).text()).toContain(`"x":${long}`);
  expect((await post("DELETE FROM daily_prices WHERE volume = ?")).status).toBe(400);
});

test("large answers are packed as asked", async () => {
  await using server = await startServer();
  const whole = Array.from({ length: 60_000 }, (_, i) => i);
  for (const ticker of ["A", "B"]) await saveTrades(server, ticker, whole);
  for (const format of ["json", "csv", "arrow"]) {
    const path = `${server.url}/v1/trades?symbols=A&format=${format}`;
    const read = async (coding: string): Promise<unknown> => {
      const response = await fetch(path, { headers: { "accept-encoding": coding } });
      const bytes = Buffer.from(await response.arrayBuffer());
      // The same rows may come in other batches.
      const rows = format === "arrow" ? columnsOf(bytes) : bytes.toString();
      return { coding: response.headers.get("content-encoding"), rows };
    };
    const { rows } = (await read("identity")) as { rows: unknown };
    for (const coding of ["zstd", "gzip"])
      expect(Bun.deepEquals(await read(coding), { coding, rows })).toBe(true);
  }
});

for (const [coding, format] of [
  ["identity", "arrow"],
  ["zstd", "arrow"],
  ["gzip", "parquet"],
]) {
  test(`an answer that breaks off is never whole: ${format}, ${coding}`, async () => {
    await using server = await startServer();
    // Of all counts, the last one isn't whole.
    await saveTrades(server, "A", [...Array.from({ length: 50_000 }, (_, i) => i), 0.5]);
    const response = await fetch(`${server.url}/v1/trades?symbols=*&format=${format}`, {
      headers: { "accept-encoding": coding! },
    });
    expect(response.status).toBe(200);
    const outcome = response.arrayBuffer().then(
      () => "whole",
      () => "broken off",
    );
    expect(await outcome).toBe("broken off");
    await server.logged("an answer was broken off after its first byte: size has values that aren't whole");
  });
}

test("rows of a streamed answer are those of its pages, though others are saved meanwhile", async () => {
  await using server = await startServer();
  await saveTrades(
    server,
    "A",
    Array.from({ length: 50_000 }, (_, i) => i),
  );
  const response = await fetch(`${server.url}/v1/trades?symbols=*&format=ndjson&columns=size`);
  const reader = response.body!.getReader();
  const pieces = [(await reader.read()).value!];
  await saveTrades(
    server,
    "A",
    Array.from({ length: 50_001 }, (_, i) => i),
  );
  await saveTrades(server, "B", [1]);
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) pieces.push(piece.value);
  const lines = Buffer.concat(pieces).toString().trim().split("\n");
  expect(lines).toHaveLength(50_000);
  expect(lines.every((line, i) => JSON.parse(line).size === i)).toBe(true);
});

test("the page of the description runs no script and asks nobody", async () => {
  await using server = await startServer();
  const response = await fetch(`${server.url}/docs`);
  const html = await response.text();
  expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  expect(html).not.toMatch(/<script|https?:|\son\w+=|style="/);
  for (const path of ["/v1/bars", "/v1/sql"]) expect(html).toContain(`action="${path}"`);
});
