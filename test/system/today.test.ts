/** All commands that ask for today mean the same day, that of --market-timezone, on each engine. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { usePostgres } from "../support/postgres.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { type Backend, DUCKDB, FRONT, postgresBackend, SQLITE } from "../wire/backends.ts";

setDefaultTimeout(180_000);

/** Of these, 26 hours apart, one has another date than UTC at any moment. */
const ZONES = ["Pacific/Kiritimati", "Etc/GMT+12"];
const HOUR_MS = 3_600_000;

const dateIn = (zone: string, epochMs = Date.now()): string =>
  new Intl.DateTimeFormat("sv-SE", { timeZone: zone }).format(epochMs);

interface Answers {
  prices: Record<string, unknown>;
  volumes: Record<string, unknown>;
  data: { open: number }[];
}

async function todayOf(server: RunningServer, params: Record<string, unknown> = {}) {
  const ask = async (command: string, of: Record<string, unknown>): Promise<Answers> => {
    const { status, body } = await server.command<Answers>(command, { ...of, ...params });
    expect({ command, status }).toEqual({ command, status: 200 });
    return body;
  };
  const tickers = ["BAR", "TRADED"];
  return {
    open: (await ask("get_today_opening_prices", { tickers })).prices.BAR,
    bars: (await ask("get_today_daily_data", { ticker: "BAR" })).data.map(({ open }) => open),
    volumes: (await ask("get_today_volume", { tickers })).volumes,
  };
}

/** Bars of three days, and trades of the last 40 hours. */
async function fill(server: RunningServer, now: number): Promise<void> {
  const days = [-1, 0, 1].map((day) => dateIn("UTC", now + day * 24 * HOUR_MS));
  const bars = days.map((date, i) => ({ date, open: i, high: i, low: i, close: i, volume: 10 * i }));
  const hours = Array.from({ length: 40 }, (_, i) => now - i * HOUR_MS);
  const trades = hours.map((at, i) => ({ timestamp: new Date(at).toISOString(), price: 1, size: 2 ** i }));
  for (const [command, params] of [
    ["save_stock_data", { ticker: "BAR", index_col: "date", data: bars }],
    ["save_realtime_data", { ticker: "TRADED", data_type: "trade", index_col: "timestamp", data: trades }],
  ] as const)
    expect((await server.command(command, params)).status).toBe(200);
}

/** What `todayOf` must find on the date of a zone. */
function expectedToday(zone: string, now: number) {
  const date = dateIn(zone, now);
  const open = [-1, 0, 1].findIndex((day) => dateIn("UTC", now + day * 24 * HOUR_MS) === date);
  const sizes = Array.from({ length: 40 }, (_, i) => i).filter(
    (i) => dateIn(zone, now - i * HOUR_MS) === date,
  );
  const traded = sizes.reduce((sum, i) => sum + 2 ** i, 0);
  return { open, bars: [open], volumes: { BAR: 10 * open, TRADED: traded } };
}

const BACKENDS: Backend[] = [SQLITE, DUCKDB, postgresBackend(usePostgres()), FRONT];

for (const backend of BACKENDS) {
  test(`today is that of the market's time zone: ${backend.name}`, async () => {
    for (const zone of ZONES) {
      await using stack = new AsyncDisposableStack();
      const server = await backend.start({ flags: ["--market-timezone", zone], workers: 1 }, stack);
      const now = Date.now();
      await fill(server, now);
      const found = [await todayOf(server), await todayOf(server, { timezone: "UTC" })];
      // Midnight may have passed meanwhile.
      if (dateIn(zone, now) !== dateIn(zone) || dateIn("UTC", now) !== dateIn("UTC")) continue;
      expect(found).toEqual([expectedToday(zone, now), expectedToday("UTC", now)]);
    }
  });
}

test("a server in front of another asks it for the day of its own time zone", async () => {
  await using upstream = await startServer({ flags: ["--market-timezone", ZONES[0]!] });
  await using front = await startServer({
    dbFile: `127.0.0.1:${upstream.port}`,
    flags: ["--market-timezone", ZONES[1]!],
  });
  const now = Date.now();
  await fill(front, now);
  const found = [await todayOf(upstream), await todayOf(front)];
  if (ZONES.some((zone) => dateIn(zone, now) !== dateIn(zone))) return;
  expect(found).toEqual(ZONES.map((zone) => expectedToday(zone, now)));
});

test("a time zone that nobody knows is refused", async () => {
  await using server = await startServer();
  for (const timezone of ["Mars/Base", 5, "x".repeat(10_000)]) {
    const { status, body } = await server.command("get_today_volume", { tickers: ["A"], timezone });
    expect({ status, error: String(body.error).slice(0, 14) }).toEqual({
      status: 400,
      error: "timezone: got ",
    });
  }
});
