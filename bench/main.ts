/**
 * `npm run bench`: measures the server and, beside each figure, the least that this machine needs
 * for the same work (a floor), in turn, in one run. What each figure means is written in its
 * scenario and in docs/benchmarks.md.
 *
 * Exit code: 0 when every measurement is valid, however fast; 1 when one isn't; 2 for a wrong flag.
 */

import { join } from "node:path";
import { BENCH_HELP, type BenchArguments, readBenchArguments } from "./arguments.ts";
import { describeMachine } from "./machine.ts";
import { cleanUp, cleanUpOnSignals, makeRunFolder } from "./processes.ts";
import { formatReport, toJson } from "./report.ts";
import type { BenchContext, Scenario, ScenarioReport } from "./scenario.ts";
import { archive } from "./scenarios/archive.ts";
import { backups } from "./scenarios/backups.ts";
import { buckets } from "./scenarios/buckets.ts";
import { bulkSave } from "./scenarios/bulk-save.ts";
import { columns } from "./scenarios/columns.ts";
import { disk } from "./scenarios/disk.ts";
import { duckdbBulk } from "./scenarios/duckdb-bulk.ts";
import { engineImports } from "./scenarios/engine-import.ts";
import { engines } from "./scenarios/engines.ts";
import { exportFormats } from "./scenarios/export.ts";
import { fanout } from "./scenarios/fanout.ts";
import { importFlatness } from "./scenarios/import.ts";
import { keys } from "./scenarios/keys.ts";
import { latency } from "./scenarios/latency.ts";
import { longAnswers } from "./scenarios/long-answers.ts";
import { memory } from "./scenarios/memory.ts";
import { millionTicks } from "./scenarios/million-ticks.ts";
import { pythonFanout } from "./scenarios/python-fanout.ts";
import { questions } from "./scenarios/questions.ts";
import { price, yearOfBars } from "./scenarios/reads.ts";
import { rollups } from "./scenarios/rollups.ts";
import { saves } from "./scenarios/saves.ts";
import { stopping } from "./scenarios/stopping.ts";
import { subscriptions } from "./scenarios/subscriptions.ts";

const SCENARIOS: Scenario[] = [
  price,
  yearOfBars,
  saves,
  rollups,
  keys,
  fanout,
  pythonFanout,
  bulkSave,
  millionTicks,
  memory,
  stopping,
  engines,
  importFlatness,
  engineImports,
  latency,
  subscriptions,
  longAnswers,
  duckdbBulk,
  buckets,
  columns,
  exportFormats,
  questions,
  backups,
  archive,
  disk,
];

const PLOTS_FOLDER = join(import.meta.dir, "..", "docs", "plots");

process.exit(await main(process.argv.slice(2)));

async function main(argv: string[]): Promise<number> {
  const keys = SCENARIOS.map((scenario) => scenario.key);
  let args: BenchArguments | "help";
  try {
    args = readBenchArguments(argv, keys);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 2;
  }
  if (args === "help") {
    console.log(BENCH_HELP);
    return 0;
  }
  cleanUpOnSignals();
  try {
    return await runBench(args);
  } finally {
    await cleanUp();
  }
}

async function runBench(args: BenchArguments): Promise<number> {
  const folder = makeRunFolder(args.dir);
  const machine = describeMachine(folder);
  const reports: ScenarioReport[] = [];
  for (const scenario of SCENARIOS) {
    const isAskedFor = args.only === null ? scenario.optIn !== true : args.only.includes(scenario.key);
    if (!isAskedFor) continue;
    reports.push(await runScenario(scenario, { ...args, folder, progress: showProgress(scenario.key) }));
  }
  showProgress("")("");
  if (args.plots) {
    const plots = reports.flatMap((report) => Object.entries(report.plots ?? {}));
    for (const [name, svg] of plots) await Bun.write(join(PLOTS_FOLDER, name), svg);
  }
  const style = args.markdown ? "markdown" : "plain";
  console.log(args.json ? toJson(machine, reports) : formatReport(machine, reports, style));
  return reports.some((report) => report.invalid.length > 0) ? 1 : 0;
}

/** A scenario that can't be measured is invalid; the others are still worth having. */
async function runScenario(scenario: Scenario, context: BenchContext): Promise<ScenarioReport> {
  try {
    return await scenario.run(context);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { comparisons: [], facts: [], python: [], invalid: [`${scenario.key}: ${reason}`] };
  }
}

/** One line on the terminal that is written over; nothing where there is no terminal to see it. */
function showProgress(key: string): (text: string) => void {
  return (text) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${key === "" ? "" : `${key}: ${text}`}`);
  };
}
