/**
 * What keys cost, and what one key's flood costs the others: the price read and durable saves of
 * one trade with a key of tickers, a rate and an audit, beside a server without keys; then one
 * client's prices alone, and beside a key that sends a hundred times its rate.
 */
import { join } from "node:path";
import { runCli } from "../../test/support/run-cli.ts";
import { NEWEST_QUOTE, QUOTE_PRICE } from "../data.ts";
import { startHttpLoad } from "../load.ts";
import type { BodyCheck, Requests } from "../load-plan.ts";
import {
  type BenchContext,
  interleave,
  invalidSamples,
  measureHttp,
  type Sample,
  type Scenario,
  type ScenarioReport,
} from "../scenario.ts";
import { sendCommand, startServer, type Target } from "../targets.ts";

const TICKER = "T000";
const READERS = 32;
const SAVERS = 64;
const TICKERS = 100;
/** Stamps of one load: more than it can use. */
const STAMPS_PER_LOAD = 100_000_000;
/** Never reached, and counted all the same. */
const WIDE_RATE = "1000000/s";
const FLOOD_RATE = 50;
const FLOOD_CONNECTIONS = 50;
/** Between the answers of a connection: together a hundred times the rate. */
const FLOOD_PAUSE_MS = 10;
/** A few dashboards. */
const QUIET = { connections: 4, pauseMs: 5 };

export const keys: Scenario = { key: "keys", run: compareKeys };

type Load =
  | "price"
  | "price with a key"
  | "price with all"
  | "saves"
  | "saves with all"
  | "alone"
  | "beside a flood";

async function compareKeys(context: BenchContext): Promise<ScenarioReport> {
  if (context.floorsOnly) return { comparisons: [], facts: [], python: [], invalid: [] };
  const { folder } = context;
  const file = join(folder, "bench.keys");
  const [plain, key, flooding] = [
    await addKey(file, "plain", []),
    await addKey(file, "desk", ["--tickers", "T*", "--rate", WIDE_RATE]),
    await addKey(file, "flood", ["--rate", `${FLOOD_RATE}/s`]),
  ];
  const flags = ["--keys", file];
  const audit = ["--audit-log", join(folder, "audit.jsonl")];
  const without = await startServer({ folder, name: "without-keys", workers: 1 });
  const keyed = await startServer({ folder, name: "with-keys", workers: 1, flags });
  const guarded = await startServer({ folder, name: "with-all", workers: 1, flags: [...flags, ...audit] });
  const quote = { ticker: TICKER, data_type: "quote", index_col: "timestamp", data: [NEWEST_QUOTE] };
  await sendCommand(without.port, "save_realtime_data", quote);
  for (const { port } of [keyed, guarded]) await sendCommand(port, "save_realtime_data", quote, key);

  const body = JSON.stringify({ command: "get_latest_price", params: { ticker: TICKER } });
  const price = {
    requests: { kind: "fixed", body } as Requests,
    check: { kind: "price", price: QUOTE_PRICE } as BodyCheck,
  };
  let loads = 0;
  const saves = (target: Target, as: string | null) => () => {
    const requests = { kind: "ticks", tickers: TICKERS, firstIndex: loads++ * STAMPS_PER_LOAD } as const;
    const check = { kind: "contains", text: "saved successfully" } as const;
    return measureHttp(context, { port: target.port, connections: SAVERS, requests, check, key: as });
  };
  const prices = (target: Target, as: string | null) => () =>
    measureHttp(context, { ...price, port: target.port, connections: READERS, key: as });
  const quiet = () => measureHttp(context, { ...price, ...QUIET, port: guarded.port, key });
  const refused: number[] = [];
  const samples = await interleave<Load>(context, {
    price: prices(without, null),
    "price with a key": prices(keyed, plain),
    "price with all": prices(guarded, key),
    saves: saves(without, null),
    "saves with all": saves(guarded, key),
    alone: quiet,
    "beside a flood": async () => {
      const flood = startHttpLoad({
        ...{ kind: "http", port: guarded.port, connections: FLOOD_CONNECTIONS, ...price, key: flooding },
        ...{ warmupMs: 0, measureMs: 60_000, pauseMs: FLOOD_PAUSE_MS, mayBeRefused: true },
      });
      await flood.measuring;
      const sample = await quiet();
      flood.stop();
      const { answers, elapsedMs, invalid } = await flood.result;
      refused.push((answers * 1_000) / elapsedMs);
      return { ...sample, invalid: [...sample.invalid, ...invalid] };
    },
  });
  await Promise.all([without.stop(), keyed.stop(), guarded.stop()]);
  const compared = (name: string, base: Sample[], ours: Sample[]) => ({
    ...{ name, unit: "/s", base: { name: "without", samples: base }, ours, target: 0.95 },
  });
  const p99 = (of: Sample[]): number[] => of.map(({ p99Ms }) => p99Ms ?? Number.NaN);
  const alone = p99(samples.alone);
  return {
    comparisons: [
      compared("get_latest_price with a key", samples.price, samples["price with a key"]),
      compared("… of tickers, with a rate, and with an audit", samples.price, samples["price with all"]),
      compared("durable one-tick saves with all these", samples.saves, samples["saves with all"]),
    ],
    facts: [
      { name: "p99 of prices of one key, alone", unit: "ms", values: alone, max: null },
      {
        name: `… beside a key that sends 100 times its ${FLOOD_RATE}/s`,
        unit: "ms",
        values: p99(samples["beside a flood"]),
        max: Math.round(200 * median(alone)) / 100,
      },
      { name: "… answers to the flood", unit: "/s", values: refused, max: null },
    ],
    python: [],
    invalid: invalidSamples(samples),
  };
}

async function addKey(file: string, name: string, more: string[]): Promise<string> {
  const args = ["keys", "add", name, "--may", "read,write", "--keys", file, "--json", ...more];
  const { code, stdout, stderr } = await runCli(args);
  if (code !== 0) throw new Error(stderr);
  return (JSON.parse(stdout) as { key: string }).key;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
