/** What the names and values of saved records mean, on every engine. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { copySeries } from "../support/copying.ts";
import { exportFrom } from "../support/exporting.ts";
import { usePostgres } from "../support/postgres.ts";
import type { Json } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();
const ENGINES: [string, (folder: string, name: string) => string | Promise<string>][] = [
  ["sqlite", (folder, name) => join(folder, `${name}.db`)],
  ["duckdb", (folder, name) => join(folder, `${name}.duckdb`)],
  ["postgres", () => postgres.freshSchema()],
];
const STAMP = "2024-01-02T15:00:00Z";

/** A body, as JSON text: JavaScript has no way to write some members. */
async function send(server: RunningServer, command: string, params: string): Promise<Json> {
  const answer = await fetch(`${server.url}/db_command`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: `{"command":"${command}","params":{${params}}}`,
  });
  return { status: answer.status, ...((await answer.json()) as object) };
}

const saveTicks = (server: RunningServer, type: string, data: string, more = ""): Promise<Json> =>
  send(
    server,
    "save_realtime_data",
    `"ticker":"A","data_type":"${type}","index_col":"timestamp","data":[${data}]${more}`,
  );

async function ticksOf(server: RunningServer, type: string): Promise<Json[]> {
  const params = { ticker: "A", data_type: type, include_extra: true };
  const { body } = await server.command("get_realtime_data", params);
  return (body.data as Json[]).map(({ price, size, id, extra }: Json) => [price, size, id, extra]);
}

test.each(ENGINES)("%s: a text that not every engine holds is refused, by its name", async (_, dbFileOf) => {
  using folder = tempDir();
  await using server = await startServer({ dbFile: await dbFileOf(folder.path, "nul") });
  for (const odd of ["\\u0000", "a\\u0000b", "\\ud800"]) {
    const tick = `"timestamp":"${STAMP}","price":1,"size":1`;
    for (const [name, refused] of [
      ["data[1].id", await saveTicks(server, "trade", `{${tick}},{${tick},"id":"${odd}"}`)],
      ["data[0].x", await saveTicks(server, "trade", `{${tick},"X":"${odd}"}`, ',"id_col":"x"')],
      ["data_type", await saveTicks(server, odd, `{${tick}}`)],
    ]) {
      const { status, error } = refused;
      expect([name, status, error]).toEqual([name, 400, expect.stringContaining(`${name}: got`)]);
    }
    // As JSON in the column `extra`, names and values may be anything.
    expect(await saveTicks(server, "trade", `{${tick},"n${odd}":"v${odd}"}`)).toMatchObject({ status: 200 });
  }
  expect((await ticksOf(server, "trade")).map(([, , , extra]) => extra)).toEqual([
    { "n\0": "v\0" },
    { "na\0b": "va\0b" },
    { "n\ud800": "v\ud800" },
  ]);
});

test.each(ENGINES)("%s: no name of another column is special", async (_, dbFileOf) => {
  using folder = tempDir();
  await using server = await startServer({ dbFile: await dbFileOf(folder.path, "names") });
  const names = ["__proto__", "", "constructor", "toString", "hasOwnProperty", "valueOf", "extra"];
  const odd = names.map((name, index) => `"${name}":${index}`).join(",");
  // Names are told apart in lower case.
  const kept = `{${odd.toLowerCase()}}`;
  await using subscriber = await Subscriber.open(server.wsUrl, "A");
  const tick = `{"timestamp":"${STAMP}","price":1,"size":1,${odd}}`;
  expect(await saveTicks(server, "trade", tick)).toMatchObject({ status: 200, stored: 1 });
  expect(JSON.stringify(await ticksOf(server, "trade"))).toBe(`[[1,1,null,${kept}]]`);
  const nested = `{"timestamp":"${STAMP}","price":2,"size":1,"extra":{"in":[${kept},{${odd}}],${odd}}}`;
  expect(await saveTicks(server, "trade", nested)).toMatchObject({ status: 200, stored: 1 });
  const inside = (await ticksOf(server, "trade"))[1]![3];
  expect(JSON.stringify(inside)).toBe(`{"in":[${kept},{${odd}}],${odd}}`);
  for (const [interval, index] of [
    ["daily", "date"],
    ["hourly", "datetime"],
    ["5min", "datetime"],
  ] as const) {
    const bar = `{"${index}":"2024-01-02","close":1,${odd}}`;
    const params = `"ticker":"A","interval":"${interval}","index_col":"${index}","data":[${bar}]`;
    expect(await send(server, "save_stock_data", params)).toMatchObject({ status: 200 });
    const { body } = await server.command("get_stock_data", { ticker: "A", interval, include_extra: true });
    expect([interval, JSON.stringify((body.data as Json[])[0].extra)]).toEqual([interval, kept]);
  }
  await subscriber.until("all updates", () => subscriber.updates.length === 5);
  expect(JSON.stringify(subscriber.updates[0]!.data.payload)).toBe(`[${tick.replaceAll(" ", "")}]`);
});

test("files keep columns of every name, and a copy takes none of them for something else", async () => {
  using folder = tempDir();
  await using server = await startServer();
  const csv = join(folder.path, "trades.csv");
  writeFileSync(
    csv,
    "timestamp,price,size,__proto__,constructor,bid_price\n2024-01-02T15:00:00Z,1,1,a,b,5\n",
  );
  const json = join(folder.path, "trades.ndjson");
  writeFileSync(
    json,
    '{"timestamp":"2024-01-02T15:00:01Z","price":1,"size":1,"__proto__":"a"}\n{"timestamp":"2024-01-02T15:00:02Z","price":1,"size":1,"__proto__":"a","late":1}\n',
  );
  for (const file of [csv, json]) {
    const into = ["--ticker", "A", "--type", "trade", "--to", server.url];
    const { code, stderr } = await runCli(["import", file, "--quiet", ...into]);
    expect([stderr, code]).toEqual(["", 0]);
  }
  // Names that mean something in a record that is saved, and those of another case.
  const extra = '"id":1,"trade_id":2,"bid_price":3,"price":4,"Venue":5,"__proto__":6,"extra":{"extra":7}';
  const tick = `{"timestamp":"2024-01-02T15:00:03Z","price":1,"size":1,"deal":null,"extra":{${extra}}}`;
  expect(await saveTicks(server, "trade", tick, ',"id_col":"deal"')).toMatchObject({
    status: 200,
    stored: 1,
  });
  const expected = [
    '{"__proto__":"a","constructor":"b","bid_price":5}',
    '{"__proto__":"a"}',
    '{"__proto__":"a","late":1}',
    `{${extra}}`,
  ];
  const extras = async (of: RunningServer) =>
    (await ticksOf(of, "trade")).map(([, , id, extra]) => [id, JSON.stringify(extra)]);
  const all = expected.map((text) => [null, text]);
  expect(await extras(server)).toEqual(all);
  await using other = await startServer();
  await copySeries(server.url, other.url);
  expect(await extras(other)).toEqual(all);
  for (const format of ["csv", "parquet", "arrow", "ndjson"]) {
    const out = join(folder.path, format);
    expect((await exportFrom(server.url, out, "--format", format)).stderr).toBe("");
    const dbFile = join(folder.path, `${format}.db`);
    const { code, stderr } = await runCli(["import", out, "--quiet", "--db-file", dbFile]);
    expect([format, stderr, code]).toEqual([format, "", 0]);
    await using imported = await startServer({ dbFile });
    expect([format, ...(await extras(imported))]).toEqual([format, ...all]);
  }
});

test("the column of the stamps is no id, whatever its name is", async () => {
  await using server = await startServer();
  const data = [1, 1, 2].map((price) => ({ i: STAMP, price, size: 1 }));
  const params = { ticker: "T", data_type: "trade", index_col: "i", data };
  expect((await server.command("save_realtime_data", params)).body).toMatchObject({ stored: 3 });
  const read = { ticker: "T", data_type: "trade", include_extra: true };
  const { body } = await server.command<{ data: { id: string | null }[] }>("get_realtime_data", read);
  expect(body.data.map(({ id }) => id)).toEqual([null, null, null]);
});

test("the id is the first that a record really has", async () => {
  await using server = await startServer();
  const tick = (price: number, more: string): string =>
    `{"timestamp":"${STAMP}","price":${price},"size":1,${more}}`;
  const data = [
    tick(1, '"id":null,"trade_id":5'),
    tick(2, '"id":"","tradeID":6,"i":7'),
    tick(3, '"id":8,"trade_id":9'),
    tick(4, '"i":12345678901234567890'),
    tick(5, '"id":null'),
  ];
  expect(await saveTicks(server, "trade", data.join(","))).toMatchObject({ status: 200, stored: 5 });
  expect(await ticksOf(server, "trade")).toEqual([
    [1, 1, "5", null],
    [2, 1, "6", { i: 7 }],
    [3, 1, "8", { trade_id: 9 }],
    [4, 1, "12345678901234567890", null],
    [5, 1, null, null],
  ]);
  // Another column was named: that one alone, and a member `id` is a column like others.
  expect(await saveTicks(server, "deal", tick(1, '"id":1,"Deal":"x"'), ',"id_col":"deal"')).toMatchObject({
    status: 200,
  });
  expect(await ticksOf(server, "deal")).toEqual([[1, 1, "x", { id: 1 }]]);
  for (const name of ["constructor", "__proto__", "toString"])
    expect(await saveTicks(server, "deal", tick(1, '"id":1'), `,"id_col":"${name}"`)).toMatchObject({
      status: 400,
      error: `id_col: got "${name}", and no row has a column of that name`,
    });
});

test("a column beside `extra` and in it would lose one of them", async () => {
  await using server = await startServer();
  for (const members of ['"x":1,"extra":{"x":1}', '"extra":{"y":1,"x":1},"X":2']) {
    const saved = await saveTicks(server, "trade", `{"timestamp":"${STAMP}","price":1,"size":1,${members}}`);
    expect([saved.status, saved.error]).toEqual([
      400,
      'data[0]: got "x" in "extra" and beside it, expected one of them',
    ]);
  }
});

test("bid_price and bid_size are a quote's price and size where it has no others", async () => {
  await using server = await startServer();
  await using subscriber = await Subscriber.open(server.wsUrl, "A");
  const quotes = [
    '"price":null,"size":null,"bid_price":1,"bid_size":2',
    '"bid_price":3,"bid_size":4',
    '"price":5,"size":6,"bid_price":7,"bid_size":8',
    '"price":null,"size":null,"bid_price":null',
  ].map((members) => `{"timestamp":"${STAMP}",${members}}`);
  expect(await saveTicks(server, "quote", quotes.join(","))).toMatchObject({ status: 200, stored: 4 });
  const expected = [
    [1, 2, null, null],
    [3, 4, null, null],
    [5, 6, null, { bid_price: 7, bid_size: 8 }],
    [null, null, null, null],
  ];
  expect(await ticksOf(server, "quote")).toEqual(expected);
  await subscriber.until("the update", () => subscriber.updates.length === 1);
  expect(subscriber.updates[0]!.data.payload.map((row: Json) => [row.bid_price, row.bid_size])).toEqual(
    expected.map(([price, size]) => [price, size]),
  );
  const trade = `{"timestamp":"${STAMP}","price":null,"size":1,"bid_price":9,"bid_size":10}`;
  expect(await saveTicks(server, "trade", trade)).toMatchObject({ status: 200, stored: 1 });
  expect(await ticksOf(server, "trade")).toEqual([[null, 1, null, { bid_price: 9, bid_size: 10 }]]);
  expect(
    await saveTicks(server, "trade", `{"timestamp":"${STAMP}","bid_price":9,"bid_size":10}`),
  ).toMatchObject({
    status: 400,
    error: "data: the rows have no column 'price'; expected price and size, null where there is none",
  });
});
