/**
 * 1,000,000 ticks as columns, saved and read by each engine's driver, beside a loop that does the
 * same with nothing but the engine, in the same process and in turn. Into and out of databases of
 * their own; opening and closing the server's side isn't counted. Then what workers read of them.
 */
import { copyFileSync, existsSync, rmSync } from "node:fs";
import type { TransferReader } from "../../src/storage/contract.ts";
import { describeDatabase, openToRead } from "../../src/storage/engines.ts";
import type { ColumnQuery } from "../../src/storage/model/columns.ts";
import type { EngineName } from "../../test/support/flags.ts";
import { measureAnswers } from "../column-answers.ts";
import { TICKS, TICKS_ANSWERED, type TickBatch, tickBatches } from "../column-data.ts";
import { type EngineDatabases, openDatabases } from "../engine-databases.ts";
import { type BareColumns, bareColumns } from "../floors/bare-columns.ts";
import {
  type BenchContext,
  type Comparison,
  interleave,
  invalidSamples,
  type Sample,
  type Scenario,
  type ScenarioReport,
} from "../scenario.ts";
import { measureWalks } from "../worker-walks.ts";

const LABELS: Record<EngineName, string> = { sqlite: "SQLite", duckdb: "DuckDB", postgres: "PostgreSQL" };
const RATIO_MIN = 0.7;
/** Of what the bare read gives. */
const ARROW_RATIO_MIN = 0.6;
const JSON_MS_MAX = 250;
const READ = ["timestamp", "price", "size", "type"];
/** A turn of the event loop during a walk takes at most so long, in CPU time. */
const TURN_MS_MAX = 10;

export const columns: Scenario = { key: "columns", optIn: true, run: measureColumns };

async function measureColumns(context: BenchContext): Promise<ScenarioReport> {
  const report: ScenarioReport = { comparisons: [], facts: [], python: [], invalid: [] };
  const batches = tickBatches();
  for (const engine of context.engines) {
    const databases = await openDatabases(engine, context.folder);
    try {
      const measured = await measureEngine(context, { engine, databases }, batches);
      report.comparisons.push(...measured.comparisons);
      report.facts.push(...measured.facts);
      report.invalid.push(...measured.invalid);
      if (engine === "postgres") continue;
      const walks = await measureWalks(context, engine, databases);
      report.comparisons.push(...walks.comparisons);
      report.invalid.push(...walks.invalid);
    } finally {
      await databases.close();
    }
  }
  return report;
}

async function measureEngine(
  context: BenchContext,
  { engine, databases }: { engine: EngineName; databases: EngineDatabases },
  batches: TickBatch[],
): Promise<Pick<ScenarioReport, "comparisons" | "facts" | "invalid">> {
  const label = LABELS[engine];
  const bare = await bareColumns(engine);
  const turns: number[] = [];
  const jsonMs: number[] = [];
  const answered = async (): Promise<Sample> => {
    const { arrowMs, jsonMs: ms, invalid } = await measureAnswers(copied(at.ours), context.folder);
    jsonMs.push(ms);
    return sampleOf(arrowMs, invalid);
  };
  /** Of this run. */
  const at = { bare: "", ours: "" };
  const emptied = async (name: keyof typeof at, run: number): Promise<string> => {
    if (at[name] !== "") remove(at[name]);
    at[name] = await databases.create(`columns-${name}-${run}`);
    return at[name];
  };
  const samples = await interleave<"bare saved" | "saved" | "bare read" | "read" | "answered">(context, {
    "bare saved": async (run) => bareSaved(bare, await emptied("bare", run), batches),
    ...(context.floorsOnly
      ? {}
      : { saved: async (run: number) => oursSaved(await emptied("ours", run), batches) }),
    "bare read": () => bareRead(bare, context.floorsOnly ? at.bare : at.ours, batches),
    ...(context.floorsOnly ? {} : { read: () => oursRead(at.ours, turns), answered }),
  });
  const compared = (what: "saved" | "read", by: string): Comparison => ({
    name: `${label}: ${TICKS.toLocaleString("en-US")} ticks ${what} as columns`,
    unit: " rows/s",
    base: { name: by, samples: samples[`bare ${what}`] },
    ours: samples[what] ?? [],
    target: what === "read" ? RATIO_MIN : null,
  });
  return {
    comparisons: [
      compared("saved", bare.writes),
      compared("read", bare.reads),
      {
        name: `${label}: ${TICKS.toLocaleString("en-US")} ticks as Arrow over HTTP`,
        unit: " rows/s",
        base: { name: bare.reads, samples: samples["bare read"] },
        ours: samples.answered ?? [],
        target: ARROW_RATIO_MIN,
      },
    ],
    facts: [
      {
        name: `${label}: ${TICKS_ANSWERED.toLocaleString("en-US")} ticks as JSON over HTTP`,
        ...{ unit: "ms", values: jsonMs, max: JSON_MS_MAX },
      },
      { name: `${label}: the longest turn of a walk, CPU`, unit: "ms", values: turns, max: TURN_MS_MAX },
    ],
    invalid: invalidSamples(
      Object.fromEntries(Object.entries(samples).map(([name, list]) => [`${label} ${name}`, list])),
    ),
  };
}

function sampleOf(ms: number, invalid: string[] = []): Sample {
  return { perSecond: (TICKS * 1_000) / ms, clientCpu: 0, p99Ms: null, invalid };
}

/** A file; other databases go with what holds them. */
function remove(file: string): void {
  for (const ending of ["", "-wal", "-shm", ".wal", ".epoch"]) rmSync(`${file}${ending}`, { force: true });
}

/** This process may still hold the file. A database that is none is served as it is. */
function copied(file: string): string {
  if (!existsSync(file)) return file;
  const copy = file.replace(/\.(\w+)$/, "-served.$1");
  remove(copy);
  for (const ending of ["", "-wal", ".wal"])
    if (existsSync(`${file}${ending}`)) copyFileSync(`${file}${ending}`, `${copy}${ending}`);
  return copy;
}

async function bareSaved(bare: BareColumns, file: string, batches: TickBatch[]): Promise<Sample> {
  return sampleOf(await bare.write(file, batches));
}

async function oursSaved(file: string, batches: TickBatch[]): Promise<Sample> {
  const { writer, close } = await describeDatabase(file).engine.open!({ dbFile: file, durability: "full" });
  const startedAt = performance.now();
  let stored = 0;
  for (const { ticker, batch } of batches) {
    const save = { kind: "ticks", ticker, part: "trade", onDuplicate: "match", batch } as const;
    const outcome = await writer.commitColumns!(save);
    if (outcome.ok) stored += outcome.stored;
  }
  const ms = performance.now() - startedAt;
  await close();
  return sampleOf(ms, stored === TICKS ? [] : [`${stored} of ${TICKS} ticks were stored`]);
}

async function bareRead(bare: BareColumns, file: string, batches: TickBatch[]): Promise<Sample> {
  const startedAt = performance.now();
  const { rows, prices } = await bare.read(file);
  const ms = performance.now() - startedAt;
  const sum = batches.flatMap((batch) => [...batch.prices]).reduce((all, price) => all + price, 0);
  const invalid = rows === TICKS && Math.abs(prices - sum) < 1 ? [] : [`read ${rows} of ${TICKS} ticks`];
  return sampleOf(ms, invalid);
}

async function oursRead(file: string, turns: number[]): Promise<Sample> {
  const reader = (await openToRead(file))!;
  await walk(reader, ["T0"]); // the code is compiled
  const startedAt = performance.now();
  const rows = await walk(reader, null);
  const ms = performance.now() - startedAt;
  turns.push(await longestTurn(() => walk(reader, null)));
  await reader.close();
  return sampleOf(ms, rows === TICKS ? [] : [`read ${rows} of ${TICKS} ticks`]);
}

/** CPU time of this thread, in ms: what others do on this machine doesn't count. */
async function longestTurn(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let isWorking = true;
  let before = process.threadCpuUsage();
  const look = (): void => {
    const { user, system } = process.threadCpuUsage(before);
    longest = Math.max(longest, (user + system) / 1_000);
    before = process.threadCpuUsage();
    if (isWorking) setImmediate(look);
  };
  setImmediate(look);
  await work();
  isWorking = false;
  return longest;
}

/** @returns the rows it read. */
async function walk(reader: TransferReader, tickers: string[] | null): Promise<number> {
  const query: ColumnQuery = { kind: "ticks", tickers, parts: null, from: null, to: null, columns: READ };
  let rows = 0;
  for await (const batch of reader.columns!(query)) rows += batch.rows;
  return rows;
}
