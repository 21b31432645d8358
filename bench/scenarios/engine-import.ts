/**
 * An import of one file of trades, CSV and Parquet, as `stock-db-server import --to` does it,
 * beside a process that loads the same file by the engine's own way. Both times are those of the
 * whole process.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import type { EngineName } from "../../test/support/flags.ts";
import { type EngineDatabases, openDatabases } from "../engine-databases.ts";
import { LOOPBACK } from "../load-plan.ts";
import { spawnOwn } from "../processes.ts";
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
import { countTicks, startServer, type Target } from "../targets.ts";

const ROWS = 1_000_000;
const ROWS_PER_WRITE = 20_000;
/** Imported before, so that the server's code is compiled, as that of one that runs. */
const ROWS_BEFORE = 100_000;
const STAMP_STEP_US = 1_000;
/** Of the floor's rate. */
const TARGETS: Record<EngineName, number> = { sqlite: 0.6, duckdb: 0.5, postgres: 0.6 };
const IMPORT_FORMATS = ["csv", "parquet"] as const;
type ImportFormat = (typeof IMPORT_FORMATS)[number];

export const engineImports: Scenario = { key: "imports", optIn: true, run: measureImports };

async function measureImports(context: BenchContext): Promise<ScenarioReport> {
  const report: ScenarioReport = { comparisons: [], facts: [], python: [], invalid: [] };
  const files: Record<ImportFormat, string> = {
    csv: join(context.folder, "import.csv"),
    parquet: join(context.folder, "import.parquet"),
  };
  const before = join(context.folder, "import-before.csv");
  writeCsv(files.csv, ROWS);
  writeCsv(before, ROWS_BEFORE);
  await writeParquet(files);
  for (const engine of context.engines) {
    const databases = await openDatabases(engine, context.folder);
    try {
      const measured = await compareImports(context, engine, { databases, files, before });
      report.comparisons.push(...measured.comparisons);
      report.invalid.push(...measured.invalid);
    } finally {
      await databases.close();
    }
  }
  return report;
}

/** Only DuckDB reads Parquet itself; the others load the CSV file of the same rows. */
const floorFormat = (engine: EngineName, format: ImportFormat): ImportFormat =>
  engine === "duckdb" ? format : "csv";

async function compareImports(
  context: BenchContext,
  engine: EngineName,
  {
    databases,
    files,
    before,
  }: { databases: EngineDatabases; files: Record<ImportFormat, string>; before: string },
): Promise<Pick<ScenarioReport, "comparisons" | "invalid">> {
  type Way = `${"floor" | "ours"} ${ImportFormat}`;
  const measures: Partial<Record<Way, (run: number) => Promise<Sample>>> = {};
  for (const format of IMPORT_FORMATS) {
    if (floorFormat(engine, format) === format)
      measures[`floor ${format}`] = async (run) => {
        const location = await databases.create(`import-${format}-${run}`);
        const script = join(import.meta.dir, "../floors/engine-import.ts");
        const sample = await measureImport(context, script, [engine, location, files[format], "IMPORT"]);
        // There is no client.
        return { ...sample, clientCpu: 0 };
      };
    if (!context.floorsOnly)
      measures[`ours ${format}`] = async (run) => {
        const name = `imported-${engine}-${format}-${run}`;
        const database = await databases.create(name);
        const server = await startServer({ folder: context.folder, name, workers: 1, database });
        try {
          await importFile(context, server, { file: before, ticker: "BEFORE" });
          return await importIntoServer(context, server, files[format]);
        } finally {
          await server.stop();
        }
      };
  }
  const samples = (await interleave(
    context,
    measures as Record<Way, (run: number) => Promise<Sample>>,
  )) as Partial<Record<Way, Sample[]>>;
  const comparisons = IMPORT_FORMATS.map((format): Comparison => {
    const base = samples[`floor ${floorFormat(engine, format)}`]!;
    return {
      name: `${engine}: import of ${ROWS.toLocaleString("en-US")} trades, ${format}`,
      unit: " rows/s",
      base: { name: "floor", samples: base },
      ours: samples[`ours ${format}`] ?? [],
      target: TARGETS[engine],
    };
  });
  const named = Object.entries(samples).map(([way, list]) => [`${engine}: import, ${way}`, list] as const);
  return { comparisons, invalid: invalidSamples(Object.fromEntries(named)) };
}

async function importIntoServer(context: BenchContext, server: Target, file: string): Promise<Sample> {
  const sample = await importFile(context, server, { file, ticker: "IMPORT" });
  const stored = await countTicks(server, "IMPORT");
  if (stored !== ROWS) sample.invalid.push(`${stored} of ${ROWS} rows are stored`);
  return sample;
}

function importFile(
  context: BenchContext,
  { port }: Target,
  { file, ticker }: { file: string; ticker: string },
): Promise<Sample> {
  const to = `http://${LOOPBACK}:${port}`;
  const args = ["import", file, "--ticker", ticker, "--type", "trade", "--to", to, "--json", "--quiet"];
  return measureImport(context, "src/main.ts", args);
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

function writeCsv(file: string, rows: number): void {
  appendFileSync(file, "timestamp,price,size\n");
  for (let first = 0; first < rows; first += ROWS_PER_WRITE) {
    const lines = Array.from({ length: ROWS_PER_WRITE }, (_, i) => {
      return `${tickStamp((first + i) * STAMP_STEP_US)},${150 + (i % 100) / 4},${100 + (i % 9)}\n`;
    });
    appendFileSync(file, lines.join(""));
  }
}

async function writeParquet({ csv, parquet }: Record<ImportFormat, string>): Promise<void> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  await connection.run(
    `copy (select * from read_csv('${csv}')) to '${parquet}' (format parquet, compression zstd)`,
  );
  connection.closeSync();
  instance.closeSync();
}
