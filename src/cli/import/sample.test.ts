import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SqliteWriter } from "../../storage/sqlite/writer.ts";
import { importSample } from "./sample.ts";

test("the sample is what its README says", async () => {
  const dir = await mkdtemp(join(tmpdir(), "stock-db-sample-"));
  const writer = new SqliteWriter(join(dir, "test.db"), "normal", 64);
  try {
    expect(await importSample(writer)).toEqual([
      { ticker: "AAPL", kind: "daily", rows: 2_000 },
      { ticker: "AAPL", kind: "actions", rows: 34 },
      { ticker: "SPY", kind: "daily", rows: 2_000 },
      { ticker: "SPY", kind: "actions", rows: 32 },
      { ticker: "IBM", kind: "trade", rows: 5_000 },
      { ticker: "IBM", kind: "quote", rows: 1_000 },
    ]);
  } finally {
    writer.close();
    await rm(dir, { recursive: true });
  }
});
