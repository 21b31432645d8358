/**
 * An import of one CSV file of trades, as `stock-db-server import --to` does it, beside a process
 * that splits the same lines and puts them into the engine by its fastest way. Both times are those
 * of the whole process.
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { EngineName } from "../../test/support/flags.ts";
import type { EngineDatabases } from "../engine-databases.ts";
import { LOOPBACK } from "../load-plan.ts";
import { spawnOwn } from "../processes.ts";
import { tickStamp } from "../requests.ts";
import {
  type BenchContext,
  interleave,
  invalidSamples,
  type Sample,
  type ScenarioReport,
} from "../scenario.ts";
import { countTicks, type Target } from "../targets.ts";

const ROWS = 1_000_000;
const ROWS_PER_WRITE = 20_000;
const STAMP_STEP_US = 1_000;
/** It takes longer than every other measurement. */
const RUNS_MAX = 1;

export async function compareImports(
  context: BenchContext,
  engine: EngineName,
  databases: EngineDatabases,
  server: Target | null,
): Promise<Pick<ScenarioReport, "comparisons" | "invalid">> {
  const file = join(context.folder, "import.csv");
  if (!existsSync(file)) writeCsv(file);
  const name = `${engine}: import of ${ROWS.toLocaleString("en-US")} trades`;
  const samples = await interleave<"floor" | "ours">(
    { ...context, runs: Math.min(RUNS_MAX, context.runs) },
    {
      floor: async (run) => {
        const location = await databases.create(`import-${run}`);
        const args = [engine, location, file, "IMPORT"];
        const sample = await measureImport(
          context,
          join(import.meta.dir, "../floors/engine-import.ts"),
          args,
        );
        // There is no client.
        return { ...sample, clientCpu: 0 };
      },
      ...(server === null ? {} : { ours: (run: number) => importIntoServer(context, server, file, run) }),
    },
  );
  return {
    comparisons: [
      {
        name,
        unit: " rows/s",
        base: { name: "floor", samples: samples.floor },
        ours: samples.ours ?? [],
        target: null,
      },
    ],
    invalid: invalidSamples({ [`${name}, floor`]: samples.floor, [name]: samples.ours }),
  };
}

async function importIntoServer(
  context: BenchContext,
  server: Target,
  file: string,
  run: number,
): Promise<Sample> {
  const ticker = `IMPORT${run}`;
  const to = `http://${LOOPBACK}:${server.port}`;
  const args = ["import", file, "--ticker", ticker, "--type", "trade", "--to", to, "--json", "--quiet"];
  const sample = await measureImport(context, "src/main.ts", args);
  const stored = await countTicks(server, ticker);
  if (stored !== ROWS) sample.invalid.push(`${stored} of ${ROWS} rows are stored`);
  return sample;
}

/** Runs a process that prints `rowsStored` in JSON. */
async function measureImport(context: BenchContext, script: string, args: string[]): Promise<Sample> {
  const log = join(context.folder, `import-${Bun.randomUUIDv7()}.log`);
  const startedAt = performance.now();
  const child = spawnOwn({ file: script, args, log });
  const code = await child.exited;
  const seconds = (performance.now() - startedAt) / 1000;
  const usage = child.resourceUsage();
  const cpuSeconds = Number(usage?.cpuTime.total ?? 0) / 1e6;
  const output = readFileSync(log, "utf8");
  const invalid: string[] = [];
  if (code !== 0) {
    invalid.push(`exit code ${code}: ${readFileSync(`${log}.err`, "utf8").slice(-300)}${output.slice(-300)}`);
  } else {
    const { rowsStored } = JSON.parse(output) as { rowsStored: number };
    if (rowsStored !== ROWS) invalid.push(`${rowsStored} of ${ROWS} rows were stored`);
  }
  return { perSecond: ROWS / seconds, clientCpu: cpuSeconds / seconds, p99Ms: null, invalid };
}

function writeCsv(file: string): void {
  appendFileSync(file, "timestamp,price,size\n");
  for (let first = 0; first < ROWS; first += ROWS_PER_WRITE) {
    const lines = Array.from({ length: ROWS_PER_WRITE }, (_, i) => {
      return `${tickStamp((first + i) * STAMP_STEP_US)},${150 + (i % 100) / 4},${100 + (i % 9)}\n`;
    });
    appendFileSync(file, lines.join(""));
  }
}
