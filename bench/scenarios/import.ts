/**
 * Whether an import is as fast at its end as at its beginning: one import of trades that all have
 * stamps of their own, its first rows beside its last. The rows go through a pipe, so it shows how
 * many the importing process has taken: it takes no more than it can send on.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { FileSink } from "bun";
import { LOOPBACK } from "../load-plan.ts";
import { spawnOwn } from "../processes.ts";
import { tickStamp } from "../requests.ts";
import {
  type BenchContext,
  invalidSamples,
  type Sample,
  type Scenario,
  type ScenarioReport,
} from "../scenario.ts";
import { countTicks, startServer, type Target } from "../targets.ts";

const ROWS = 2_000_000;
const COMPARED_ROWS = 400_000;
const ROWS_PER_WRITE = 2_000;
const STAMP_STEP_US = 1_000;
/** What is compared is one run, whose parts differ by far if they do. */
const RUNS_MAX = 1;
/**
 * Of the rate at the end by that at the beginning. The machine's own ups and downs are within it.
 */
const TARGET = 0.7;

export const importFlatness: Scenario = { key: "import", optIn: true, run: measureImport };

async function measureImport(context: BenchContext): Promise<ScenarioReport> {
  const report: ScenarioReport = { comparisons: [], facts: [], python: [], invalid: [] };
  if (context.floorsOnly) return report;
  const first: Sample[] = [];
  const last: Sample[] = [];
  const whole: number[] = [];
  for (let run = 0; run < Math.min(RUNS_MAX, context.runs); run++) {
    const server = await startServer({ folder: context.folder, name: `import-${run}`, workers: 1 });
    try {
      const arrivals = await importThroughPipe(context, server);
      const rate = (from: number, to: number): Sample => ({
        perSecond: ((to - from) * 1000) / (arrivals.at(to) - arrivals.at(from)),
        clientCpu: arrivals.clientCpu,
        p99Ms: null,
        invalid: arrivals.invalid,
      });
      first.push(rate(0, COMPARED_ROWS));
      last.push(rate(ROWS - COMPARED_ROWS, ROWS));
      whole.push(ROWS / (arrivals.at(ROWS) / 1000));
    } finally {
      await server.stop();
    }
  }
  const name = `import of ${ROWS.toLocaleString("en-US")} trades: the last ${COMPARED_ROWS.toLocaleString("en-US")}`;
  report.comparisons = [
    { name, unit: " rows/s", base: { name: "the first", samples: first }, ours: last, target: TARGET },
  ];
  report.facts = [{ name: "import, all of its rows", unit: "/s", values: whole, max: null }];
  report.invalid = invalidSamples({ [name]: last });
  return report;
}

interface Arrivals {
  /** ms since the first row was written until so many had been taken. */
  at(rows: number): number;
  clientCpu: number;
  invalid: string[];
}

async function importThroughPipe(context: BenchContext, server: Target): Promise<Arrivals> {
  const log = join(context.folder, `import-flat-${server.port}.log`);
  const to = `http://${LOOPBACK}:${server.port}`;
  const args = ["import", "-", "--ticker", "FLAT", "--type", "trade", "--to", to, "--json", "--quiet"];
  const child = spawnOwn({ file: "src/main.ts", args, log, stdin: "pipe" });
  const input = child.stdin as FileSink;
  const startedAt = performance.now();
  const taken = [0];
  input.write("timestamp,price,size\n");
  for (let row = 0; row < ROWS; row += ROWS_PER_WRITE) {
    if (row % COMPARED_ROWS === 0) context.progress(`${row.toLocaleString("en-US")} rows`);
    const lines = Array.from({ length: ROWS_PER_WRITE }, (_, i) => {
      return `${tickStamp((row + i) * STAMP_STEP_US)},${150 + (i % 100) / 4},${100 + (i % 9)}\n`;
    });
    input.write(lines.join(""));
    await input.flush();
    taken.push(performance.now() - startedAt);
  }
  await input.end();
  const code = await child.exited;
  const seconds = (performance.now() - startedAt) / 1000;
  const invalid: string[] = [];
  const stored = await countTicks(server, "FLAT");
  if (code !== 0) invalid.push(`exit code ${code}: ${readFileSync(`${log}.err`, "utf8").slice(-300)}`);
  if (stored !== ROWS) invalid.push(`${stored} of ${ROWS} rows are stored`);
  return {
    at: (rows) => taken[rows / ROWS_PER_WRITE]!,
    clientCpu: Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1e6 / seconds,
    invalid,
  };
}
