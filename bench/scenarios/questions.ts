/**
 * Questions of market data, from the request to the last byte of the answer, of a running server
 * with one worker. Most stand beside the same in one process: by the engine's driver, or as SQL of
 * DuckDB's. Meanwhile another client asks `/live`.
 */
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import type { EngineName } from "../../test/support/flags.ts";
import { type EngineDatabases, openDatabases } from "../engine-databases.ts";
import { bareColumns } from "../floors/bare-columns.ts";
import { openDuckDbQuestions, type ReadSum } from "../floors/duckdb-questions.ts";
import { startHttpLoad } from "../load.ts";
import { LOOPBACK } from "../load-plan.ts";
import { readPeakRssMb, resetPeakRss } from "../memory.ts";
import { type BarDays, TRADED } from "../question-data.ts";
import { type BenchQuestion, type QuestionFloors, type QuestionKey, questionsOf } from "../question-list.ts";
import { storeQuestionRows } from "../question-store.ts";
import {
  type BenchContext,
  type Fact,
  interleave,
  invalidSamples,
  type Sample,
  type Scenario,
  type ScenarioReport,
} from "../scenario.ts";
import { startServer, type Target } from "../targets.ts";

const LABELS: Record<EngineName, string> = { sqlite: "SQLite", duckdb: "DuckDB", postgres: "PostgreSQL" };
/** PostgreSQL takes minutes to store what the others have. */
const BAR_DAYS: Record<EngineName, BarDays> = { sqlite: 5_000, duckdb: 5_000, postgres: 1_000 };
const RUNS_MAX = 5;
/** Then the worker's code is compiled, and its file in the machine's memory. */
const ASKED_BEFORE = 2;
const ASK_LIVE_MS = 5;
const WAIT_MS_MAX = 20;
const PEAK_MB_MAX = 250;

type MeasuredKey = QuestionKey | `${QuestionKey} floor`;

export const questions: Scenario = { key: "questions", optIn: true, run: measureQuestions };

async function measureQuestions(context: BenchContext): Promise<ScenarioReport> {
  const report = { comparisons: [], facts: [], python: [], invalid: [], leftOut: [] } as ScenarioReport;
  const runs = Math.min(RUNS_MAX, context.runs);
  for (const engine of context.engines) {
    let databases: EngineDatabases;
    try {
      databases = await openDatabases(engine, context.folder);
    } catch (error) {
      report.leftOut!.push(`${engine}: ${error instanceof Error ? error.message : String(error)}`);
      continue;
    }
    try {
      const measured = await measureEngine({ ...context, runs }, engine, databases);
      report.comparisons.push(...measured.comparisons);
      report.facts.push(...measured.facts);
      report.invalid.push(...measured.invalid);
    } finally {
      await databases.close();
    }
  }
  return report;
}

type EngineReport = Pick<ScenarioReport, "comparisons" | "facts" | "invalid">;

async function measureEngine(
  context: BenchContext,
  engine: EngineName,
  databases: EngineDatabases,
): Promise<EngineReport> {
  const database = await databases.create("questions");
  context.progress(`storing into ${engine}`);
  await storeQuestionRows(engine, database, BAR_DAYS[engine]);
  const duckdb = await openDuckDbQuestions(join(context.folder, `questions-${engine}`), BAR_DAYS[engine]);
  const trades = await bareTrades(engine, database);
  const server = context.floorsOnly
    ? null
    : await startServer({ folder: context.folder, name: `questions-${engine}`, workers: 1, database });
  try {
    return await ask({ context, engine, server, floors: { trades, duckdb } });
  } finally {
    await server?.stop();
    duckdb.close();
  }
}

/** The server holds its file alone, so what is no database of another server is copied. */
async function bareTrades(engine: EngineName, database: string): Promise<QuestionFloors["trades"]> {
  const copy = existsSync(database) ? database.replace(/\.(\w+)$/, "-floor.$1") : database;
  if (copy !== database) copyFileSync(database, copy);
  const bare = await bareColumns(engine);
  return async () => {
    const some = { tickers: TRADED, type: "trade", texts: ["id", "extra"] };
    const { rows, prices } = await bare.read(copy, some);
    return { rows, sum: prices };
  };
}

interface EngineRun {
  context: BenchContext;
  engine: EngineName;
  server: Target | null;
  floors: QuestionFloors;
}

async function ask({ context, engine, server, floors }: EngineRun): Promise<EngineReport> {
  const list = questionsOf(engine, BAR_DAYS[engine]);
  const seen = new Map(
    list.map(({ key }) => [key, { s: [], firstS: [], waitMs: [], peakMb: [] } as QuestionFigures]),
  );
  const foundByFloor = new Map<QuestionKey, ReadSum>();
  const measurements: Partial<Record<MeasuredKey, () => Promise<Sample>>> = {};
  for (const question of list) {
    const { key, floor } = question;
    if (floor !== null) {
      measurements[`${key} floor`] = async () => {
        const startedAt = performance.now();
        const found = await floor(floors);
        const ms = performance.now() - startedAt;
        foundByFloor.set(key, found);
        return sampleOf(question, ms, faultsOf(found, question.expected));
      };
    }
    if (server !== null)
      measurements[key] = () =>
        answered(server, question, seen.get(key)!, { ...question.expected, ...foundByFloor.get(key) });
  }
  if (server !== null)
    for (const question of list) {
      context.progress(`before the runs: ${question.key}`);
      for (let time = 0; time < ASKED_BEFORE; time++) {
        const { ms } = await bytesOf(server, question);
        if (time === 0) seen.get(question.key)!.firstS.push(ms / 1_000);
      }
    }
  const samples = await interleave<MeasuredKey>(context, measurements);
  const label = LABELS[engine];
  return {
    comparisons: list
      .filter(({ floor }) => floor !== null)
      .map((question) => ({
        name: `${label}: ${question.name}`,
        unit: question.unit,
        base: { name: question.floorName, samples: samples[`${question.key} floor`] },
        ours: samples[question.key] ?? [],
        target: question.target,
      })),
    facts:
      server === null ? [] : list.flatMap((question) => factsOf(engine, question, seen.get(question.key)!)),
    invalid: invalidSamples(
      Object.fromEntries(Object.entries(samples).map(([name, found]) => [`${label} ${name}`, found])),
    ),
  };
}

/** Of one question, run by run. */
interface QuestionFigures {
  s: number[];
  /** Of the first one that the server got. */
  firstS: number[];
  waitMs: number[];
  peakMb: number[];
}

function factsOf(
  engine: EngineName,
  { name, secondsMax }: BenchQuestion,
  { s, firstS, waitMs, peakMb }: QuestionFigures,
): Fact[] {
  return [
    { name: `${LABELS[engine]}: ${name}`, unit: "s", values: s, max: secondsMax[engine] ?? null },
    { name: "… the first time it is asked", unit: "s", values: firstS, max: null },
    { name: "… the longest wait of another client", unit: "ms", values: waitMs, max: WAIT_MS_MAX },
    { name: "… the worker's peak memory", unit: "MB", values: peakMb, max: PEAK_MB_MAX },
  ];
}

async function answered(
  server: Target,
  question: BenchQuestion,
  seen: QuestionFigures,
  expected: Partial<ReadSum>,
): Promise<Sample> {
  const other = startHttpLoad({
    ...{ kind: "http", port: server.port, connections: 1, requests: { kind: "get", path: "/live" } },
    ...{ check: { kind: "contains", text: '"' }, warmupMs: 200, measureMs: 60_000, pauseMs: ASK_LIVE_MS },
  });
  await other.measuring;
  resetPeakRss(server.pid);
  const { status, bytes, ms } = await bytesOf(server, question);
  other.stop();
  const { latencyMs, invalid } = await other.result;
  seen.s.push(ms / 1_000);
  seen.waitMs.push(latencyMs.worst);
  seen.peakMb.push(readPeakRssMb(server.pid));
  const otherInvalid = invalid.map((reason) => `other client: ${reason}`);
  if (status !== 200)
    return sampleOf(question, ms, [`status ${status}: ${Buffer.from(bytes).toString().slice(0, 300)}`]);
  return sampleOf(question, ms, [...otherInvalid, ...faultsOf(question.found(bytes), expected)]);
}

async function bytesOf(
  { port }: Target,
  { path }: BenchQuestion,
): Promise<{ status: number; bytes: Uint8Array; ms: number }> {
  const startedAt = performance.now();
  const response = await fetch(`http://${LOOPBACK}:${port}${path}`, {
    headers: { "accept-encoding": "identity" },
  });
  const bytes = await response.bytes();
  return { status: response.status, bytes, ms: performance.now() - startedAt };
}

function sampleOf({ rows }: BenchQuestion, ms: number, invalid: string[]): Sample {
  return { perSecond: (rows * 1_000) / ms, clientCpu: 0, p99Ms: null, invalid };
}

function faultsOf(found: ReadSum, expected: Partial<ReadSum>): string[] {
  const isRight = (["rows", "sum"] as const).every((key) => found[key] === (expected[key] ?? found[key]));
  return isRight ? [] : [`found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`];
}
