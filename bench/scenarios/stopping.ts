/**
 * How soon a worker that was killed has a successor, and how long a server takes that is told to
 * stop while a WebSocket is open. The client must see close code 1001, and the process must end
 * with 0.
 */
import { Subscriber } from "../../test/support/subscriber.ts";
import { LOOPBACK } from "../load-plan.ts";
import { readTreeMemory } from "../memory.ts";
import type { BenchContext, Scenario, ScenarioReport } from "../scenario.ts";
import { askHealth, sendCommand, startServer, type Target } from "../targets.ts";

const WORKERS = 2;
const CLOSE_GOING_AWAY = 1001;
const FIRST_FRAME_MS = 5_000;
const SUCCESSOR_MS = 10_000;
/** The client's socket may hear of its end a little after the process's. */
const CLOSED_MS = 1_000;

export const stopping: Scenario = { key: "stopping", run: measureStopping };

async function measureStopping(context: BenchContext): Promise<ScenarioReport> {
  const report: ScenarioReport = { comparisons: [], facts: [], python: [], invalid: [] };
  if (context.floorsOnly) return report;
  const back: number[] = [];
  const stops = { 1: [] as number[], [WORKERS]: [] as number[] };
  for (let run = 0; run < context.runs; run++) {
    context.progress(`run ${run + 1} of ${context.runs}: stopping`);
    for (const workers of [1, WORKERS] as const) {
      // A new server each time: a second worker to die soon after the first is made to wait on
      // purpose.
      const server = await startServer({ folder: context.folder, name: `stopping-${workers}`, workers });
      try {
        if (workers === WORKERS) back.push(await killOneWorker(server));
        const stop = await stopWithSocket(server);
        stops[workers].push(stop.ms);
        if (stop.exitCode !== 0) report.invalid.push(`SIGTERM: the process ended with ${stop.exitCode}`);
        if (stop.closeCode !== CLOSE_GOING_AWAY)
          report.invalid.push(`SIGTERM: the WebSocket was closed with ${stop.closeCode}`);
      } finally {
        await server.stop();
      }
    }
  }
  report.facts = [
    { name: "a worker of 2 killed: until another answers", unit: "ms", values: back, max: null },
    { name: "SIGTERM with a WebSocket open, 1 worker", unit: "ms", values: stops[1], max: null },
    { name: "SIGTERM with a WebSocket open, 2 workers", unit: "ms", values: stops[WORKERS], max: null },
  ];
  report.python = [
    { key: "restart", values: back },
    { key: "sigterm-2", values: stops[WORKERS] },
  ];
  return report;
}

/** @returns ms from SIGKILL to the first answer of a process that wasn't there before. */
async function killOneWorker(server: Target): Promise<number> {
  const tree = readTreeMemory(server.pid);
  const before = new Set(tree.map((process) => process.pid));
  const victim = tree.find((process) => process.role === "worker 0");
  if (victim === undefined) throw new Error("no worker 0 to kill");
  const killedAt = performance.now();
  process.kill(victim.pid, "SIGKILL");
  while (performance.now() - killedAt < SUCCESSOR_MS) {
    const health = await askHealth(server.port);
    if (health !== null && !before.has(health.pid)) return performance.now() - killedAt;
    await Bun.sleep(1);
  }
  throw new Error("the killed worker has no successor");
}

interface Stop {
  ms: number;
  exitCode: number;
  /** Null when the client never saw an end. */
  closeCode: number | null;
}

async function stopWithSocket(server: Target): Promise<Stop> {
  await sendCommand(server.port, "save_realtime_data", {
    ticker: "AAPL",
    data_type: "quote",
    index_col: "timestamp",
    data: [{ timestamp: "2023-12-29T20:59:59.000000Z", price: 192.5, size: 100 }],
  });
  const subscriber = Subscriber.connect(`ws://${LOOPBACK}:${server.port}`, "AAPL");
  await subscriber.until("a first frame", () => subscriber.frames.length > 0, FIRST_FRAME_MS);
  const startedAt = performance.now();
  process.kill(server.pid, "SIGTERM");
  const exitCode = await server.exited;
  const ms = performance.now() - startedAt;
  const closed = await subscriber.untilClosed(CLOSED_MS).catch(() => null);
  return { ms, exitCode, closeCode: closed?.code ?? null };
}
