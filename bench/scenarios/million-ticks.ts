/**
 * Reading 1,000,000 ticks in one answer: the peak of the worker's resident memory, and how long
 * another client's small read waits at worst meanwhile. The server is started anew after the data
 * is in, so that memory of saving isn't counted.
 */
import { NEWEST_QUOTE } from "../data.ts";
import { startHttpLoad } from "../load.ts";
import { LOOPBACK } from "../load-plan.ts";
import { readPeakRssMb, resetPeakRss } from "../memory.ts";
import { tickStamp } from "../requests.ts";
import type { BenchContext, Scenario, ScenarioReport } from "../scenario.ts";
import { sendCommand, startServer } from "../targets.ts";
import { latestPriceProbe } from "./bulk-save.ts";

const TICKS = 1_000_000;
const TICKS_PER_SAVE = 20_000;
const STAMP_STEP_US = 1_000;
const PEAK_MB_MAX = 150;
const OTHER_CLIENT_MS_MAX = 50;
const RUNS_MAX = 3;
const TICKER = "MANY";

export const millionTicks: Scenario = { key: "million", run: measureMillionTicks };

async function measureMillionTicks(context: BenchContext): Promise<ScenarioReport> {
  const report: ScenarioReport = { comparisons: [], facts: [], python: [], invalid: [] };
  if (context.floorsOnly) return report;
  const seedS = await seed(context);
  const server = await startServer({ folder: context.folder, name: "million", workers: 1 });
  const readS: number[] = [];
  const peakMb: number[] = [];
  const waitMs: number[] = [];
  for (let run = 0; run < Math.min(RUNS_MAX, context.runs); run++) {
    context.progress(`run ${run + 1}: reading ${TICKS} ticks`);
    resetPeakRss(server.pid);
    const other = startHttpLoad(latestPriceProbe(server.port));
    await other.measuring;
    const startedAt = performance.now();
    const rows = await readAll(server.port);
    readS.push((performance.now() - startedAt) / 1000);
    other.stop();
    const result = await other.result;
    peakMb.push(readPeakRssMb(server.pid));
    waitMs.push(result.latencyMs.worst);
    report.invalid.push(...result.invalid.map((reason) => `1M ticks, other client: ${reason}`));
    if (rows !== TICKS) report.invalid.push(`1M ticks: the answer has ${rows} rows`);
  }
  await server.stop();
  report.facts = [
    { name: "1,000,000 ticks saved, 20,000 a request", unit: "s", values: [seedS], max: null },
    { name: "1,000,000 ticks read in one answer", unit: "s", values: readS, max: null },
    { name: "… the process's peak memory", unit: "MB", values: peakMb, max: PEAK_MB_MAX },
    { name: "… another client's worst latest price", unit: "ms", values: waitMs, max: OTHER_CLIENT_MS_MAX },
  ];
  return report;
}

/** @returns Seconds that the saves took. */
async function seed(context: BenchContext): Promise<number> {
  context.progress(`saving ${TICKS} ticks`);
  const server = await startServer({ folder: context.folder, name: "million", workers: 1 });
  await sendCommand(server.port, "save_realtime_data", {
    ticker: "AAPL",
    data_type: "quote",
    index_col: "timestamp",
    data: [NEWEST_QUOTE],
  });
  const startedAt = performance.now();
  for (let first = 0; first < TICKS; first += TICKS_PER_SAVE) {
    const data = Array.from({ length: TICKS_PER_SAVE }, (_, i) => ({
      timestamp: tickStamp((first + i) * STAMP_STEP_US),
      price: 150 + (i % 100) / 4,
      size: 100 + (i % 9),
    }));
    const params = { ticker: TICKER, data_type: "trade", index_col: "timestamp", data };
    await sendCommand(server.port, "save_realtime_data", params);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  await server.stop();
  return seconds;
}

/** Reads all ticks without keeping them. @returns How many rows the answer has. */
async function readAll(port: number): Promise<number> {
  const response = await fetch(`http://${LOOPBACK}:${port}/db_command`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ command: "get_realtime_data", params: { ticker: TICKER, data_type: "trade" } }),
  });
  if (response.status !== 200 || response.body === null)
    throw new Error(`1M ticks: status ${response.status}`);
  let closing = 0;
  for await (const chunk of response.body) {
    for (let at = chunk.indexOf(CLOSING_BRACE); at >= 0; at = chunk.indexOf(CLOSING_BRACE, at + 1)) closing++;
  }
  // Rows are flat, and no value has a brace: one for each row, and one for the answer itself.
  return closing - 1;
}

const CLOSING_BRACE = 125;
