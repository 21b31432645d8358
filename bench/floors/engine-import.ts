/**
 * Floor of the imports: the engine's own loader puts the same file into the engine, in this
 * process; no HTTP. DuckDB reads the file itself, CSV or Parquet, and PostgreSQL has COPY. SQLite
 * has none: the lines are split at their commas and go in by a prepared statement. Prints how many
 * are stored. Arguments: engine, path or connection string, file, ticker.
 */
import { readFileSync } from "node:fs";
import type { EngineName } from "../../test/support/flags.ts";
import { type BareTick, openBareStore } from "./bare-store.ts";

/** Of one transaction. */
const BATCH_ROWS = 20_000;

const [, , engine, location, file, ticker] = process.argv;
const store = await openBareStore(engine as EngineName, location!);
if (store.loadFile === undefined) await addLines();
else await store.loadFile(file!, ticker!);
console.log(JSON.stringify({ rowsStored: await store.countTicks() }));
await store.close();
process.exit(0);

async function addLines(): Promise<void> {
  const lines = readFileSync(file!, "utf8").trimEnd().split("\n");
  // The first line names the columns: timestamp, price, size.
  for (let first = 1; first < lines.length; first += BATCH_ROWS)
    await store.addTicks(lines.slice(first, first + BATCH_ROWS).map(readTick));
}

function readTick(line: string): BareTick {
  const [timestamp, price, size] = line.split(",");
  return {
    ticker: ticker!,
    timestamp: timestamp!,
    type: "trade",
    price: Number(price),
    size: Number(size),
  };
}
