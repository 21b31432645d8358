/**
 * What the Python server's fan-out figure was: 200 subscribers of one symbol, one trade a save, one
 * connection that saves as soon as it is answered. And what a feed does that doesn't wait for each
 * answer: 8 and 32 such connections. Every subscriber must have every update once, and those of one
 * connection in order. The floor is that of `fanout`.
 */
import { startWsLoad } from "../load.ts";
import type { WsResult } from "../load-plan.ts";
import type { PythonKey } from "../python-baseline.ts";
import {
  type BenchContext,
  type Comparison,
  interleave,
  invalidSamples,
  type Sample,
  type Scenario,
  type ScenarioReport,
} from "../scenario.ts";
import { startFloor, startServer, type Target } from "../targets.ts";

const SUBSCRIBERS = 200;
const SAVES_MIN = 200;
const WRITERS = [1, 8, 32] as const;
/**
 * Nine measurements a run: fewer and shorter than the others', yet several times longer than 200
 * saves.
 */
const RUNS_MAX = 3;
const RATE_MS_MAX = 1_500;
const PACED_MS = 2_000;
const PACED_PER_SECOND = 10;
/** Of the server's frame. */
const FRAME_BYTES = 197;
const STAMPS_PER_LOAD = 10_000_000;

type Who = "floor" | "one" | "two";
type Key = `${Who}-${(typeof WRITERS)[number]}`;

export const pythonFanout: Scenario = { key: "fanout200", run: measurePythonFanout };

async function measurePythonFanout(full: BenchContext): Promise<ScenarioReport> {
  const context = { ...full, runs: Math.min(full.runs, RUNS_MAX) };
  const targets: [Who, Target][] = [
    ["floor", await startFloor({ file: "publish.ts", folder: context.folder, args: [`${FRAME_BYTES}`] })],
  ];
  if (!context.floorsOnly) {
    for (const [who, workers] of [["one", 1] as const, ["two", 2] as const]) {
      const name = `fanout200-${workers}`;
      targets.push([who, await startServer({ folder: context.folder, name, workers })]);
    }
  }
  const paced = { p99Ms: [] as number[] };
  let loads = 0;
  const measure = async (who: Who, target: Target, writers: number): Promise<Sample> => {
    const isPaced = who === "one" && writers === 1;
    const result = await startWsLoad({
      kind: "ws",
      port: target.port,
      ticker: "AAPL",
      subscribers: SUBSCRIBERS,
      writers,
      firstIndex: loads++ * STAMPS_PER_LOAD,
      rateMs: Math.min(RATE_MS_MAX, context.seconds * 1000),
      savesMin: SAVES_MIN,
      pacedMs: isPaced ? PACED_MS : 0,
      pacedPerSecond: PACED_PER_SECOND,
    }).result;
    if (isPaced) paced.p99Ms.push(result.pacedMs.p99);
    return sampleOf(result);
  };
  const measurements: Partial<Record<Key, () => Promise<Sample>>> = {};
  for (const writers of WRITERS) {
    for (const [who, target] of targets) {
      measurements[`${who}-${writers}`] = () => measure(who, target, writers);
    }
  }
  const samples = await interleave<Key>(context, measurements);
  await Promise.all(targets.map(([, target]) => target.stop()));
  return {
    comparisons: WRITERS.flatMap((writers) => compare(samples, writers)),
    facts: [],
    python: context.floorsOnly
      ? []
      : [
          ...WRITERS.flatMap((writers) => [
            match(`fanout-1x${writers}`, samples[`one-${writers}`]),
            match(`fanout-2x${writers}`, samples[`two-${writers}`]),
          ]),
          { key: "fanout-p99", values: samples["one-1"].flatMap((sample) => sample.p99Ms ?? []) },
          { key: "paced-p99", values: paced.p99Ms },
        ],
    invalid: invalidSamples(samples),
  };
}

function sampleOf(result: WsResult): Sample {
  return {
    perSecond: result.framesPerSecond,
    clientCpu: result.clientCpu,
    p99Ms: result.backToBackMs.p99,
    invalid: result.invalid,
  };
}

function compare(samples: Record<Key, Sample[]>, writers: (typeof WRITERS)[number]): Comparison[] {
  const base = { name: "floor", samples: samples[`floor-${writers}`] };
  const row = (name: string, ours: Sample[] | undefined): Comparison => ({
    name: `update to 200 subscribers, ${writers} writer${writers === 1 ? "" : "s"}, ${name}`,
    unit: " frames/s",
    base,
    ours: ours ?? [],
    target: null,
  });
  return [row("1 worker", samples[`one-${writers}`]), row("2 workers", samples[`two-${writers}`])];
}

function match(key: PythonKey, samples: Sample[]) {
  return { key, values: samples.map((sample) => sample.perSecond) };
}
