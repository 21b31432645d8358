/**
 * A million old trades go into the archive: how long that takes, how long saves take meanwhile, and
 * how long `/v1` then takes to read them out of the files.
 */
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { EngineName } from "../../test/support/flags.ts";
import type { BenchContext, Fact, Scenario, ScenarioReport } from "../scenario.ts";
import { sendCommand, startServer, type Target } from "../targets.ts";

const TRADES = 1_000_000;
const DAYS = 4;
const ROWS_PER_SAVE = 20_000;
const DAY_MS = 86_400_000;
const MB = 1e6;
const ENDINGS: Partial<Record<EngineName, string>> = { sqlite: ".db", duckdb: ".duckdb" };

export const archive: Scenario = { key: "archive", optIn: true, run: measureArchive };

interface ArchiveFigures {
  archivedS: number[];
  saveMs: number[];
  databaseMb: number[];
  filesMb: number[];
  readS: number[];
  pageMs: number[];
}

async function measureArchive(context: BenchContext): Promise<ScenarioReport> {
  const report: ScenarioReport = { comparisons: [], facts: [], python: [], invalid: [] };
  if (context.floorsOnly) return report;
  for (const engine of context.engines) {
    const ending = ENDINGS[engine];
    if (ending === undefined) continue;
    const figures: ArchiveFigures = {
      ...{ archivedS: [], saveMs: [], databaseMb: [], filesMb: [], readS: [], pageMs: [] },
    };
    for (let run = 0; run < context.runs; run++) {
      context.progress(`${engine}, run ${run + 1} of ${context.runs}`);
      const found = await measureOnce(
        join(context.folder, `archive-${engine}-${run}`),
        ending,
        context,
        figures,
      );
      if (found !== TRADES) report.invalid.push(`${engine}: ${found} of ${TRADES} trades were read`);
    }
    report.facts.push(...factsOf(engine, figures));
  }
  return report;
}

/** @returns how many trades are read after all are archived. */
async function measureOnce(
  base: string,
  ending: string,
  { folder }: BenchContext,
  figures: ArchiveFigures,
): Promise<number> {
  const options = { folder, name: "archive", workers: 1, database: base + ending };
  const filling = await startServer(options);
  await fill(filling);
  await filling.stop();
  figures.databaseMb.push(statSync(base + ending).size / MB);
  const server = await startServer({ ...options, flags: ["--retain", "trades=3d", "--archive", base] });
  const began = performance.now();
  for (let n = 0; (await storedTrades(server)) > 0; n++) {
    const saved = performance.now();
    const data = [{ timestamp: new Date().toISOString(), price: 1, size: n }];
    await sendCommand(server.port, "save_realtime_data", {
      ...{ ticker: "NOW", data_type: "trade", index_col: "timestamp", data },
    });
    figures.saveMs.push(performance.now() - saved);
    await Bun.sleep(20);
  }
  figures.archivedS.push((performance.now() - began) / 1_000);
  const files = readdirSync(base, { recursive: true }).map((name) => statSync(join(base, String(name))));
  figures.filesMb.push(files.reduce((sum, file) => sum + (file.isFile() ? file.size : 0), 0) / MB);
  const url = `http://127.0.0.1:${server.port}/v1/trades?symbols=OLD&format=ndjson`;
  await (await fetch(`${url}&limit=1`)).text(); // loads DuckDB
  const page = performance.now();
  await (await fetch(`${url}&limit=1000`)).text();
  figures.pageMs.push(performance.now() - page);
  const all = performance.now();
  const text = await (await fetch(url)).bytes();
  figures.readS.push((performance.now() - all) / 1_000);
  await server.stop();
  for (const suffix of ["", ending, `${ending}.epoch`])
    rmSync(base + suffix, { recursive: true, force: true });
  return text.reduce((lines, byte) => (byte === 10 ? lines + 1 : lines), 0);
}

async function fill(server: Target): Promise<void> {
  const begin = Math.floor(Date.now() / DAY_MS) * DAY_MS - 10 * DAY_MS;
  for (let first = 0; first < TRADES; first += ROWS_PER_SAVE) {
    const data = Array.from({ length: ROWS_PER_SAVE }, (_, row) => ({
      timestamp: new Date(begin + (first + row) * ((DAYS * DAY_MS) / TRADES)).toISOString(),
      price: 150 + (row % 100) / 4,
      size: 100 + (row % 9),
    }));
    const params = { ticker: "OLD", data_type: "trade", index_col: "timestamp", data };
    await sendCommand(server.port, "save_realtime_data", params);
  }
}

async function storedTrades(server: Target): Promise<number> {
  const body = await sendCommand(server.port, "execute_sql", {
    sql_query: "SELECT count(*) AS n FROM (SELECT 1 FROM realtime_data WHERE ticker = 'OLD' LIMIT 1) t",
    query_type: "select",
  });
  return Number((JSON.parse(Buffer.from(body).toString()) as { data: { n: number }[] }).data[0]!.n);
}

function factsOf(engine: EngineName, figures: ArchiveFigures): Fact[] {
  const fact = (name: string, unit: Fact["unit"], values: number[]): Fact => ({
    name,
    unit,
    values,
    max: null,
  });
  const p99 = figures.saveMs.toSorted((a, b) => a - b)[Math.floor(figures.saveMs.length * 0.99)] ?? 0;
  return [
    fact(`${engine}: a million trades archived and removed`, "s", figures.archivedS),
    fact("… saves meanwhile", "ms", figures.saveMs),
    fact("… their p99", "ms", [p99]),
    fact("… the database before", "MB", figures.databaseMb),
    fact("… the files", "MB", figures.filesMb),
    fact("… all of them read as NDJSON", "s", figures.readS),
    fact("… a page of 1,000", "ms", figures.pageMs),
  ];
}
