/** The chart in a browser: its bars are those of the server, and they move. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Page } from "playwright-core";
import { expectAccessible, hasBrowser, takePicture, useBrowser } from "../support/browser.ts";
import { get, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { processesOf, untilReady } from "../support/server-processes.ts";

setDefaultTimeout(120_000);

const TRADES = 60;
/** Pictures of the screen come every 16 ms. */
const STILL_MS = 200;
/** A socket that is cut says so in the browser's console. */
const CUT = [/WebSocket connection to .* failed/, /Failed to load resource/];

interface BarsAnswer {
  bars: Record<string, { t: string; o: number; h: number; l: number; c: number; v: number }[]>;
}

/** Rows of a table, without its head, also those that aren't seen. */
async function rowsIn(page: Page, label: string): Promise<number> {
  return Number(await page.getByRole("grid", { name: label }).getAttribute("aria-rowcount")) - 1;
}

function legendOf(page: Page) {
  return page.getByRole("figure").locator(".legend");
}

/** Drags the chart until older bars are read; what is under the pointer stays as they come. */
async function scrollsBack(page: Page, bars: number): Promise<void> {
  const answer = Promise.withResolvers<void>();
  let isAsked = false;
  await page.route(/page_token/, async (route) => {
    isAsked = true;
    await answer.promise;
    await route.continue();
  });
  const box = (await page.locator(".canvas").boundingBox())!;
  const y = box.y + box.height / 2;
  await waitUntil("older bars are asked for", async () => {
    await page.mouse.move(box.x + 100, y);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width - 100, y, { steps: 4 });
    await page.mouse.up();
    return isAsked;
  });
  // The pointer rests there; the first move only makes the second one.
  await page.mouse.move(box.x + box.width - 300, y);
  await page.mouse.move(box.x + box.width - 100, y);
  const shown = () => legendOf(page).locator(".when").textContent();
  let before = "";
  await waitUntil("the chart stands still", async () => {
    const last = before;
    before = (await shown())!;
    await Bun.sleep(STILL_MS);
    return last === before;
  });
  answer.resolve();
  await waitUntil("older bars are there", async () => (await rowsIn(page, "Bars")) > bars);
  await page.mouse.move(box.x + box.width - 300, y);
  await page.mouse.move(box.x + box.width - 100, y);
  await waitUntil("the same is under the pointer", async () => (await shown()) === before);
  await page.unroute(/page_token/);
}

describe.skipIf(!hasBrowser)("the chart", () => {
  const visit = useBrowser();
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({ flags: ["--sample", "--test-feed"], workers: 2 });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("history with averages, adjusted; it scrolls back, and shows prices as traded", async () => {
    await using opened = await visit(server.url, { path: "/console#/chart?symbols=AAPL" });
    const { page, problems } = opened;
    await legendOf(page).getByText("C 122.15").waitFor();
    // As the command tells the stored average of that day, before adjustment for dividends.
    await legendOf(page).getByText("MA 50 128.0968").waitFor();
    const bars = await rowsIn(page, "Bars");
    await expectAccessible(page);
    await takePicture(page, "console-chart");
    await scrollsBack(page, bars);
    await page.getByLabel("Prices").selectOption("raw");
    await page.getByRole("grid", { name: "Bars" }).focus();
    await waitUntil("the oldest price is as traded", async () => {
      await page.keyboard.press("End");
      const oldest = await page.locator(".tape [role=grid] tr.is-row").last().textContent();
      const { bars } = (await get(`${server.url}/v1/bars?symbols=AAPL&timeframe=1Day&sort=desc&limit=600`))
        .body as unknown as BarsAnswer;
      return oldest!.includes(bars.AAPL!.at(-1)!.o.toFixed(2));
    });
    expect(new URL(page.url()).hash).toContain("adjustment=raw");
    expect(problems).toEqual([]);
  });

  test("the running candle moves as the server makes it, and any length of bars can be had", async () => {
    await using opened = await visit(server.url, { path: "/console#/chart?symbols=TEST" });
    const { page, problems } = opened;
    await page.getByText("bars of 1min are made of trades").waitFor();
    const before = await legendOf(page).textContent();
    await waitUntil("it moves", async () => (await legendOf(page).textContent()) !== before);
    await page.getByText("Other").click();
    await page.getByLabel("Such as 90s or 2Hour").fill("often");
    await page.getByText("A number and a unit").waitFor();
    await expectAccessible(page);
    await page.getByLabel("Such as 90s or 2Hour").fill("10s");
    await page.getByLabel("Such as 90s or 2Hour").press("Enter");
    await page.getByText("bars of 10s are made of trades").waitFor();
    await page.getByText("Bars", { exact: true }).click();
    const bars = await rowsIn(page, "Bars");
    await waitUntil("bars close", async () => (await rowsIn(page, "Bars")) > bars);
    const last = (await page.getByRole("grid", { name: "Bars" }).locator("tr.is-row").nth(1).textContent())!;
    const told = (await get(`${server.url}/v1/bars?symbols=TEST&timeframe=10s&sort=desc&limit=5`))
      .body as unknown as BarsAnswer;
    const same = told.bars.TEST!.find(({ t }) =>
      last.startsWith(t.slice(5, 19).replace("T", " ").replace(/:00$/, "")),
    );
    expect(last).toContain(same!.c.toFixed(2));
    expect(problems).toEqual([]);
  });

  test("an exchange gives the session and its local time; quotes are on the tape", async () => {
    const path = "/console#/chart?symbols=IBM&timeframe=5Min&calendar=XNYS";
    await using opened = await visit(server.url, { path });
    const { page, problems } = opened;
    await legendOf(page).getByText("2013-10-08 10:10").waitFor();
    await page.getByText(/lie outside of the sessions/).waitFor();
    await page.getByLabel("Session").selectOption("extended");
    await legendOf(page).getByText("2013-10-08 10:10").waitFor();
    await page.getByText("Quotes", { exact: true }).click();
    await page.getByRole("grid", { name: "Newest quotes" }).getByText("182.10").first().waitFor();
    await expectAccessible(page);
    expect(problems).toEqual([]);
  });

  test("several tickers are compared, on a phone too", async () => {
    const path = "/console#/chart?symbols=AAPL,SPY";
    await using opened = await visit(server.url, { path, width: 390, height: 844 });
    const { page, problems } = opened;
    await legendOf(page).getByText("AAPL 122.15").waitFor();
    await legendOf(page).getByText("SPY 396.33").waitFor();
    expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBe(390);
    await expectAccessible(page);
    await takePicture(page, "console-chart-phone");
    await page.getByLabel("Tickers").fill("SPY");
    await page.getByLabel("Tickers").press("Enter");
    await page.getByRole("heading", { name: "SPY" }).waitFor();
    await legendOf(page).getByText("C 396.33").waitFor();
    expect(problems).toEqual([]);
  });

  test("a replay shows each tick, and ends with the bars that the server makes of them", async () => {
    await using opened = await visit(server.url, { path: "/console#/chart?symbols=IBM", isDark: true });
    const { page, problems } = opened;
    await page.getByText("bars of 1min are made of trades").waitFor();
    await page.getByRole("button", { name: "Replay" }).click();
    expect(await page.getByLabel("From (UTC)").inputValue()).toBe("2013-10-08");
    await page.getByLabel("Until (UTC)").fill("2013-10-08T13:39:59");
    await page.getByLabel("Speed").selectOption("max");
    await page.getByRole("button", { name: "Play", exact: true }).click();
    await page.getByText("Ended at").waitFor();
    const query = "symbols=IBM&start=2013-10-08&end=2013-10-08T13:39:59";
    const trades = (await get(`${server.url}/v1/trades?${query}`)).body as unknown as {
      trades: { IBM: { p: number }[] };
    };
    await waitUntil(
      "each trade is there",
      async () => (await rowsIn(page, "Newest trades")) === Math.min(1_000, trades.trades.IBM.length),
    );
    await takePicture(page, "console-replay-dark");
    await page.getByText("Bars", { exact: true }).click();
    const { bars } = (await get(`${server.url}/v1/bars?${query}&timeframe=1Min`))
      .body as unknown as BarsAnswer;
    await waitUntil("each bar is there", async () => (await rowsIn(page, "Bars")) === bars.IBM!.length);
    const { o, h, l, c } = bars.IBM!.at(-2)!;
    const row = await page.getByRole("grid", { name: "Bars" }).locator("tr.is-row").nth(1).textContent();
    for (const price of [o, h, l, c]) expect(row).toContain(price.toFixed(2));
    await expectAccessible(page);
    expect(problems).toEqual([]);
  });

  test("over killed workers, every trade is told once", async () => {
    const path = "/console#/chart?symbols=KILLS&timeframe=1Min";
    let saved = 0;
    const save = async (upTo: number) => {
      while (saved < upTo) await saveTrade(server.url, "KILLS", ++saved);
    };
    await save(1);
    // Some come while the page reads those that are stored.
    const meanwhile = save(TRADES / 4);
    await using opened = await visit(server.url, { path, expected: CUT });
    const { page, problems } = opened;
    await meanwhile;
    await page.getByRole("status").getByText("Live", { exact: true }).waitFor();
    for (const upTo of [TRADES / 2, TRADES]) {
      const saves = save(upTo - 5);
      for (const pid of processesOf(server).workers) process.kill(pid, "SIGKILL");
      await saves.catch(() => {});
      await untilReady(server);
      await save(upTo);
    }
    // A save whose worker was killed may be stored or not: its answer is lost.
    const { trades } = (await get(`${server.url}/v1/trades?symbols=KILLS`)).body as unknown as {
      trades: { KILLS: unknown[] };
    };
    await waitUntil(
      "all are there",
      async () => (await rowsIn(page, "Newest trades")) === trades.KILLS.length,
    );
    await page.getByRole("grid", { name: "Newest trades" }).getByText("60.00").waitFor();
    await page.getByRole("status").getByText("Live", { exact: true }).waitFor();
    expect(problems).toEqual([]);
  });
});
