/**
 * Stamps in order put into buckets of an exchange's sessions, beside buckets of a fixed length in
 * UTC, which is one division a stamp and knows neither sessions nor changes of the clock.
 */
import type { Timeframe } from "../../src/calendar/contract.ts";
import { openGrid } from "../../src/calendar/open-grid.ts";
import { parseTimeframe } from "../../src/calendar/timeframe.ts";
import {
  type BenchContext,
  type Comparison,
  interleave,
  invalidSamples,
  type Sample,
  type Scenario,
  type ScenarioReport,
} from "../scenario.ts";

const STAMPS = 2_300_000;
/** Ticks each 10 ms of New York's sessions, and its minutes of 24 years. */
const TICK_MICROS = 10_000;
const FROM = Date.UTC(2000, 0, 3) * 1_000;
const TO = Date.UTC(2030, 0, 1) * 1_000;
const CALENDAR = "XNYS";
const WARM_PASSES = 5;
const PASSES = 30;

/** As many rows as a batch out of an engine has. */
const BATCH = 10_000;

/** @returns how often the bucket changes; -1 where a stamp was in none. */
type CountChanges = (stamps: Float64Array) => number;

export const buckets: Scenario = { key: "buckets", optIn: true, run: measureBuckets };

async function measureBuckets(context: BenchContext): Promise<ScenarioReport> {
  const comparisons: Comparison[] = [];
  const invalid: string[] = [];
  for (const { name, stamps, timeframe } of [
    { name: "ticks into minutes", stamps: stampsOf("1hour", TICK_MICROS), timeframe: "1min" },
    { name: "minutes into 5 minutes", stamps: stampsOf("1min", Infinity), timeframe: "5min" },
    { name: "minutes into days", stamps: stampsOf("1min", Infinity), timeframe: "daily" },
  ]) {
    const parsed = parseTimeframe(timeframe);
    const samples = await interleave<"divided" | "sought">(context, {
      divided: async () => sampleOf(() => divided(parsed), stamps),
      ...(context.floorsOnly ? {} : { sought: async () => sampleOf(() => sought(parsed), stamps) }),
    });
    invalid.push(...invalidSamples(samples));
    comparisons.push({
      name: `${stamps.length.toLocaleString("en-US")} stamps: ${name}`,
      unit: " stamps/s",
      base: { name: "a division of each", samples: samples.divided },
      ours: samples.sought ?? [],
      target: null,
    });
  }
  return { comparisons, facts: [], python: [], invalid };
}

/** From the start of each bucket on, each `step` up to its end. */
function stampsOf(timeframe: string, step: number): Float64Array {
  const stamps = new Float64Array(STAMPS);
  const grid = openGrid({ timeframe: parseTimeframe(timeframe), calendar: CALENDAR, align: "session" });
  let count = 0;
  for (const { start, end } of grid.buckets(FROM, TO, STAMPS))
    for (let at = start; at < end && count < STAMPS; at += step) stamps[count++] = at;
  return stamps.subarray(0, count);
}

async function sampleOf(open: () => CountChanges, stamps: Float64Array): Promise<Sample> {
  const pass = (): boolean => {
    const count = open();
    let isWhole = true;
    for (let from = 0; from < stamps.length; from += BATCH)
      isWhole = count(stamps.subarray(from, from + BATCH)) >= 0 && isWhole;
    return isWhole;
  };
  // The code is compiled.
  for (let times = 0; times < WARM_PASSES; times++) pass();
  const before = process.threadCpuUsage();
  let isWhole = true;
  for (let times = 0; times < PASSES; times++) isWhole = pass() && isWhole;
  // CPU time of this thread: what others do on this machine doesn't count.
  const { user, system } = process.threadCpuUsage(before);
  const perSecond = (stamps.length * PASSES * 1e6) / (user + system);
  return { perSecond, clientCpu: 0, p99Ms: null, invalid: isWhole ? [] : ["a stamp was in no bucket"] };
}

function divided({ unit, count }: Timeframe): CountChanges {
  const length = count * (unit === "day" ? 86_400_000_000 : 1_000_000);
  return (stamps) => {
    let changes = 0;
    let last = Number.NaN;
    for (let row = 0; row < stamps.length; row++) {
      const bucket = Math.floor(stamps[row]! / length);
      if (bucket !== last) changes++;
      last = bucket;
    }
    return changes;
  };
}

function sought(timeframe: Timeframe): CountChanges {
  const grid = openGrid({ timeframe, calendar: CALENDAR });
  return (stamps) => {
    let changes = 0;
    let last = Number.NaN;
    for (let row = 0; row < stamps.length; row++) {
      if (!grid.seek(stamps[row]!)) return -1;
      if (grid.start !== last) changes++;
      last = grid.start;
    }
    return changes;
  };
}
