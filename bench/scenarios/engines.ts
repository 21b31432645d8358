/**
 * Every engine beside a floor of its own: a latest price, a year of bars, and saves of one trade.
 * The floor sends the least statement for the same request to the engine's bare driver,
 * in the process that answers.
 */
import { join } from "node:path";
import type { EngineName } from "../../test/support/flags.ts";
import { CHART_BARS, NEWEST_QUOTE, QUOTE_PRICE, READ_BARS, YEAR } from "../data.ts";
import { type EngineDatabases, openDatabases } from "../engine-databases.ts";
import { BAR_COLUMNS } from "../floors/bare-store.ts";
import type { EngineSeed } from "../floors/engine.ts";
import { LOOPBACK } from "../load-plan.ts";
import {
  type BenchContext,
  type Comparison,
  interleave,
  invalidSamples,
  measureHttp,
  type Scenario,
  type ScenarioReport,
} from "../scenario.ts";
import { countTicks, sendCommand, startFloor, startServer, type Target } from "../targets.ts";

const TICKER = "AAPL";
const READ_CONNECTIONS = 32;
const SAVE_CONNECTIONS = 64;
const TICKERS = 100;
/** Stamps of one load: more than it can use. */
const STAMPS_PER_LOAD = 100_000_000;

export const engines: Scenario = { key: "engines", optIn: true, run: compareEngines };

interface Pair {
  engine: EngineName;
  floor: Target;
  server: Target | null;
}

async function compareEngines(context: BenchContext): Promise<ScenarioReport> {
  const report = {
    comparisons: [],
    facts: [],
    python: [],
    invalid: [],
    leftOut: [],
  } as Required<Omit<ScenarioReport, "latencies" | "plots">>;
  for (const engine of context.engines) {
    let databases: EngineDatabases;
    try {
      databases = await openDatabases(engine, context.folder);
    } catch (error) {
      report.leftOut.push(`${engine}: ${error instanceof Error ? error.message : String(error)}`);
      continue;
    }
    try {
      const part = await compareEngine(context, engine, databases);
      report.comparisons.push(...part.comparisons);
      report.invalid.push(...part.invalid);
    } catch (error) {
      report.invalid.push(`${engine}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      await databases.close();
    }
  }
  return report;
}

type Part = Pick<ScenarioReport, "comparisons" | "invalid">;

async function compareEngine(
  context: BenchContext,
  engine: EngineName,
  databases: EngineDatabases,
): Promise<Part> {
  const server = context.floorsOnly
    ? null
    : await startServer({
        folder: context.folder,
        name: `engine-${engine}`,
        workers: 1,
        database: await databases.create("ours"),
      });
  const stored =
    server === null ? CHART_BARS.map((bar) => ({ ticker: TICKER, ...bar })) : await seedServer(server);
  const seed: EngineSeed = {
    bars: stored,
    quote: { ticker: TICKER, type: "quote", ...NEWEST_QUOTE },
  };
  const seedFile = join(context.folder, `engine-${engine}.json`);
  await Bun.write(seedFile, JSON.stringify(seed));
  const floor = await startFloor({
    file: "engine.ts",
    folder: context.folder,
    args: [engine, await databases.create("floor"), seedFile],
  });
  const pair: Pair = { engine, floor, server };
  const parts = [await compareReads(context, pair), await compareSaves(context, pair)];
  await floor.stop();
  await server?.stop();
  return {
    comparisons: parts.flatMap((part) => part.comparisons),
    invalid: parts.flatMap((part) => part.invalid),
  };
}

/** @returns The bars as the server has them, averages included. */
async function seedServer(server: Target): Promise<EngineSeed["bars"]> {
  const save = { ticker: TICKER, interval: "daily", index_col: "date", data: CHART_BARS };
  await sendCommand(server.port, "save_stock_data", save);
  const quote = { ticker: TICKER, data_type: "quote", index_col: "timestamp", data: [NEWEST_QUOTE] };
  await sendCommand(server.port, "save_realtime_data", quote);
  return await askBars(server, { ...YEAR, start_date: CHART_BARS[0]!.date });
}

async function compareReads(context: BenchContext, { engine, floor, server }: Pair): Promise<Part> {
  const reads = [
    {
      name: `${engine}: get_latest_price, 32 connections`,
      command: "get_latest_price",
      params: { ticker: TICKER },
      check: { kind: "price", price: QUOTE_PRICE } as const,
    },
    {
      name: `${engine}: get_stock_data, 252 daily bars`,
      command: "get_stock_data",
      params: YEAR,
      check: { kind: "rows", rows: READ_BARS } as const,
    },
  ];
  const part: Part = { comparisons: [], invalid: [] };
  if (server !== null && !Bun.deepEquals(await askBars(floor, YEAR), await askBars(server, YEAR)))
    part.invalid.push(`${engine}: floor and server answer different bars`);
  for (const { name, command, params, check } of reads) {
    const body = JSON.stringify({ command, params });
    const load = { connections: READ_CONNECTIONS, requests: { kind: "fixed", body } as const, check };
    const samples = await interleave<"floor" | "ours">(context, {
      floor: () => measureHttp(context, { ...load, port: floor.port }),
      ...(server === null ? {} : { ours: () => measureHttp(context, { ...load, port: server.port }) }),
    });
    part.comparisons.push(comparison(name, samples));
    part.invalid.push(...invalidSamples({ [`${name}, floor`]: samples.floor, [name]: samples.ours }));
  }
  return part;
}

async function compareSaves(context: BenchContext, { engine, floor, server }: Pair): Promise<Part> {
  const name = `${engine}: durable one-tick saves, 64 connections`;
  const sent = { floor: 0, ours: 0 };
  let loads = 0;
  const measure = (key: keyof typeof sent, port: number) => async () => {
    const sample = await measureHttp(context, {
      port,
      connections: SAVE_CONNECTIONS,
      requests: { kind: "ticks", tickers: TICKERS, firstIndex: loads++ * STAMPS_PER_LOAD },
      check: { kind: "contains", text: "saved successfully" },
    });
    sent[key] += sample.sent;
    return sample;
  };
  const samples = await interleave<"floor" | "ours">(context, {
    floor: measure("floor", floor.port),
    ...(server === null ? {} : { ours: measure("ours", server.port) }),
  });
  const health = await fetch(`http://${LOOPBACK}:${floor.port}/health`);
  // The quote was there before.
  const stored = { floor: ((await health.json()) as { count: number }).count - 1, ours: 0 };
  if (server !== null) stored.ours = await countTicks(server, "T%");
  const missing = (["floor", "ours"] as const)
    .filter((key) => stored[key] !== sent[key])
    .map((key) => `${name}, ${key}: ${sent[key]} were answered, ${stored[key]} are stored`);
  return {
    comparisons: [comparison(name, samples)],
    invalid: [...invalidSamples({ [`${name}, floor`]: samples.floor, [name]: samples.ours }), ...missing],
  };
}

function comparison(
  name: string,
  samples: { floor: Comparison["ours"]; ours?: Comparison["ours"] },
): Comparison {
  const base = { name: "floor", samples: samples.floor };
  return { name, unit: "/s", base, ours: samples.ours ?? [], target: null };
}

/** @returns Every column but `write_timestamp`. */
async function askBars(target: Target, params: object): Promise<EngineSeed["bars"]> {
  const body = await sendCommand(target.port, "get_stock_data", params);
  const { data } = JSON.parse(Buffer.from(body).toString()) as { data: EngineSeed["bars"] };
  // The server adds the hour to a day.
  return data.map((bar) => ({
    ...Object.fromEntries(BAR_COLUMNS.map((name) => [name, bar[name] ?? null])),
    date: String(bar.date).slice(0, 10),
  }));
}
