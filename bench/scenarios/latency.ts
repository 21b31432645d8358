/**
 * How late an update arrives: from just before its save is sent, and from the arrival of the save's
 * answer, to the frame's arrival at each of 1, 100 and 1,000 subscribers, over 1 and 4 workers,
 * with and without one subscriber that has stopped reading. Saves come at a steady pace, and back
 * to back, from one connection.
 *
 * Saver and subscribers are two processes. The floor is one process that publishes a frame of the
 * same size per request and stores nothing.
 */
import { join } from "node:path";
import type { RawWebSocket } from "../../test/support/raw-web-socket.ts";
import { type LatencyCurve, plotByShare, plotBySubscribers, plotRecovery } from "../latency-plots.ts";
import { startReaders, startSaves } from "../load.ts";
import { LATENCY_SHARES, type ReadersResult } from "../load-plan.ts";
import { median } from "../report.ts";
import type { BenchContext, LatencyFigures, LatencyRow, Scenario, ScenarioReport } from "../scenario.ts";
import { openStalledReader } from "../stalled-reader.ts";
import { startFloor, startServer, type Target } from "../targets.ts";
import { measureRecovery, RECOVERY_WORKERS } from "./recovery.ts";

const SUBSCRIBERS = [1, 100, 1000];
const WORKERS = [1, 4];
const PER_SECOND = 50;
/** One subscriber has one latency a save: a rare one needs longer. */
const ALONE_TIMES_LONGER = 4;
const TICKER = "AAPL";
/** Fewer can't show one in a thousand. */
const SAMPLES_FOR_P999 = 1000;
/** Of one load: more than it can use. */
const STAMPS_PER_LOAD = 10_000_000;
/** Of the server's frame. */
const FRAME_BYTES = 200;
const FLOOR = "bare publish, 1 process";

export const latency: Scenario = { key: "latency", optIn: true, run: measureLatency };

interface LatencyTarget {
  name: string;
  target: Target;
  /** Null: everybody reads. */
  stalled: RawWebSocket | null;
  loads: number;
}

interface Measured {
  target: string;
  subscribers: number;
  perSecond: number | null;
  results: ReadersResult[];
  rates: number[];
}

async function measureLatency(context: BenchContext): Promise<ScenarioReport> {
  const targets = await startTargets(context);
  const measured: Measured[] = [];
  const gone: string[] = [];
  try {
    for (const perSecond of [PER_SECOND, null]) {
      for (const subscribers of SUBSCRIBERS)
        measured.push(...(await measureTargets(context, targets, { perSecond, subscribers })));
    }
  } finally {
    for (const { name, stalled, target } of targets) {
      if (stalled?.ended) gone.push(`latency, ${name}: the stalled reader was sent away`);
      stalled?.[Symbol.dispose]();
      await target.stop();
    }
  }
  const recovery = context.floorsOnly ? null : await measureRecovery(context);
  const invalid = measured.flatMap(({ target, subscribers, results }) =>
    results.flatMap((result) =>
      result.invalid.map((reason) => `latency, ${target}, ${subscribers} subscribers: ${reason}`),
    ),
  );
  return {
    comparisons: [],
    facts: recovery?.facts ?? [],
    python: [],
    invalid: [...invalid, ...gone],
    latencies: measured.map(rowOf),
    plots: context.floorsOnly ? {} : plotsOf(measured.map(curveOf), recovery?.ms ?? []),
  };
}

function serverName(workers: number, isStalled: boolean): string {
  return `${workers} ${workers === 1 ? "worker" : "workers"}${isStalled ? ", one reader stalled" : ""}`;
}

async function startTargets(context: BenchContext): Promise<LatencyTarget[]> {
  const { folder } = context;
  const floor = await startFloor({ file: "publish.ts", folder, args: [String(FRAME_BYTES)] });
  const targets: LatencyTarget[] = [{ name: FLOOR, target: floor, stalled: null, loads: 0 }];
  if (context.floorsOnly) return targets;
  for (const isStalled of [false, true]) {
    for (const workers of WORKERS) {
      const name = serverName(workers, isStalled);
      context.progress(`starting: ${name}`);
      const target = await startServer({
        folder,
        name: `latency-${workers}-${isStalled ? "stalled" : "all"}`,
        workers,
      });
      // Its saves have the stamps of load 0.
      const stalled = isStalled
        ? await openStalledReader(target.port, { ticker: TICKER, firstIndex: 0 })
        : null;
      targets.push({ name, target, stalled, loads: 1 });
    }
  }
  return targets;
}

/** Once per run in turn, so that a slow minute of the machine hits all alike. */
async function measureTargets(
  context: BenchContext,
  targets: LatencyTarget[],
  load: { perSecond: number | null; subscribers: number },
): Promise<Measured[]> {
  const measured = targets.map(({ name }): Measured => ({ target: name, ...load, results: [], rates: [] }));
  for (let run = 0; run < context.runs; run++) {
    for (const [i, target] of targets.entries()) {
      context.progress(`run ${run + 1} of ${context.runs}: ${load.subscribers} subscribers, ${target.name}`);
      const { result, savesPerSecond } = await measureOne(context, target, load);
      measured[i]!.results.push(result);
      measured[i]!.rates.push(savesPerSecond);
    }
  }
  return measured;
}

async function measureOne(
  context: BenchContext,
  target: LatencyTarget,
  { perSecond, subscribers }: { perSecond: number | null; subscribers: number },
): Promise<{ result: ReadersResult; savesPerSecond: number }> {
  const { port } = target.target;
  const firstIndex = target.loads++ * STAMPS_PER_LOAD;
  const timesFile = join(context.folder, `times-${port}-${target.loads}`);
  const isSlowAndAlone = perSecond !== null && subscribers === 1;
  const ms = context.seconds * 1000 * (isSlowAndAlone ? ALONE_TIMES_LONGER : 1);
  const readers = startReaders({ kind: "readers", port, subscribers, ticker: TICKER, timesFile }, ms);
  await readers.measuring;
  const saves = startSaves({ kind: "saves", port, ticker: TICKER, firstIndex, perSecond, ms, timesFile });
  const { savesPerSecond } = await saves.result;
  readers.stop();
  return { result: await readers.result, savesPerSecond };
}

function rowOf({ target, subscribers, perSecond, results, rates }: Measured): LatencyRow {
  const pace = perSecond === null ? "back to back" : `${perSecond}/s`;
  const figures = (of: (result: ReadersResult) => number[]): LatencyFigures => {
    const at = (share: number) => (result: ReadersResult) => of(result)[LATENCY_SHARES.indexOf(share)]!;
    const many = results.filter(({ samples }) => samples >= SAMPLES_FOR_P999);
    return { p50: results.map(at(0.5)), p99: results.map(at(0.99)), p999: many.map(at(0.999)) };
  };
  return {
    name: `${pace}, ${counted(subscribers)}, ${target}`,
    perSecond: rates,
    fromSent: figures(({ sentToFrame }) => sentToFrame),
    fromAnswered: figures(({ answeredToFrame }) => answeredToFrame),
    clientCpu: results.map(({ clientCpu }) => clientCpu),
  };
}

function counted(subscribers: number): string {
  return subscribers === 1 ? "1 subscriber" : `${subscribers.toLocaleString("en-US")} subscribers`;
}

function curveOf({ target, subscribers, perSecond, results }: Measured): LatencyCurve {
  const ms = LATENCY_SHARES.map((_, i) => median(results.map(({ sentToFrame }) => sentToFrame[i]!)));
  return { target, subscribers, perSecond, ms };
}

function plotsOf(curves: LatencyCurve[], recoveryMs: number[]): Record<string, string> {
  const names = [FLOOR, ...WORKERS.map((workers) => serverName(workers, false))];
  const most = SUBSCRIBERS.at(-1)!;
  const of = (perSecond: number | null) =>
    curves.filter((curve) => curve.perSecond === perSecond && names.includes(curve.target));
  return {
    "latency-steady.svg": plotBySubscribers(of(PER_SECOND), names, `${PER_SECOND} saves a second`),
    "latency-back-to-back.svg": plotBySubscribers(of(null), names, "Saves back to back, from one connection"),
    "latency-stalled.svg": plotByShare(
      WORKERS.map((workers) => ({
        title: serverName(workers, false),
        targets: [FLOOR, serverName(workers, false), serverName(workers, true)],
      })),
      curves.filter((curve) => curve.perSecond === PER_SECOND && curve.subscribers === most),
      {
        names: [FLOOR, "everybody reads", "one has stopped reading"],
        title: `${PER_SECOND} saves a second, ${most.toLocaleString("en-US")} subscribers`,
      },
    ),
    "recovery.svg": plotRecovery(recoveryMs, `A worker of ${RECOVERY_WORKERS} is killed`),
  };
}
