/**
 * Durable saves of one trade each, by a server that keeps roll-ups and one that keeps none. Bars
 * are made beside the saves: what they cost is the work of their worker, and their commits. How
 * late they are is told by the time from the end of the load until all are made.
 */
import {
  type BenchContext,
  interleave,
  invalidSamples,
  measureHttp,
  type Scenario,
  type ScenarioReport,
} from "../scenario.ts";
import { sendCommand, startServer, type Target } from "../targets.ts";

const CONNECTIONS = 64;
const TICKERS = 100;
const ROLLUPS = "1min,5min,1hour";
/** Stamps of one load: more than it can use. */
const STAMPS_PER_LOAD = 100_000_000;
const SAVED = "saved successfully";
const MADE_WITHIN_MS = 60_000;
const LOOK_MS = 20;
const MADE_SQL = `SELECT (SELECT count(*) FROM realtime_data) -
  (SELECT sum(trade_count) FROM interval_prices WHERE interval = '1min') AS missing`;

export const rollups: Scenario = { key: "rollups", run: compareRollups };

async function compareRollups(context: BenchContext): Promise<ScenarioReport> {
  if (context.floorsOnly) return { comparisons: [], facts: [], python: [], invalid: [] };
  const { folder } = context;
  const without = await startServer({ folder, name: "without", workers: 1 });
  const withSome = await startServer({ folder, name: "with", workers: 1, flags: ["--rollup", ROLLUPS] });
  let loads = 0;
  const measure = (target: Target) => async () => {
    const requests = { kind: "ticks", tickers: TICKERS, firstIndex: loads++ * STAMPS_PER_LOAD } as const;
    const check = { kind: "contains", text: SAVED } as const;
    return measureHttp(context, { port: target.port, connections: CONNECTIONS, requests, check });
  };
  const lateMs: number[] = [];
  const samples = await interleave<"without" | "with">(context, {
    without: measure(without),
    with: async () => {
      const sample = await measure(withSome)();
      lateMs.push(await untilMade(withSome));
      return sample;
    },
  });
  const invalid = [
    ...invalidSamples({ "saves without roll-ups": samples.without, "saves with roll-ups": samples.with }),
    ...(lateMs.every((ms) => ms < MADE_WITHIN_MS) ? [] : ["roll-ups: bars of the load weren't made in time"]),
  ];
  await Promise.all([without.stop(), withSome.stop()]);
  return {
    comparisons: [
      {
        name: `durable one-tick saves with roll-ups of ${ROLLUPS}`,
        unit: "/s",
        base: { name: "without", samples: samples.without },
        ours: samples.with,
        target: null,
      },
    ],
    facts: [
      { name: "… from the end of the load until all bars are made", unit: "ms", values: lateMs, max: 1_000 },
    ],
    python: [],
    invalid,
  };
}

/** In ms: until the minute bars have as many trades as are stored. */
async function untilMade(server: Target): Promise<number> {
  const began = performance.now();
  while (performance.now() - began < MADE_WITHIN_MS) {
    const body = await sendCommand(server.port, "execute_sql", {
      sql_query: MADE_SQL,
      query_type: "select",
      query_params: [],
    });
    const answer = JSON.parse(Buffer.from(body).toString()) as { data: { missing: number }[] };
    if (answer.data[0]?.missing === 0) return performance.now() - began;
    await Bun.sleep(LOOK_MS);
  }
  return MADE_WITHIN_MS;
}
