/**
 * The two reads that charts and bots repeat. Each is compared to a bare server that parses the same
 * request and answers the very bytes of the server's own answer.
 */
import { join } from "node:path";
import { CHART_BARS, NEWEST_QUOTE, QUOTE_PRICE, READ_BARS, YEAR } from "../data.ts";
import type { BodyCheck } from "../load-plan.ts";
import {
  type BenchContext,
  interleave,
  invalidSamples,
  measureHttp,
  type Scenario,
  type ScenarioReport,
} from "../scenario.ts";
import { sendCommand, startFloor, startServer, type Target } from "../targets.ts";

const TICKER = "AAPL";
const CONNECTIONS = 32;

/**
 * get_latest_price: the smallest answer there is; what is left is the server's own work for a
 * request.
 */
export const price: Scenario = {
  key: "price",
  run: (context) =>
    compareRead(context, {
      key: "price",
      name: "get_latest_price, 32 connections",
      command: "get_latest_price",
      params: { ticker: TICKER },
      check: { kind: "price", price: QUOTE_PRICE },
      madeUp: JSON.stringify({ ticker: TICKER, latest_price: QUOTE_PRICE }),
      target: 0.6,
    }),
};

/** get_stock_data of a year of daily bars, all columns: about 90 KB to send. */
export const yearOfBars: Scenario = {
  key: "bars",
  run: (context) =>
    compareRead(context, {
      key: "bars",
      name: "get_stock_data, 252 daily bars",
      command: "get_stock_data",
      params: YEAR,
      check: { kind: "rows", rows: READ_BARS },
      madeUp: JSON.stringify({
        data: CHART_BARS.slice(-READ_BARS).map((bar) => ({ ...bar, pad: "x".repeat(260) })),
      }),
      target: 0.4,
    }),
};

interface Read {
  key: "price" | "bars";
  name: string;
  command: string;
  params: object;
  check: BodyCheck;
  /** An answer of about the right size, for `--floors-only`. */
  madeUp: string;
  target: number;
}

async function compareRead(context: BenchContext, read: Read): Promise<ScenarioReport> {
  const server = context.floorsOnly ? null : await startSeeded(context);
  const answer = server === null ? read.madeUp : await sendCommand(server.port, read.command, read.params);
  const file = join(context.folder, `${read.command}.json`);
  await Bun.write(file, answer);
  const floor = await startFloor({ file: "answer.ts", folder: context.folder, args: [file] });

  const body = JSON.stringify({ command: read.command, params: read.params });
  const load = { connections: CONNECTIONS, requests: { kind: "fixed", body } as const, check: read.check };
  const samples = await interleave<"floor" | "ours">(context, {
    floor: () => measureHttp(context, { ...load, port: floor.port }),
    ...(server === null ? {} : { ours: () => measureHttp(context, { ...load, port: server.port }) }),
  });
  await Promise.all([floor.stop(), server?.stop()]);
  return {
    comparisons: [
      {
        name: read.name,
        unit: "/s",
        base: { name: "floor", samples: samples.floor },
        ours: samples.ours ?? [],
        target: read.target,
      },
    ],
    facts: [],
    python: [{ key: read.key, values: (samples.ours ?? []).map((sample) => sample.perSecond) }],
    invalid: invalidSamples({ [`${read.name}, floor`]: samples.floor, [read.name]: samples.ours }),
  };
}

async function startSeeded(context: BenchContext): Promise<Target> {
  const server = await startServer({ folder: context.folder, name: "reads", workers: 1 });
  await sendCommand(server.port, "save_stock_data", {
    ticker: TICKER,
    interval: "daily",
    index_col: "date",
    data: CHART_BARS,
  });
  await sendCommand(server.port, "save_realtime_data", {
    ticker: TICKER,
    data_type: "quote",
    index_col: "timestamp",
    data: [NEWEST_QUOTE],
  });
  return server;
}
