import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { freePort } from "../support/free-port.ts";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { type Frame, Subscriber } from "../support/subscriber.ts";

setDefaultTimeout(180_000);

const MAIN = resolve(import.meta.dir, "../../src/main.ts");
const SAMPLE = resolve(import.meta.dir, "../../sample");
const TRADES = join(SAMPLE, "ibm-trades.csv.gz");
const QUOTES = join(SAMPLE, "ibm-quotes.csv.gz");

let server: RunningServer;
let dir: string;
beforeAll(async () => {
  server = await startServer({ workers: 2 });
  dir = await mkdtemp(join(tmpdir(), "stock-db-replay-"));
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

async function replay(args: string[], input?: Uint8Array) {
  const outcome = await runCli(["replay", "--to", server.url, "--json", ...args], input);
  return { ...outcome, summary: outcome.stdout === "" ? null : JSON.parse(outcome.stdout) };
}

async function csv(name: string, lines: string[]): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, `${lines.join("\n")}\n`);
  return path;
}

async function linesOf(packed: string): Promise<string[]> {
  return new TextDecoder()
    .decode(Bun.gunzipSync(await Bun.file(packed).bytes()))
    .trim()
    .split("\n");
}

/** [type, stamp, price] of every tick that came, in order. */
function ticksOf(frames: Frame[]): [string, string, number][] {
  return frames.flatMap(({ data }) =>
    (data.payload as Record<string, unknown>[]).map((tick): [string, string, number] => [
      data.type,
      tick.timestamp as string,
      (tick.price ?? tick.bid_price) as number,
    ]),
  );
}

/**
 * What a subscriber of the files' ticks must see: by time, and of one moment the first file's
 * first.
 */
async function expectedTicks(files: [type: string, packed: string][]): Promise<[string, string, number][]> {
  const all: [string, string, number][] = [];
  for (const [type, packed] of files) {
    const [, ...rows] = await linesOf(packed);
    for (const row of rows) {
      const [stamp, price] = row.split(",");
      all.push([type, stamp!, Number(price)]);
    }
  }
  return all.sort((a, b) => (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0));
}

test("real trades and quotes of two files reach a subscriber in order, each once", async () => {
  for (const [ticker, speed] of [
    ["FAST", "max"],
    ["PACED", "20000"],
  ] as const) {
    await using subscriber = await Subscriber.open(server.wsUrl, ticker);
    const { code, summary } = await replay([TRADES, QUOTES, "--ticker", ticker, "--speed", speed]);
    expect(code).toBe(0);
    expect(summary).toMatchObject({
      ok: true,
      ticks: 6_000,
      types: { trade: 5_000, quote: 1_000 },
      tickers: 1,
      first: "2013-10-08T08:00:00.640000Z",
      last: "2013-10-08T14:10:51.255000Z",
      stoppedBy: null,
    });
    await waitUntil("every tick has come", () => ticksOf(subscriber.updates).length >= 6_000);
    expect(ticksOf(subscriber.updates)).toEqual(
      await expectedTicks([
        ["trade", TRADES],
        ["quote", QUOTES],
      ]),
    );
  }
});

test("the rhythm is that of the stamps, divided by the speed", async () => {
  const rows = ["timestamp,price,size"];
  for (let i = 0; i <= 10; i++) rows.push(`2024-01-02T10:00:${String(i * 2).padStart(2, "0")}Z,${100 + i},1`);
  const file = await csv("regular.csv", rows);
  await using subscriber = await Subscriber.open(server.wsUrl, "RHYTHM");
  const started = performance.now();
  const { code, summary } = await replay([file, "--ticker", "RHYTHM", "--speed", "5"]);
  expect(code).toBe(0);
  // A busy machine may only make it longer.
  expect(summary.seconds).toBeGreaterThanOrEqual(4);
  await waitUntil("every tick has come", () => ticksOf(subscriber.updates).length === 11);
  const times = subscriber.updates.map(({ atMs }) => atMs - started);
  for (const [i, atMs] of times.entries()) expect(atMs).toBeGreaterThanOrEqual(i * 400 - 5);
  // They don't come all at the end; the first may be late.
  expect(times.at(-1)! - times[0]!).toBeGreaterThan(1_000);
});

test("repeated without --restamp it changes nothing, with it every tick is new and of now", async () => {
  const [header, ...rows] = await linesOf(TRADES);
  const file = await csv("few.csv", [header!, ...rows.slice(3, 103)]);
  const stored = async (): Promise<{ timestamp: string; price: number }[]> =>
    (
      await server.command<{ data: { timestamp: string; price: number }[] }>("get_realtime_data", {
        ticker: "AGAIN",
        data_type: "trade",
      })
    ).body.data;
  for (let i = 0; i < 2; i++)
    expect((await replay([file, "--ticker", "AGAIN", "--speed", "max"])).code).toBe(0);
  expect((await stored()).length).toBe(100);

  await using subscriber = await Subscriber.open(server.wsUrl, "AGAIN");
  const startedAt = Date.now();
  expect((await replay([file, "--ticker", "AGAIN", "--speed", "1000", "--restamp"])).code).toBe(0);
  const endedAt = Date.now();
  await waitUntil("every tick has come", () => ticksOf(subscriber.updates).length === 100);
  const all = await stored();
  expect(all.length).toBe(200);
  for (const { timestamp } of all.slice(100)) {
    expect(Date.parse(timestamp)).toBeGreaterThanOrEqual(startedAt);
    expect(Date.parse(timestamp)).toBeLessThanOrEqual(endedAt + 1);
  }
  expect(all.slice(100).map(({ price }) => price)).toEqual(all.slice(0, 100).map(({ price }) => price));
});

test("ticks of a database go into another server, of the tickers, types and times asked for", async () => {
  const dbFile = join(dir, "source.db");
  for (const [file, ticker] of [
    [TRADES, "IBM"],
    [QUOTES, "IBM"],
    [TRADES, "OTHER"],
  ] as const) {
    expect((await runCli(["import", file, "--ticker", ticker, "--db-file", dbFile, "--quiet"])).code).toBe(0);
  }
  await using subscriber = await Subscriber.open(server.wsUrl, "IBM");
  const { code, summary } = await replay([
    ...["--from", dbFile, "--tickers", "IBM", "--types", "trade,quote"],
    ...["--start", "2013-10-08T12:48", "--end", "2013-10-08T13:30:00", "--speed", "max"],
  ]);
  expect(code).toBe(0);
  const within = (
    await expectedTicks([
      ["quote", QUOTES],
      ["trade", TRADES],
    ])
  ).filter(([, stamp]) => stamp >= "2013-10-08T12:48" && stamp <= "2013-10-08T13:30:00.000000Z");
  expect(within.length).toBeGreaterThan(5);
  expect(summary.ticks).toBe(within.length);
  await waitUntil("every tick has come", () => ticksOf(subscriber.updates).length >= within.length);
  expect(ticksOf(subscriber.updates)).toEqual(within);

  const nothing = await replay(["--from", dbFile, "--tickers", "NOPE"]);
  expect(nothing.code).toBe(1);
  expect(nothing.stderr).toContain("NOPE: the database has no ticks of it");
});

test("equal ticks, ids and other columns come through, one by one and once", async () => {
  const [from, to] = [join(dir, "equal.db"), join(dir, "replayed.db")];
  const rowsOf = async ({ command }: RunningServer) =>
    (
      (await command("get_realtime_data", { ticker: "EQ", data_type: "trade", include_extra: true })).body
        .data as Record<string, unknown>[]
    ).map(({ write_timestamp: _, ...row }) => row);
  const tick = (second: number) => ({ timestamp: `2024-01-02T15:00:0${second}Z`, price: 1, size: 1 });
  const data = [
    ...[tick(1), tick(1), tick(1)],
    ...["1", "2"].map((id) => ({ ...tick(2), id, venue: "V" })),
    ...["V", "V", "W"].map((venue) => ({ ...tick(3), venue })),
    { ...tick(4), extra: { ID: 5, id: 6 }, size: 9007199254740991 },
  ];
  let stored: Record<string, unknown>[];
  {
    await using source = await startServer({ dbFile: from });
    await source.command("save_realtime_data", {
      ...{ ticker: "EQ", data_type: "trade", index_col: "timestamp", data, on_duplicate: "append" },
    });
    stored = await rowsOf(source);
    expect(stored).toHaveLength(data.length);
  }
  const file = await csv("equal.csv", [
    "timestamp,price,size,venue",
    ...Array(3).fill("2024-01-03T15:00:00Z,1,1,V"),
    "2024-01-03T15:00:00Z,1,1,W",
  ]);
  await using target = await startServer({ dbFile: to });
  for (const _ of ["once", "again"]) {
    for (const source of [
      ["--from", from],
      [file, "--ticker", "EQ", "--type", "trade"],
    ]) {
      const flags = ["--to", target.url, "--speed", "max", "--batch", "1", "--quiet"];
      const { code, stderr } = await runCli(["replay", ...source, ...flags]);
      expect([stderr, code]).toEqual(["", 0]);
    }
    const replayed = await rowsOf(target);
    expect(replayed.slice(0, data.length)).toEqual(stored);
    expect(replayed.slice(data.length).map(({ extra }) => extra)).toEqual([
      ...[{ venue: "V" }, { venue: "V" }, { venue: "V" }, { venue: "W" }],
    ]);
  }
});

test("standard input with a column of tickers", async () => {
  const text =
    "symbol,timestamp,price,size\nC1,2024-01-02T10:00:00Z,1,1\nC2,2024-01-02T10:00:00Z,2,1\nC1,2024-01-02T10:00:01Z,3,1\n";
  const { code, summary } = await replay(["-", "--speed", "max"], new TextEncoder().encode(text));
  expect(code).toBe(0);
  expect(summary).toMatchObject({ ticks: 3, tickers: 2 });
  const { body } = await server.command("get_latest_prices", { tickers: ["C1", "C2"] });
  expect(body).toEqual({ prices: { C1: 3, C2: 2 } });
});

test("what can't be played stops it, and says where", async () => {
  const header = "timestamp,price,size";
  const cases: [name: string, lines: string[], message: string][] = [
    [
      "unsorted.csv",
      [header, "2024-01-02T10:00:01Z,1,1", "2024-01-02T10:00:00Z,1,1"],
      "unsorted.csv:3: timestamp 2024-01-02 10:00:00.000000 comes after",
    ],
    ["bad.csv", [header, "2024-01-02T10:00:01Z,x,1"], 'bad.csv:2: column "price"'],
    [
      "bars.csv",
      ["date,open,high,low,close", "2024-01-02,1,1,1,1", "2024-01-03,1,1,1,1"],
      "a replay plays ticks",
    ],
  ];
  for (const [name, lines, message] of cases) {
    const { code, stderr, summary } = await replay([
      await csv(name, lines),
      "--ticker",
      "BAD",
      "--speed",
      "max",
    ]);
    expect(stderr).toContain(message);
    expect(summary.ok).toBe(false);
    expect(code).toBe(1);
  }
  const without = await replay([TRADES]);
  expect(without.stderr).toContain('no column "ticker" or "symbol"');
  for (const [args, message] of [
    [[], "expected at least one FILE"],
    [[TRADES, "--speed", "0"], '--speed "0"'],
    [[TRADES, "--speed", "max", "--restamp"], "--restamp needs a rhythm"],
    [[TRADES, "--from", "x.db"], "got both"],
    [[TRADES, "--start", "never"], '--start "never"'],
  ] as [string[], string][]) {
    const { code, stderr } = await runCli(["replay", ...args]);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  }
});

test("Ctrl-C ends it with what was saved, also while it waits for standard input", async () => {
  for (const source of [TRADES, "-"]) {
    await using child = Bun.spawn(
      [
        process.execPath,
        "--no-orphans",
        MAIN,
        "replay",
        source,
        "--ticker",
        "STOPPED",
        "--to",
        server.url,
        "--json",
      ],
      { stdin: "pipe", stdout: "pipe", stderr: "pipe" },
    );
    if (source === "-") {
      const rows = ["timestamp,bid,size"];
      // More than are looked at to tell the columns, and more than one batch.
      for (let i = 0; i < 1_000; i++) rows.push(`2024-01-02T10:00:00.${String(i).padStart(6, "0")}Z,${i},1`);
      child.stdin.write(`${rows.join("\n")}\n`);
      child.stdin.flush();
    }
    await waitUntil("ticks are saved", async () => {
      const params = { ticker: "STOPPED", data_type: source === "-" ? "quote" : "trade" };
      const { body } = await server.command<{ data?: unknown[] }>("get_realtime_data", params);
      return (body.data?.length ?? 0) > 0;
    });
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
    const summary = JSON.parse(await child.stdout.text());
    expect(summary).toMatchObject({ ok: false, stoppedBy: "interrupted" });
    expect(summary.ticks).toBeGreaterThan(0);
  }
});

test("a server that is restarted meanwhile misses nothing", async () => {
  const rows = ["timestamp,price,size"];
  for (let i = 0; i < 40; i++) rows.push(`2024-01-02T10:00:${String(i).padStart(2, "0")}Z,${i},1`);
  const file = await csv("restarted.csv", rows);
  const flags = ["--port", String(await freePort())];
  const own = await startServer({ flags });
  const dbFile = own.dbFile;
  const playing = runCli(["replay", file, "--ticker", "R", "--speed", "20", "--to", own.url, "--json"]);
  const countOf = async (running: RunningServer): Promise<number> =>
    (await running.command<{ data?: unknown[] }>("get_realtime_data", { ticker: "R", data_type: "trade" }))
      .body.data?.length ?? 0;
  await waitUntil("it has begun", async () => (await countOf(own)) > 3);
  await own.stop();
  await using again = await startServer({ dbFile, flags });
  const { code, stdout } = await playing;
  expect(JSON.parse(stdout)).toMatchObject({ ok: true, ticks: 40 });
  expect(code).toBe(0);
  expect(await countOf(again)).toBe(40);
  await rm(own.dir, { recursive: true });
});
