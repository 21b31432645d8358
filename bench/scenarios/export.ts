/**
 * 1,000,000 ticks of ten tickers into one file of each format, as `stock-db-server export` writes
 * it, beside the walk over the same columns without an encoder or a file. For DuckDB also beside
 * its own COPY, which never leaves the engine. All in one process, in turn, until the file is on
 * disk. The time is CPU time, of all threads: what a disk or others on the machine do isn't in it.
 */
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { exportRows } from "../../src/cli/export/export-rows.ts";
import { parseExportOptions } from "../../src/cli/export/options.ts";
import { OneFileOutput } from "../../src/cli/export/outputs.ts";
import { openFile } from "../../src/cli/export/sink.ts";
import { silentProgress } from "../../src/cli/progress.ts";
import { readColumnNames } from "../../src/formats/format-columns.ts";
import { describeDatabase, openToRead } from "../../src/storage/engines.ts";
import type { EngineName } from "../../test/support/flags.ts";
import { TICKS, tickBatches } from "../column-data.ts";
import { openDatabases } from "../engine-databases.ts";
import { openDuckDbCopy } from "../floors/duckdb-copy.ts";
import {
  type BenchContext,
  type Comparison,
  interleave,
  invalidSamples,
  type Sample,
  type Scenario,
  type ScenarioReport,
} from "../scenario.ts";

const ENDINGS = ["csv", "ndjson", "csv.gz", "csv.zst", "arrow", "parquet"] as const;
/** Those that DuckDB writes too. */
const COPIED = ["csv", "parquet"] as const;
const LABELS: Record<EngineName, string> = { sqlite: "SQLite", duckdb: "DuckDB", postgres: "PostgreSQL" };
const WALK = "the walk alone";
const COPY = "its own COPY";

type FileEnding = (typeof ENDINGS)[number];
type MeasuredWay = "walk" | FileEnding | `copy ${(typeof COPIED)[number]}`;

export const exportFormats: Scenario = { key: "export", optIn: true, run: measureExports };

async function measureExports(context: BenchContext): Promise<ScenarioReport> {
  const report: ScenarioReport = { comparisons: [], facts: [], python: [], invalid: [] };
  for (const engine of context.engines) {
    const databases = await openDatabases(engine, context.folder);
    try {
      const file = await databases.create("export");
      await store(file);
      const measured = await measureEngine(context, engine, file);
      report.comparisons.push(...measured.comparisons);
      report.invalid.push(...measured.invalid);
    } finally {
      await databases.close();
    }
  }
  return report;
}

async function store(file: string): Promise<void> {
  const { writer, close } = await describeDatabase(file).engine.open!({ dbFile: file, durability: "normal" });
  for (const { ticker, batch } of tickBatches()) {
    const outcome = await writer.commitColumns!({
      kind: "ticks",
      ticker,
      part: "trade",
      onDuplicate: "append",
      batch,
    });
    if (!outcome.ok) throw new Error(outcome.error);
  }
  await close();
}

async function measureEngine(
  context: BenchContext,
  engine: EngineName,
  file: string,
): Promise<Pick<ScenarioReport, "comparisons" | "invalid">> {
  const label = LABELS[engine];
  const out = (ending: string) => join(context.folder, `${engine}-export.${ending}`);
  const copied = engine === "duckdb" ? COPIED : [];
  const exports = ENDINGS.map((ending) => [ending, () => exported(file, out(ending))] as const);
  const copies = copied.map((ending) => [`copy ${ending}`, () => copiedTo(file, out(ending))] as const);
  const samples = await interleave<MeasuredWay>(context, {
    walk: () => walked(file),
    ...(context.floorsOnly ? {} : Object.fromEntries(exports)),
    ...Object.fromEntries(copies),
  });
  const compared = (ending: FileEnding, base: MeasuredWay, name: string): Comparison => ({
    name: `${label}: ${TICKS.toLocaleString("en-US")} ticks into ${ending}`,
    unit: " rows/s of CPU",
    base: { name, samples: samples[base] },
    ours: samples[ending] ?? [],
    target: null,
  });
  return {
    comparisons: [
      ...ENDINGS.map((ending) => compared(ending, "walk", WALK)),
      ...copied.map((ending) => compared(ending, `copy ${ending}`, COPY)),
    ],
    invalid: invalidSamples(
      Object.fromEntries(Object.entries(samples).map(([name, list]) => [`${label} ${name}`, list])),
    ),
  };
}

function sampleOf(begun: NodeJS.CpuUsage, rows: number): Sample {
  const { user, system } = process.cpuUsage(begun);
  const ms = (user + system) / 1_000;
  const invalid = rows === TICKS ? [] : [`${rows} of ${TICKS} ticks`];
  return { perSecond: (TICKS * 1_000) / ms, clientCpu: 0, p99Ms: null, invalid };
}

async function walked(file: string): Promise<Sample> {
  const source = (await openToRead(file))!;
  const query = { kind: "ticks", tickers: null, parts: null, from: null, to: null } as const;
  const begun = process.cpuUsage();
  let rows = 0;
  for await (const batch of source.columns!({ ...query, columns: readColumnNames("ticks") }))
    rows += batch.rows;
  const sample = sampleOf(begun, rows);
  await source.close();
  return sample;
}

async function exported(file: string, to: string): Promise<Sample> {
  rmSync(to, { force: true });
  const options = parseExportOptions(["--from", file, "--to", to, "--kind", "ticks"])!;
  const source = (await openToRead(file))!;
  const begun = process.cpuUsage();
  const { rows } = await exportRows({
    ...options,
    source,
    openOutput: (kind, counts, names) =>
      new OneFileOutput(() => openFile(to, options.form.packing), {
        kind,
        form: options.form,
        counts,
        names,
      }),
    canRepeat: false,
    progress: silentProgress,
    signal: new AbortController().signal,
  });
  const sample = sampleOf(begun, statSync(to).size > 0 ? rows : 0);
  await source.close();
  return sample;
}

async function copiedTo(file: string, to: string): Promise<Sample> {
  rmSync(to, { force: true });
  const copy = await openDuckDbCopy(file);
  const begun = process.cpuUsage();
  const sample = sampleOf(begun, await copy.run(to));
  copy.close();
  return sample;
}
