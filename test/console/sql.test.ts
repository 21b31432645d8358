/** The page of statements in a browser. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { expectAccessible, hasBrowser, takePicture, useBrowser } from "../support/browser.ts";
import { type RunningServer, startServer } from "../support/server.ts";

setDefaultTimeout(120_000);

describe.skipIf(!hasBrowser)("SQL", () => {
  const visit = useBrowser();
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({ flags: ["--sample"] });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test("a link fills the editor and doesn't run; a statement runs, is charted, kept and saved", async () => {
    const statement =
      "SELECT date, close, volume, 9007199254740993 AS big FROM daily_prices WHERE ticker = 'AAPL' ORDER BY date DESC LIMIT 300";
    const path = `/console#/sql?q=${encodeURIComponent(statement)}`;
    await using opened = await visit(server.url, { path });
    const { page, problems } = opened;
    const editor = page.getByRole("textbox", { name: "Statement" });
    await page.getByText("FROM daily_prices").first().waitFor();
    expect(await page.getByRole("grid").count()).toBe(0);
    await editor.press("Control+Enter");
    await page.getByText(/300 rows in \d/).waitFor();
    const grid = page.getByRole("grid", { name: "Rows of the answer" });
    await grid.getByText("122.15").waitFor();
    await grid.getByText("9007199254740993").first().waitFor();
    await page.getByLabel("Chart of").selectOption("close");
    await page.getByRole("img", { name: /close: 300 values/ }).waitFor();
    await expectAccessible(page);
    await takePicture(page, "console-sql");
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save as CSV" }).click();
    const text = await Bun.file(await (await download).path()).text();
    expect(text.split("\r\n")).toHaveLength(302);
    expect(text).toStartWith("date,close,volume,big\r\n2021-03-31,122.15,");
    await page.getByText("Statements before").click();
    await page.getByRole("button", { name: /SELECT date, close/ }).waitFor();
    await expectAccessible(page);
    expect(problems).toEqual([]);
  });

  test("names are completed, an error is told in the server's words, a long statement is cancelled", async () => {
    const expected = [/Failed to load resource/];
    await using opened = await visit(server.url, {
      path: "/console#/sql",
      expected,
      width: 390,
      isDark: true,
    });
    const { page, problems } = opened;
    const editor = page.getByRole("textbox", { name: "Statement" });
    const write = async (text: string) => {
      await editor.press("Control+a");
      await editor.pressSequentially(text);
    };
    await write("SELECT * FROM corp");
    await page.getByRole("option", { name: "corporate_actions" }).waitFor();
    await editor.press("Escape");
    await write("SELEC 1");
    await editor.press("Escape");
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByRole("alert").getByText('near "SELEC"').waitFor();
    await expectAccessible(page);
    await write("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n");
    await editor.press("Escape");
    await editor.press("Control+Enter");
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Run" }).waitFor();
    // The server has a free runner again.
    await write("SELECT 41 + 1 AS answer");
    await editor.press("Escape");
    await editor.press("Control+Enter");
    await page.getByRole("grid").getByText("42").waitFor();
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
    expect(problems).toEqual([]);
  });
});
