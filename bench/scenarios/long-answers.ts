/**
 * Whole series in one answer, from DuckDB beside SQLite: the same rows, saved by the same requests,
 * read in turn. A ratio of 0.5 is twice SQLite's time.
 */

import type { EngineName } from "../../test/support/flags.ts";
import { openDatabases } from "../engine-databases.ts";
import { tickStamp } from "../requests.ts";
import {
  type BenchContext,
  type Comparison,
  interleave,
  invalidSamples,
  type Sample,
  type Scenario,
  type ScenarioReport,
} from "../scenario.ts";
import { sendCommand, startServer, type Target } from "../targets.ts";

const TICKS = 250_000;
const DAILY_BARS = 20_000;
const HOURLY_BARS = 100_000;
const ROWS_PER_SAVE = 10_000;
const TARGET = 0.5;
const TICKER = "LONG";
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const FIRST_MS = Date.UTC(1950, 0, 1);

export const longAnswers: Scenario = { key: "answers", optIn: true, run: compareAnswers };

interface Series {
  name: string;
  rows: number;
  save: { command: string; params: object };
  row(index: number): object;
  read: { command: string; params: object };
}

const TICK_PARAMS = { ticker: TICKER, data_type: "quote" };

const SERIES: Series[] = [
  {
    name: `${TICKS.toLocaleString("en-US")} ticks`,
    rows: TICKS,
    save: { command: "save_realtime_data", params: { ...TICK_PARAMS, index_col: "timestamp" } },
    row: (i) => ({
      timestamp: tickStamp(i * 1_000),
      price: 150 + (i % 997) / 8,
      size: 1 + (i % 900),
      ask_price: 150.5 + (i % 997) / 8,
      ask_size: 5 + (i % 77),
    }),
    read: { command: "get_realtime_data", params: TICK_PARAMS },
  },
  barSeries("hourly", HOURLY_BARS, "datetime", (i) => new Date(FIRST_MS + i * HOUR_MS).toISOString()),
  barSeries("daily", DAILY_BARS, "date", (i) => new Date(FIRST_MS + i * DAY_MS).toISOString().slice(0, 10)),
];

function barSeries(interval: string, rows: number, stamp: string, stampOf: (i: number) => string): Series {
  const params = { ticker: TICKER, interval };
  return {
    name: `${rows.toLocaleString("en-US")} ${interval} bars`,
    rows,
    save: { command: "save_stock_data", params: { ...params, index_col: stamp } },
    row: (i) => {
      const open = 50 + ((i * 7) % 4_001) / 100;
      return {
        [stamp]: stampOf(i),
        open,
        high: open + 1,
        low: open - 1,
        close: open + 0.25,
        volume: 1_000 + i,
      };
    },
    read: { command: "get_stock_data", params: { ...params, start_date: "1950-01-01" } },
  };
}

async function compareAnswers(context: BenchContext): Promise<ScenarioReport> {
  const report: ScenarioReport = { comparisons: [], facts: [], python: [], invalid: [] };
  if (context.floorsOnly) return report;
  const sqlite = await startSeeded(context, "sqlite");
  const duckdb = await startSeeded(context, "duckdb");
  for (const series of SERIES) {
    const samples = await interleave<"sqlite" | "duckdb">(context, {
      sqlite: () => measure(sqlite, series),
      duckdb: () => measure(duckdb, series),
    });
    report.comparisons.push(comparison(series, samples));
    report.invalid.push(...invalidSamples(samples));
  }
  await sqlite.stop();
  await duckdb.stop();
  return report;
}

function comparison({ name }: Series, samples: Record<"sqlite" | "duckdb", Sample[]>): Comparison {
  return {
    name: `duckdb: ${name} in one answer`,
    unit: " answers/s",
    base: { name: "sqlite", samples: samples.sqlite },
    ours: samples.duckdb,
    target: TARGET,
  };
}

async function startSeeded(context: BenchContext, engine: EngineName): Promise<Target> {
  const databases = await openDatabases(engine, context.folder);
  const database = await databases.create("answers");
  const server = await startServer({
    folder: context.folder,
    name: `answers-${engine}`,
    workers: 1,
    database,
  });
  for (const { name, rows, save, row } of SERIES) {
    context.progress(`saving ${name} into ${engine}`);
    for (let first = 0; first < rows; first += ROWS_PER_SAVE) {
      const data = Array.from({ length: Math.min(ROWS_PER_SAVE, rows - first) }, (_, i) => row(first + i));
      await sendCommand(server.port, save.command, { ...save.params, data });
    }
  }
  return server;
}

/**
 * Answers until the time of a measurement is over, three at least: the first one may find nothing
 * kept in memory.
 */
async function measure(server: Target, { name, rows, read }: Series): Promise<Sample> {
  const invalid: string[] = [];
  const cpuAtStart = process.cpuUsage();
  const startedAt = performance.now();
  const answers = 3;
  for (let answer = 0; answer < answers; answer++) {
    const body = await sendCommand(server.port, read.command, read.params);
    const found = countRows(body);
    if (found !== rows) invalid.push(`${name}: an answer has ${found} of ${rows} rows`);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpuAtStart);
  return {
    perSecond: answers / seconds,
    clientCpu: (user + system) / 1e6 / seconds,
    p99Ms: null,
    invalid,
  };
}

/** Rows are flat, and no value has a brace: one for each row, and one for the answer itself. */
function countRows(body: Uint8Array): number {
  let braces = 0;
  for (let at = body.indexOf(CLOSING_BRACE); at >= 0; at = body.indexOf(CLOSING_BRACE, at + 1)) braces++;
  return braces - 1;
}

const CLOSING_BRACE = 125;
