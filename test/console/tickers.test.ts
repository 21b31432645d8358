/** The list of tickers in a browser: what it shows, that it moves, that it is quick. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { expectAccessible, hasBrowser, takePicture, useBrowser } from "../support/browser.ts";
import { saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer, waitUntil } from "../support/server.ts";

setDefaultTimeout(120_000);

const TICKERS = 10_000;

describe.skipIf(!hasBrowser)("tickers", () => {
  const visit = useBrowser();
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({ flags: ["--sample", "--test-feed", "--stale-after", "3"] });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("a browser that opens the server's address sees what is stored, moving", async () => {
    await using opened = await visit(server.url, { path: "/" });
    const { page, problems } = opened;
    expect(new URL(page.url()).pathname).toBe("/console");
    const row = (symbol: string) => page.getByRole("row").filter({ hasText: symbol });
    await row("AAPL").getByText("122.15").waitFor();
    await row("AAPL").getByText("+1.88%").waitFor();
    await row("AAPL").getByText("109M").waitFor();
    await row("AAPL")
      .getByRole("img", { name: /daily closes/ })
      .waitFor();
    await page.getByRole("status").getByText("Live", { exact: true }).waitFor();
    const before = await row("TEST").textContent();
    await waitUntil("TEST moves", async () => (await row("TEST").textContent()) !== before);
    await takePicture(page, "console-tickers");
    await saveTrade(server.url, "IBM", 321.5, new Date().toISOString());
    await row("IBM").getByText("321.50").waitFor();
    // Nothing more comes of it.
    await row("IBM").getByText("silent").waitFor();
    await expectAccessible(page);
    expect(problems).toEqual([]);
  });

  test("dark, and on a phone: nothing is cut off, and all contrasts are enough", async () => {
    await using opened = await visit(server.url, { width: 390, height: 760, isDark: true });
    const { page, problems } = opened;
    await page.getByText("122.15").waitFor();
    const width = await page.evaluate("document.documentElement.scrollWidth");
    expect(width).toBe(390);
    await expectAccessible(page);
    await page.getByRole("button", { name: "Menu" }).click();
    await expectAccessible(page);
    await page.getByLabel("Colors").selectOption("light");
    expect(await page.evaluate("document.documentElement.dataset.theme")).toBe("light");
    await page.getByRole("link", { name: "Tickers" }).click();
    await expectAccessible(page);
    expect(problems).toEqual([]);
  });

  test("keys move in the list, open a chart, and lead to other pages", async () => {
    await using opened = await visit(server.url);
    const { page, problems } = opened;
    await page.getByText("122.15").waitFor();
    await page.getByRole("grid", { name: "Tickers" }).focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    expect(await page.locator("[aria-selected=true]").textContent()).toStartWith("IBM");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "IBM" }).waitFor();
    await page.keyboard.press("g");
    await page.keyboard.press("t");
    await page.getByRole("heading", { name: "Tickers" }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("sp");
    await waitUntil("SPY alone is left", async () => (await page.getByRole("row").count()) === 2);
    await page.getByRole("row").filter({ hasText: "SPY" }).waitFor();
    await page.getByLabel("Search tickers").press("Escape");
    await page.getByRole("heading", { name: "Tickers" }).click();
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await expectAccessible(page);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "About" }).click();
    await page.getByRole("dialog").getByText("TradingView Lightweight Charts").waitFor();
    await expectAccessible(page);
    expect(problems).toEqual([]);
  });
});

describe.skipIf(!hasBrowser)(`${TICKERS} tickers`, () => {
  const visit = useBrowser();

  test("only those that are seen are in the page; each is found and sorted at once", async () => {
    await using server = await startServer();
    await fill(server.url);
    await using opened = await visit(server.url);
    const { page, problems } = opened;
    await page.getByText("10,000 in all").waitFor();
    await page.getByRole("row").filter({ hasText: "T00000" }).getByText("100.00").waitFor();
    expect(await page.getByRole("row").count()).toBeLessThan(60);
    await page.getByLabel("Search tickers").fill("T09998");
    await page.getByRole("row").filter({ hasText: "T09998" }).getByText("10,098.00").waitFor();
    await page.getByText("1 of 10,000").waitFor();
    await page.getByLabel("Search tickers").fill("");
    await page.getByRole("button", { name: "Last" }).click();
    await page.getByRole("row").filter({ hasText: "T09999" }).waitFor();
    await page.getByRole("grid").focus();
    await page.keyboard.press("End");
    await page.getByRole("row").filter({ hasText: "T00000" }).waitFor();
    expect(problems).toEqual([]);
  });
});

/** A trade of each, at the price of 100 and its number. */
async function fill(url: string): Promise<void> {
  const rows = Array.from({ length: TICKERS }, (_, i) => ({
    symbol: `T${String(i).padStart(5, "0")}`,
    timestamp: "2024-01-02T15:00:00Z",
    price: 100 + i,
    size: 1,
  }));
  const answer = await fetch(`${url}/v1/trades`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: rows.map((row) => JSON.stringify(row)).join("\n"),
  });
  if (!answer.ok) throw new Error(await answer.text());
}
