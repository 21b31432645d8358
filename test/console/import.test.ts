/** The page of imports and exports in a browser. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetMetadata } from "hyparquet";
import { expectAccessible, hasBrowser, takePicture, useBrowser } from "../support/browser.ts";
import { get } from "../support/requests.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

/** More than one part. */
const ROWS = 120_000;

describe.skipIf(!hasBrowser)("import and export", () => {
  const visit = useBrowser();
  const dir = tempDir();
  let server: RunningServer;
  beforeAll(async () => {
    server = await startServer({});
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  });

  test("a packed file goes in parts, whole; it is exported again; nonsense is told by its row", async () => {
    const start = Date.parse("2024-01-02T15:00:00Z");
    // A line end within quotes, which is no end of a row.
    const rows = Array.from(
      { length: ROWS },
      (_, n) => `${new Date(start + n).toISOString()},${n + 1},100,"a\nb ${n}"`,
    );
    const file = join(dir.path, "trades.csv.gz");
    writeFileSync(file, gzipSync(["timestamp,price,size,note", ...rows, ""].join("\n")));
    const expected = [/Failed to load resource/];
    await using opened = await visit(server.url, { path: "/console#/import", expected });
    const { page, problems } = opened;
    await page.getByLabel("File", { exact: true }).setInputFiles(file);
    await page.getByRole("columnheader", { name: "price" }).waitFor();
    await page.getByLabel("Rows are").selectOption("trades");
    await page.getByRole("textbox", { name: "Ticker", exact: false }).first().fill("MINE");
    await expectAccessible(page);
    await takePicture(page, "console-import");
    await page.getByRole("button", { name: "Import", exact: true }).click();
    await page.getByText(/^Done: 120,000 rows answered, 120,000 stored/).waitFor();
    await expectAccessible(page);
    const { body } = await get(`${server.url}/v1/trades?symbols=MINE&sort=desc&limit=1&columns=price`);
    expect(JSON.stringify(body)).toContain(`"p":${ROWS}`);

    await page.getByRole("combobox", { name: "What" }).selectOption("trades");
    await page.getByRole("textbox", { name: "Tickers" }).fill("MINE");
    await page.getByRole("combobox", { name: "Format" }).selectOption("parquet");
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Export" }).click();
    const bytes = await Bun.file(await (await download).path()).arrayBuffer();
    expect(Number(parquetMetadata(bytes).num_rows)).toBe(ROWS);

    const wrong = join(dir.path, "wrong.csv");
    writeFileSync(wrong, "timestamp,price\n2024-01-02T15:00:00Z,1\nyesterday,2\n");
    await page.getByLabel("File", { exact: true }).setInputFiles(wrong);
    await page.getByRole("columnheader", { name: "note" }).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Import", exact: true }).click();
    await page
      .getByRole("alert")
      .getByText(/yesterday/)
      .waitFor();
    await page.getByText(/^Not all is stored: 0 rows/).waitFor();
    writeFileSync(join(dir.path, "picture.png"), "");
    await page.getByLabel("File", { exact: true }).setInputFiles(join(dir.path, "picture.png"));
    await page.getByText(/expected a name that ends with/).waitFor();
    await page.setViewportSize({ width: 390, height: 760 });
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(390);
    await expectAccessible(page);
    expect(problems).toEqual([]);
  });
});
