/** The shape of a scenario, and how its loads are interleaved and compared. */
import type { EngineName } from "../test/support/flags.ts";
import { startHttpLoad } from "./load.ts";
import type { HttpPlan } from "./load-plan.ts";
import type { PythonMatch } from "./python-baseline.ts";

export interface BenchContext {
  /** Where databases and logs of this run are. */
  folder: string;
  runs: number;
  /** Of one measurement. */
  seconds: number;
  /** Measures this machine alone; what the server would have answered is made up. */
  floorsOnly: boolean;
  engines: EngineName[];
  /** Says what is being done. */
  progress: (text: string) => void;
}

export interface Scenario {
  /** As `--only` names it. */
  key: string;
  /** Runs only when it is asked for. */
  optIn?: true;
  run(context: BenchContext): Promise<ScenarioReport>;
}

export interface ScenarioReport {
  comparisons: Comparison[];
  facts: Fact[];
  /** What of this can be held against the Python server's figures. */
  python: PythonMatch[];
  /** Anything here makes the whole run fail. */
  invalid: string[];
  /** What was left out, and why. */
  leftOut?: string[];
  latencies?: LatencyRow[];
  /** For docs/plots, by file name. */
  plots?: Record<string, string>;
}

/** How late updates arrive, under one load; each list run by run, in ms. */
export interface LatencyRow {
  name: string;
  /** Saves a second. */
  perSecond: number[];
  fromSent: LatencyFigures;
  fromAnswered: LatencyFigures;
  /** Of the process that reads, as a share of one core. */
  clientCpu: number[];
}

/** `p999` is empty where a run has fewer than a thousand latencies. */
export interface LatencyFigures {
  p50: number[];
  p99: number[];
  p999: number[];
}

/** One measurement of one target. */
export interface Sample {
  perSecond: number;
  clientCpu: number;
  /** Null where a measurement has no requests of its own. */
  p99Ms: number | null;
  invalid: string[];
}

/** Something of ours against something beside it, run by run. */
export interface Comparison {
  name: string;
  unit: string;
  base: { name: string; samples: Sample[] };
  /** Empty with `--floors-only`. */
  ours: Sample[];
  /** The least good ratio; null where none is set. */
  target: number | null;
}

/** A figure without a floor. */
export interface Fact {
  name: string;
  unit: "ms" | "s" | "MB" | "B" | "/s";
  values: number[];
  /** The largest value that is good; null where none is set. */
  max: number | null;
}

const WARMUP_MS = 500;

/**
 * Calls each measurement once per run, in turn, so that a slow minute of the machine hits all
 * alike.
 */
export async function interleave<Key extends string>(
  context: BenchContext,
  measurements: Partial<Record<Key, (run: number) => Promise<Sample>>>,
): Promise<Record<Key, Sample[]>> {
  const samples = {} as Record<Key, Sample[]>;
  const entries = Object.entries(measurements) as [Key, (run: number) => Promise<Sample>][];
  for (let run = 0; run < context.runs; run++) {
    for (const [key, measure] of entries) {
      context.progress(`run ${run + 1} of ${context.runs}: ${key}`);
      samples[key] ??= [];
      samples[key].push(await measure(run));
    }
  }
  return samples;
}

/** Measures one HTTP load against one port. */
export async function measureHttp(
  context: BenchContext,
  plan: Pick<HttpPlan, "port" | "connections" | "requests" | "check"> & Partial<HttpPlan>,
): Promise<Sample & { sent: number }> {
  const result = await startHttpLoad({
    kind: "http",
    warmupMs: WARMUP_MS,
    measureMs: context.seconds * 1000,
    pauseMs: 0,
    ...plan,
  }).result;
  return {
    perSecond: (result.answers * 1000) / result.elapsedMs,
    clientCpu: result.clientCpu,
    p99Ms: result.latencyMs.p99,
    invalid: result.invalid,
    sent: result.sent,
  };
}

/** What was wrong with any sample, with the name of what was measured. */
export function invalidSamples(named: Record<string, Sample[] | undefined>): string[] {
  return Object.entries(named).flatMap(([name, samples]) =>
    (samples ?? []).flatMap((sample) => sample.invalid.map((reason) => `${name}: ${reason}`)),
  );
}
