/** The pages of options, corporate actions and financial figures in a browser. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { expectAccessible, hasBrowser, takePicture, useBrowser } from "../support/browser.ts";
import { type RunningServer, startServer } from "../support/server.ts";

setDefaultTimeout(120_000);

describe.skipIf(!hasBrowser)("rows of a ticker", () => {
  const visit = useBrowser();
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({ flags: ["--sample"] });
    const contract = (option_type: string, expiration_date: string, strike_price: number, bid: number) => ({
      ...{
        option_ticker: `O:${expiration_date}${option_type}${strike_price}`,
        expiration_date,
        strike_price,
      },
      ...{ option_type, bid, ask: bid + 0.2, implied_volatility: 0.27, delta: 0.5, open_interest: 1_200 },
    });
    const data = ["2040-01-20", "2041-01-18"].flatMap((date) =>
      [150, 160].flatMap((strike) => [
        contract("call", date, strike, strike / 10 + 0.11),
        contract("put", date, strike, strike / 10 + 0.44),
      ]),
    );
    expect((await server.command("save_options_data", { ticker: "AAPL", data })).status).toBe(200);
    const figures = { date: "2024-01-02", price_to_earnings: 28.75, market_cap: 3_000_000_000_000 };
    const saved = await server.command("save_financial_info", { ticker: "AAPL", data: [figures] });
    expect([saved.status, saved.body]).toEqual([200, expect.anything()]);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("each page shows its rows, says when there are none, and fits a phone", async () => {
    for (const [name, texts] of [
      ["actions", ["2020-08-31", "split", "0.82"]],
      ["options", ["2040-01-20", "15.11", "16.44", "27.00%"]],
      ["financials", ["price to earnings", "28.75"]],
    ] as const) {
      await using opened = await visit(server.url, { path: `/console#/${name}` });
      const { page, problems } = opened;
      for (const text of texts)
        await page.getByRole("grid").getByText(text, { exact: true }).first().waitFor();
      await expectAccessible(page);
      if (name === "options") {
        await page.getByLabel("Expires").selectOption("2041-01-18");
        await page.getByRole("grid").getByText("2040-01-20").first().waitFor({ state: "detached" });
        await takePicture(page, "console-options");
      }
      await page.setViewportSize({ width: 390, height: 760 });
      expect([name, await page.evaluate("document.documentElement.scrollWidth")]).toEqual([name, 390]);
      await page.goto(`${server.url}/console#/${name}?symbol=NOBODY`);
      await page.getByText(/stored\./).waitFor();
      await expectAccessible(page);
      expect(problems).toEqual([]);
    }
  });
});
