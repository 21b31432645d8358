/**
 * Floor of the imports: reads the same CSV, split at its commas, and puts the rows into the engine
 * by its fastest way, in this process; no HTTP. Prints how many are stored. Arguments: engine, path
 * or connection string, CSV file, ticker.
 */
import { readFileSync } from "node:fs";
import type { EngineName } from "../../test/support/flags.ts";
import { type BareTick, openBareStore } from "./bare-store.ts";

/** Of one transaction. */
const BATCH_ROWS = 20_000;

const [, , engine, location, file, ticker] = process.argv;
const store = await openBareStore(engine as EngineName, location!);
const lines = readFileSync(file!, "utf8").trimEnd().split("\n");
// The first line names the columns: timestamp, price, size.
for (let first = 1; first < lines.length; first += BATCH_ROWS) {
  await store.addTicks(lines.slice(first, first + BATCH_ROWS).map(readTick));
}
console.log(JSON.stringify({ rowsStored: await store.countTicks() }));
await store.close();
process.exit(0);

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
