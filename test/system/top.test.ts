/** `stock-db-server top`: a page, lines of JSON, a terminal; and where a server can't be asked. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join, resolve } from "node:path";
import { freePort } from "../support/free-port.ts";
import { RawWebSocket } from "../support/raw-web-socket.ts";
import { type Json, saveTrade } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

const MAIN = join(resolve(import.meta.dir, "../.."), "src/main.ts");

const ESCAPES = new RegExp(`${"\x1b"}\\[\\??\\w+`, "g");

/** Saves until it is stopped, so that there is something to see. */
function saving({ url }: RunningServer): { stop(): Promise<void> } {
  let isOver = false;
  const all = (async () => {
    for (let i = 1; !isOver; i++) {
      expect((await saveTrade(url, "A", i)).status).toBe(200);
      await Bun.sleep(5);
    }
  })();
  return {
    async stop() {
      isOver = true;
      await all;
    },
  };
}

test("one page: rates, commits, workers and connections; what clients send can't steer a terminal", async () => {
  await using server = await startServer({ workers: 2 });
  using _socket = await RawWebSocket.open(server.port, `/ws?symbols=A,%1b%5b2J%9b&slow=gap`);
  const saves = saving(server);
  // No terminal: as with --once.
  const { code, stdout, stderr } = await runCli(["top", server.url]);
  await saves.stop();
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toContain(`sqlite, ${server.url}`);
  expect(stdout).toMatch(/ \d[\d.]*\/s {2}save_realtime_data\n/);
  expect(stdout).toMatch(/ commits\/s of \d+\.\d\d ms and \d+\.\d saves, saves that wait: \d+\n/);
  expect(stdout).toMatch(/WORKER +PID +MEMORY +LOOP DELAY +CONNECTIONS\n +0 .* MB .* ms .*\n +1 .* MB /);
  expect(stdout).toMatch(/\d\.\d s +0 +0 B {2}websocket +[01] {2}- +127\.0\.0\.1 \d+ .* gap: A,·\[2J/);
  for (const control of ["\x1b", "\x9b"]) expect(stdout).not.toContain(control);
});

test("--json prints a line for each look", async () => {
  await using server = await startServer();
  const saves = saving(server);
  await using child = Bun.spawn(
    [process.execPath, "--no-orphans", MAIN, "top", server.url, "--json", "--every", "1"],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  );
  let text = "";
  void (async () => {
    for await (const chunk of child.stdout) text += Buffer.from(chunk).toString();
  })();
  await waitUntil("two looks", () => text.split("\n").length > 2);
  await saves.stop();
  const [first, second] = text.split("\n").map((line): Json => (line === "" ? null : JSON.parse(line)));
  expect(first.rates.saves).toBeGreaterThan(0);
  expect(first.rates.requests.save_realtime_data).toBeGreaterThan(0);
  expect(first).toMatchObject({ url: server.url, connections: [], left_out: 0, silent: [] });
  expect(Date.parse(second.at)).toBeGreaterThan(Date.parse(first.at));
  // Ctrl-C is no failure.
  child.kill("SIGINT");
  expect(await child.exited).toBe(0);
});

test("a terminal gets the page again and again, and is left as it was", async () => {
  await using server = await startServer();
  let text = "";
  await using child = Bun.spawn([process.execPath, "--no-orphans", MAIN, "top", server.url, "--every", "1"], {
    terminal: {
      cols: 40,
      rows: 10,
      data: (_, chunk) => {
        text += Buffer.from(chunk).toString();
      },
    },
  });
  await waitUntil("two pages", () => text.split("\x1b[H").length > 2);
  expect(text).toStartWith("\x1b[?1049h\x1b[?25l");
  const [, page = ""] = text.split("\x1b[H");
  const lines = page.split("\r\n").map((line) => line.replaceAll(ESCAPES, ""));
  expect(lines.length).toBeLessThanOrEqual(10);
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(40);
  expect(lines[0]).toStartWith("stock-db-server ");
  child.terminal!.write("\x03");
  expect(await child.exited).toBe(0);
  await waitUntil("it is left", () => text.includes("\x1b[?25h\x1b[?1049l"));
});

test("a server that isn't there, or refuses the key, is an error of one line", async () => {
  const away = await runCli(["top", `http://user:secret@127.0.0.1:${await freePort()}`]);
  expect([away.code, away.stdout]).toEqual([1, ""]);
  expect(away.stderr).toMatch(
    /^top: http:\/\/user:\*+@127\.0\.0\.1:\d+ doesn't answer: connection refused\n$/,
  );
  using dir = tempDir();
  const keys = join(dir.path, "a.keys");
  const keyOf = async (name: string, may: string): Promise<string> => {
    const { stdout } = await runCli(["keys", "add", name, "--may", may, "--keys", keys, "--json"]);
    return (JSON.parse(stdout) as { key: string }).key;
  };
  const [admin, metrics] = [await keyOf("chief", "admin"), await keyOf("prometheus", "metrics")];
  await using server = await startServer({ flags: ["--keys", keys] });
  const top = async (key: string | null) => {
    await using child = Bun.spawn([process.execPath, "--no-orphans", MAIN, "top", server.url], {
      env: { ...process.env, ...(key === null ? {} : { STOCK_DB_KEY: key }) },
      ...{ stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { code: await child.exited, stdout, stderr };
  };
  const hint = "; STOCK_DB_KEY needs a key of the scope admin\n";
  const without = await top(null);
  expect([without.code, without.stdout]).toEqual([1, ""]);
  expect(without.stderr).toContain(" answers 401 ");
  expect(without.stderr).toEndWith(hint);
  const withLess = await top(metrics);
  expect([withLess.code, withLess.stderr]).toEqual([
    1,
    `top: ${server.url}/v1/connections answers 403 Forbidden: /v1/connections: the key prometheus lacks the scope admin${hint}`,
  ]);
  const withAll = await top(admin);
  expect([withAll.code, withAll.stderr]).toEqual([0, ""]);
  expect(withAll.stdout).toContain("/v1/connections");
});

test("wrong usage", async () => {
  for (const [args, error] of [
    [["--every", "0"], 'top: --every "0": expected whole seconds from 1 to 3600'],
    [["ftp://a"], 'top: URL "ftp://a": expected a URL such as http://localhost:8080'],
    [["http://a", "http://b"], "top: got 2 URLs, expected one"],
  ] as const) {
    const { code, stderr } = await runCli(["top", ...args]);
    expect([code, stderr]).toEqual([2, `${error}\n`]);
  }
});
