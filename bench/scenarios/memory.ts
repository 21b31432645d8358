/**
 * Resident memory of each process of a server with 2 workers, and of the one process of a server
 * with 1: at rest before any client, and a while after price reads, saves and 500 subscribers. Also
 * how long a start takes, until every worker has answered.
 */
import { startWsLoad } from "../load.ts";
import { readTreeMemory } from "../memory.ts";
import {
  type BenchContext,
  type Fact,
  measureHttp,
  type Scenario,
  type ScenarioReport,
} from "../scenario.ts";
import { sendCommand, startServer, type Target } from "../targets.ts";

const REST_MS = 2_000;
const FIRST_PRICE = { timestamp: "2023-12-29T20:59:59.000000Z", price: 192.5, size: 100 };

export const memory: Scenario = { key: "memory", run: measureMemory };

async function measureMemory(context: BenchContext): Promise<ScenarioReport> {
  const report: ScenarioReport = { comparisons: [], facts: [], python: [], invalid: [] };
  if (context.floorsOnly) return report;
  for (const workers of [1, 2] as const) {
    context.progress(`memory with ${workers} worker${workers === 1 ? "" : "s"}`);
    const server = await startServer({ folder: context.folder, name: `memory-${workers}`, workers });
    await Bun.sleep(REST_MS);
    const idle = readTreeMemory(server.pid);
    report.invalid.push(...(await useServer(context, server)));
    await Bun.sleep(REST_MS);
    const after = readTreeMemory(server.pid);
    const stopMs = await server.stop();
    report.python.push(
      { key: `start-${workers}`, values: [server.startMs] },
      { key: `idle-${workers}`, values: [sum(idle.map((process) => process.rssMb))] },
    );
    const suffix = `${workers} worker${workers === 1 ? "" : "s"}`;
    report.facts.push(
      {
        name: `start to every worker's first answer, ${suffix}`,
        unit: "ms",
        values: [server.startMs],
        max: null,
      },
      { name: `SIGTERM to the end, ${suffix}`, unit: "ms", values: [stopMs], max: null },
      ...idle.map((process) => memoryFact(`${process.role}, idle, ${suffix}`, process.rssMb)),
      ...after.map((process) => memoryFact(`${process.role}, after the load, ${suffix}`, process.rssMb)),
      memoryFact(`all processes together, idle, ${suffix} (Pss)`, sum(idle.map((process) => process.pssMb))),
      memoryFact(
        `all processes together, after, ${suffix} (Pss)`,
        sum(after.map((process) => process.pssMb)),
      ),
    );
  }
  return report;
}

/** @returns What was wrong. */
async function useServer(context: BenchContext, server: Target): Promise<string[]> {
  const params = { ticker: "AAPL", data_type: "quote", index_col: "timestamp", data: [FIRST_PRICE] };
  await sendCommand(server.port, "save_realtime_data", params);
  const reads = await measureHttp(context, {
    port: server.port,
    connections: 32,
    requests: {
      kind: "fixed",
      body: JSON.stringify({ command: "get_latest_price", params: { ticker: "AAPL" } }),
    },
    check: { kind: "price", price: FIRST_PRICE.price },
  });
  const saves = await measureHttp(context, {
    port: server.port,
    connections: 64,
    requests: { kind: "ticks", tickers: 100, firstIndex: 0 },
    check: { kind: "contains", text: "saved successfully" },
  });
  const plan = {
    kind: "ws",
    port: server.port,
    ticker: "AAPL",
    firstIndex: 0,
    writers: 1,
    savesMin: 0,
    pacedPerSecond: 20,
    pacedMs: 0,
  } as const;
  const updates = await startWsLoad({ ...plan, subscribers: 500, rateMs: context.seconds * 1000 }).result;
  return [...reads.invalid, ...saves.invalid, ...updates.invalid].map((reason) => `memory: ${reason}`);
}

function memoryFact(name: string, mb: number): Fact {
  return { name, unit: "MB", values: [mb], max: null };
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
