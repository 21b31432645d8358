/** What the log says of a DuckDB file that holds what isn't the server's, or has lost what is. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { changeDuckDbFile } from "../support/duckdb-file.ts";
import { command, saveTrade } from "../support/requests.ts";
import { startServer } from "../support/server.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

test.each([1, 2])(
  "a macro and an index of others are a WARNING at the start, once, with %d workers",
  async (workers) => {
    using dir = tempDir();
    const dbFile = await fileChangedBy(
      dir.path,
      "CREATE MACRO upper(x) AS 'no'",
      "CREATE INDEX by_price ON realtime_data (price)",
    );
    await using server = await startServer({ dbFile, workers, flags: ["--workers", String(workers)] });
    await server.logged(
      /\[WARNING\].*Database: the file holds macros .*: upper; on .* index by_price of realtime_data/,
    );
    expect((await saveTrade(server.url, "A", 2)).status).toBe(200);
    expect((await command(server.url, "get_realtime_data", { ticker: "A" })).status).toBe(200);
    expect(server.log().split("the file holds").length).toBe(2);
  },
);

test("a column that another program has changed is an ERROR of the log, and a read of it 503", async () => {
  using dir = tempDir();
  const dbFile = await fileChangedBy(
    dir.path,
    "ALTER TABLE hourly_prices ALTER close SET DATA TYPE VARCHAR[] USING [close::VARCHAR]",
  );
  await using server = await startServer({ dbFile });
  const answer = await command(server.url, "get_latest_price", { ticker: "A" });
  expect(answer.status).toBe(503);
  await server.logged(/\[ERROR\].*Database: a read failed, as the database's tables are not as they were/);
});

/** A server has saved a trade of A into it, and then another program has changed it. */
async function fileChangedBy(folder: string, ...statements: string[]): Promise<string> {
  const dbFile = `${folder}/x.duckdb`;
  {
    await using server = await startServer({ dbFile });
    expect((await saveTrade(server.url, "A", 1)).status).toBe(200);
  }
  await changeDuckDbFile(dbFile, ...statements);
  return dbFile;
}
