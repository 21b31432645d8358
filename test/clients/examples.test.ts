/**
 * The programs of `examples/`, as they stand there: feed handlers and bots while a worker, the hub
 * and the whole server are killed, dashboards, and the notebook.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { hasBrowser, useBrowser } from "../support/browser.ts";
import { freePort } from "../support/free-port.ts";
import { PYTHON_CLIENT, pythonEnvironment } from "../support/python-environment.ts";
import { get, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf } from "../support/server-processes.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const EXAMPLES = resolve(import.meta.dir, "../../examples");
const LINES_MAX = 60;
/** Between two kills. */
const LINES_EACH = 50;
const WORKERS = 2;
const START_MS = Date.parse("2024-01-02T15:00:00Z");

type Program = Bun.Subprocess<"pipe", "pipe", "pipe">;

const python = await pythonEnvironment();
const dir = tempDir();
const programs: Program[] = [];
let port: number;
let server: RunningServer;

const start = (): Promise<RunningServer> =>
  startServer({ dbFile: join(dir.path, "examples.db"), workers: WORKERS, flags: ["--port", String(port)] });

beforeAll(async () => {
  port = await freePort();
  server = await start();
});

afterAll(async () => {
  for (const program of programs) program.kill("SIGKILL");
  await server[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

function run(program: string, args: string[], env: Record<string, string> = {}): Program {
  const interpreter = program.endsWith(".py") ? python! : process.execPath;
  const child = Bun.spawn([interpreter, resolve(EXAMPLES, program), ...args], {
    ...{ stdin: "pipe", stdout: "pipe", stderr: "pipe", cwd: dir.path },
    env: {
      ...process.env,
      ...{ STOCK_DB_URL: server.url, PYTHONPATH: join(PYTHON_CLIENT, "src"), PYTHONUNBUFFERED: "1" },
      ...env,
    },
  });
  programs.push(child);
  return child;
}

/** @returns what it has said so far. */
function listen({ stdout, stderr }: Program): () => string {
  let said = "";
  const decoder = new TextDecoder();
  for (const stream of [stdout, stderr])
    void (async () => {
      for await (const chunk of stream) said += decoder.decode(chunk);
    })();
  return () => said;
}

test(`each is shorter than ${LINES_MAX} lines`, () => {
  const files = readdirSync(EXAMPLES, { recursive: true, encoding: "utf8" });
  const sources = files.filter((name) => /\.(py|ts|html)$/.test(name));
  expect(sources.length).toBeGreaterThan(6);
  for (const name of sources)
    expect([name, readFileSync(join(EXAMPLES, name), "utf8").split("\n").length < LINES_MAX]).toEqual([
      name,
      true,
    ]);
});

interface Pair {
  ticker: string;
  feed: Program;
  heard: () => string;
  told: () => string;
}

const LANGUAGES = [
  { name: "Python", ticker: "EXPY", feed: "python/feed_handler.py", bot: "python/bot.py" },
  { name: "TypeScript", ticker: "EXTS", feed: "typescript/feed-handler.ts", bot: "typescript/bot.ts" },
].filter(({ name }) => name !== "Python" || python !== null);

test("feed handlers and bots: a worker, the hub and the server are killed, nothing is lost or comes twice", async () => {
  const pairs: Pair[] = LANGUAGES.map(({ ticker, feed, bot }) => {
    const watching = run(bot, [ticker], { BOT_STATE: join(dir.path, `${ticker}.json`) });
    const handler = run(feed, [ticker, join(dir.path, `${ticker}.spool`)]);
    handler.stdin.write("timestamp,price,size\n");
    return { ticker, feed: handler, heard: listen(watching), told: listen(handler) };
  });
  await waitUntil("both bots watch", async () => {
    const { body } = await get(`${server.url}/v1/connections`);
    return JSON.stringify(body).match(/"EX(PY|TS)"/g)?.length === pairs.length;
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${pairs.map(({ heard }) => heard()).join("\n")}`);
  });
  let lines = 0;
  const feed = (): void => {
    for (let last = lines + LINES_EACH; lines < last; )
      for (const [at, pair] of pairs.entries()) {
        if (at === 0) lines++;
        pair.feed.stdin.write(`${new Date(START_MS + lines * 1_000).toISOString()},${lines},100\n`);
      }
    for (const pair of pairs) pair.feed.stdin.flush();
  };
  const untilHeard = (): Promise<unknown> =>
    waitUntil("the bots have heard all", () =>
      pairs.every(({ heard }) => heard().split("\n").length > lines),
    ).catch((error: Error) => {
      throw new Error(`${error.message}: ${pairs.map(({ heard, told }) => heard() + told()).join("\n")}`);
    });
  feed();
  await untilHeard();
  process.kill(processesOf(server).workers[0]!, "SIGKILL");
  feed();
  await untilHeard();
  process.kill(processesOf(server).hub, "SIGKILL");
  feed();
  await server.stop("SIGKILL");
  feed();
  await server[Symbol.asyncDispose]();
  server = await start();
  await untilHeard();
  for (const pair of pairs) pair.feed.stdin.end();
  const prices = Array.from({ length: lines }, (_, at) => at + 1);
  for (const { ticker, feed: handler, heard, told } of pairs) {
    expect([ticker, await handler.exited]).toEqual([ticker, 0]);
    await waitUntil("it says how many", () => told().endsWith(" trades are stored\n"));
    expect(told()).toMatch(new RegExp(`^${lines} trades are stored$`, "m"));
    const read = heard().trim().split("\n");
    expect(read.map((line) => Number(/ ([\d.]+) (?:high|low|-)$/.exec(line)?.[1] ?? line))).toEqual(prices);
    expect(read.filter((line) => line.endsWith(" high"))).toHaveLength(lines - 1);
    const { body } = await get(`${server.url}/v1/trades?symbols=${ticker}`);
    expect((body as { trades: Record<string, { p: number }[]> }).trades[ticker]!.map(({ p }) => p)).toEqual(
      prices,
    );
  }
});

test.skipIf(python === null)("the dashboard in Python shows what is newest, and what comes", async () => {
  await saveTrade(server.url, "DASH", 101.5, new Date(START_MS).toISOString());
  const own = await freePort();
  const said = listen(run("python/dashboard.py", ["DASH"], { PORT: String(own) }));
  const url = `http://127.0.0.1:${own}`;
  await waitUntil("it serves", () =>
    fetch(url).then(
      ({ ok }) => ok,
      () => false,
    ),
  ).catch((error: Error) => {
    throw new Error(`${error.message}: ${said()}`);
  });
  const events = await fetch(`${url}/events`);
  let seen = "";
  void (async () => {
    for await (const chunk of events.body!) seen += Buffer.from(chunk).toString();
  })().catch(() => undefined);
  await waitUntil("the newest price", () => seen.includes('"price": 101.5'));
  await saveTrade(server.url, "DASH", 102.5, new Date(START_MS + 1_000).toISOString());
  await waitUntil("the next price", () => seen.includes('"price": 102.5'));
});

test.skipIf(python === null)("each cell of the notebook runs", async () => {
  await using sample = await startServer({ flags: ["--sample"] });
  const runner = resolve(import.meta.dir, "../support/run_notebook.py");
  const child = run(runner, [join(EXAMPLES, "notebook.ipynb")], { STOCK_DB_URL: sample.url });
  const said = listen(child);
  expect(await child.exited, said()).toBe(0);
  for (const part of ["AAPL", "close_adjusted", "09:30:00-04:00", "MINE"]) expect(said()).toContain(part);
});

describe.skipIf(!hasBrowser)("in a browser", () => {
  const visit = useBrowser();

  test("the dashboard in TypeScript shows what is newest, and what comes over a killed worker", async () => {
    const served = run("typescript/dashboard.html", ["--port=0"]);
    const said = listen(served);
    await waitUntil("it serves", () => /http:\/\/\S+/.test(said()));
    const origin = /http:\/\/[^\s/]+/.exec(said())![0];
    await using database = await startServer({ workers: WORKERS, flags: ["--allow-origin", origin] });
    await saveTrade(database.url, "DASH", 101.5, new Date(START_MS).toISOString());
    const path = `/?symbols=DASH&server=${database.url}`;
    const expected = [/asked another host/, /Failed to load resource/, /net::ERR/];
    await using opened = await visit(origin, { path, expected });
    const { page } = opened;
    await page.getByText("101.50").waitFor();
    process.kill(processesOf(database).workers[0]!, "SIGKILL");
    await saveTrade(database.url, "DASH", 102.5, new Date(START_MS + 1_000).toISOString());
    await page.getByText("102.50").waitFor();
  });
});
