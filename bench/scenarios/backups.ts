/**
 * Backups beside 5,000 saves a second: how long saves take alone, and while one backup is taken
 * after the other; how long a backup takes; and whether a restored one has all that was answered
 * before its moment. The database holds a million trades before.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { EngineName } from "../../test/support/flags.ts";
import { runCli } from "../../test/support/run-cli.ts";
import { type PacedSaves, savePaced } from "../paced-saves.ts";
import { tickStamp } from "../requests.ts";
import type { BenchContext, Fact, Scenario, ScenarioReport } from "../scenario.ts";
import { sendCommand, startServer, type Target } from "../targets.ts";

const STORED_BEFORE = 1_000_000;
const ROWS_PER_SAVE = 20_000;
const ENDINGS: Partial<Record<EngineName, string>> = { sqlite: ".db", duckdb: ".duckdb" };

export const backups: Scenario = { key: "backups", optIn: true, run: measureBackups };

interface Taken {
  taken_at: string;
  seconds: number;
}

interface BackupFigures {
  alone: PacedSaves[];
  beside: PacedSaves[];
  /** Of the first of a folder, which writes everything, and of those after it. */
  whole: Taken[];
  later: Taken[];
}

async function measureBackups(context: BenchContext): Promise<ScenarioReport> {
  const report: ScenarioReport = { comparisons: [], facts: [], python: [], invalid: [] };
  if (context.floorsOnly) return report;
  for (const engine of context.engines)
    if (ENDINGS[engine] !== undefined) await measureEngine(engine, context, report);
  return report;
}

async function measureEngine(
  engine: EngineName,
  context: BenchContext,
  report: ScenarioReport,
): Promise<void> {
  const { folder, runs, seconds, progress } = context;
  const database = join(folder, `backups${ENDINGS[engine]}`);
  const server = await startServer({ folder, name: `backups-${engine}`, workers: 1, database });
  progress(`${engine}: saving ${STORED_BEFORE} trades`);
  await fill(server);
  const figures: BackupFigures = { alone: [], beside: [], whole: [], later: [] };
  for (let run = 0; run < runs; run++) {
    const to = join(folder, `backups-${engine}-${run}`);
    const load = { port: server.port, ms: seconds * 1_000 };
    progress(`${engine}, run ${run + 1} of ${runs}: saves alone`);
    figures.alone.push(await savePaced({ ...load, name: `A${run}` }).done);
    progress(`${engine}, run ${run + 1} of ${runs}: saves beside backups`);
    const saving = savePaced({ ...load, name: `B${run}` });
    const taken = [await backUp(database, to)];
    while (saving.isGoingOn()) taken.push(await backUp(database, to));
    figures.whole.push(taken[0]!);
    figures.later.push(...taken.slice(1));
    const newest = taken.at(-1)!;
    const saves = await saving.done;
    figures.beside.push(saves);
    progress(`${engine}, run ${run + 1} of ${runs}: restoring`);
    const restored = join(folder, `restored${ENDINGS[engine]}`);
    await runOrThrow(["restore", "--from", to, "--db-file", restored, "--at", newest.taken_at]);
    report.invalid.push(...(await missingIn(restored, { saves, takenAt: newest.taken_at, folder, engine })));
    for (const suffix of ["", ".epoch", "-wal", "-shm", ".wal"]) rmSync(restored + suffix, { force: true });
    rmSync(to, { recursive: true });
  }
  await server.stop();
  report.facts.push(...factsOf(engine, figures));
}

async function fill(server: Target): Promise<void> {
  for (let first = 0; first < STORED_BEFORE; first += ROWS_PER_SAVE) {
    const data = Array.from({ length: ROWS_PER_SAVE }, (_, row) => ({
      timestamp: tickStamp((first + row) * 1_000),
      price: 150 + (row % 100) / 4,
      size: 100 + (row % 9),
    }));
    const params = { ticker: `T${first % 10}`, data_type: "trade", index_col: "timestamp", data };
    await sendCommand(server.port, "save_realtime_data", params);
  }
}

async function backUp(database: string, to: string): Promise<Taken> {
  return JSON.parse(await runOrThrow(["backup", "--db-file", database, "--to", to, "--json"]));
}

async function runOrThrow(args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(args);
  if (code !== 0) throw new Error(`${args[0]} ended with ${code}: ${stderr}`);
  return stdout;
}

/** @returns what is missing, or is there without those before it. */
async function missingIn(
  database: string,
  of: { saves: PacedSaves; takenAt: string; folder: string; engine: EngineName },
): Promise<string[]> {
  const { saves, takenAt, folder, engine } = of;
  const server = await startServer({ folder, name: `restored-${engine}`, workers: 1, database });
  const body = await sendCommand(server.port, "execute_sql", {
    sql_query: `SELECT ticker, CAST(count(*) AS INTEGER) AS stored, CAST(max(size) AS INTEGER) AS last
      FROM realtime_data GROUP BY ticker`,
    query_type: "select",
  });
  await server.stop();
  const { data } = JSON.parse(Buffer.from(body).toString()) as {
    data: { ticker: string; stored: number; last: number }[];
  };
  const found = new Map(data.map((row) => [row.ticker, row]));
  return [...saves.answeredAtMs].flatMap(([ticker, times]) => {
    const answered = times.filter((at) => at <= Date.parse(takenAt)).length;
    const { stored = 0, last = 0 } = found.get(ticker) ?? {};
    const isWhole = stored >= answered && last === stored;
    return isWhole
      ? []
      : [`${engine}: ${ticker} has ${stored} trades up to ${last}, ${answered} were answered`];
  });
}

function factsOf(engine: EngineName, { alone, beside, whole, later }: BackupFigures): Fact[] {
  const fact = (name: string, unit: Fact["unit"], values: number[]): Fact => ({
    name,
    unit,
    values,
    max: null,
  });
  const seconds = (taken: Taken[]): number[] => taken.map((each) => each.seconds);
  return [
    fact(
      `${engine}: saves alone`,
      "/s",
      alone.map(({ perSecond }) => perSecond),
    ),
    fact(
      "… p99",
      "ms",
      alone.map(({ p99Ms }) => p99Ms),
    ),
    fact(
      "… worst",
      "ms",
      alone.map(({ worstMs }) => worstMs),
    ),
    fact(
      `${engine}: saves beside backups`,
      "/s",
      beside.map(({ perSecond }) => perSecond),
    ),
    fact(
      "… p99",
      "ms",
      beside.map(({ p99Ms }) => p99Ms),
    ),
    fact(
      "… worst",
      "ms",
      beside.map(({ worstMs }) => worstMs),
    ),
    fact("… the first backup, restored and opened", "s", seconds(whole)),
    fact("… a later one, restored and opened", "s", seconds(later)),
  ];
}
