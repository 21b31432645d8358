/**
 * 9,000 daily bars in one save, with their moving averages, while another client asks for a latest
 * price every millisecond or so: how long the save takes, and how long the other client waits at
 * worst.
 */
import { dailyBars, NEWEST_QUOTE, QUOTE_PRICE } from "../data.ts";
import { startHttpLoad } from "../load.ts";
import type { HttpPlan } from "../load-plan.ts";
import type { BenchContext, Scenario, ScenarioReport } from "../scenario.ts";
import { sendCommand, startServer } from "../targets.ts";

const BARS = 9_000;
const SAVE_MS_MAX = 200;
const OTHER_CLIENT_MS_MAX = 50;
/** Longer than any save takes; the load is told to stop before. */
const MEASURE_MS = 30_000;

export const bulkSave: Scenario = { key: "bulk", run: measureBulkSave };

async function measureBulkSave(context: BenchContext): Promise<ScenarioReport> {
  const report: ScenarioReport = { comparisons: [], facts: [], python: [], invalid: [] };
  if (context.floorsOnly) return report;
  const server = await startServer({ folder: context.folder, name: "bulk", workers: 1 });
  const data = dailyBars(BARS);
  await sendCommand(server.port, "save_realtime_data", {
    ticker: "AAPL",
    data_type: "quote",
    index_col: "timestamp",
    data: [NEWEST_QUOTE],
  });
  const saveMs: number[] = [];
  const waitMs: number[] = [];
  for (let run = 0; run < context.runs; run++) {
    context.progress(`run ${run + 1} of ${context.runs}: ${BARS} bars in one save`);
    const other = startHttpLoad(latestPriceProbe(server.port));
    await other.measuring;
    const startedAt = performance.now();
    await sendCommand(server.port, "save_stock_data", {
      ticker: `BULK${run}`,
      interval: "daily",
      index_col: "date",
      data,
    });
    saveMs.push(performance.now() - startedAt);
    other.stop();
    const result = await other.result;
    waitMs.push(result.latencyMs.worst);
    report.invalid.push(...result.invalid.map((reason) => `bulk save, other client: ${reason}`));
  }
  await server.stop();
  report.facts = [
    { name: "9,000 daily bars in one save", unit: "ms", values: saveMs, max: SAVE_MS_MAX },
    { name: "… another client's worst latest price", unit: "ms", values: waitMs, max: OTHER_CLIENT_MS_MAX },
  ];
  report.python = [
    { key: "bulk", values: saveMs },
    { key: "bulk-wait", values: waitMs },
  ];
  return report;
}

/**
 * One client that asks for AAPL's latest price about every millisecond until it is told to stop.
 */
export function latestPriceProbe(port: number): HttpPlan {
  return {
    kind: "http",
    port,
    connections: 1,
    requests: {
      kind: "fixed",
      body: JSON.stringify({ command: "get_latest_price", params: { ticker: "AAPL" } }),
    },
    check: { kind: "price", price: QUOTE_PRICE },
    warmupMs: 300,
    measureMs: MEASURE_MS,
    pauseMs: 1,
  };
}
