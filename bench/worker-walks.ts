/**
 * The whole way of columns to a worker, beside the bare driver's loop in the same run: SQLite in
 * this process, DuckDB out of a hub that is a process of its own.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseSettings } from "../src/config/settings.ts";
import { HubClient } from "../src/hub/hub-client.ts";
import { hubReader } from "../src/hub/hub-reader.ts";
import { withBoundedColumns } from "../src/storage/column-walks.ts";
import type { StockReader } from "../src/storage/contract.ts";
import { describeDatabase } from "../src/storage/engines.ts";
import type { ColumnQuery } from "../src/storage/model/columns.ts";
import { FEEDS_OF_CLIENT } from "../test/support/feeds.ts";
import type { EngineDatabases } from "./engine-databases.ts";
import { type BareWalks, bareWalks } from "./floors/bare-walks.ts";
import { spawnOwn, stopChild } from "./processes.ts";
import {
  type BenchContext,
  type Comparison,
  interleave,
  invalidSamples,
  type Sample,
  type ScenarioReport,
} from "./scenario.ts";
import { fillTables, WALKED, type WalkedTable } from "./walked-tables.ts";

const RATIO_MIN = 0.6;
const none = (): void => undefined;
const LOG = { debug: none, info: none, warning: none, error: none, critical: none };

export async function measureWalks(
  context: BenchContext,
  engine: "sqlite" | "duckdb",
  databases: EngineDatabases,
): Promise<Pick<ScenarioReport, "comparisons" | "invalid">> {
  const bare = await bareWalks(engine);
  const location = await databases.create("walks");
  context.progress("6,000,000 rows for the walks");
  await fillTables(location, bare);
  const comparisons: Comparison[] = [];
  const invalid: string[] = [];
  for (const table of WALKED) {
    const samples = await interleave<"bare" | "worker">(context, {
      bare: () => bareWalk(bare, location, table),
      ...(context.floorsOnly ? {} : { worker: () => workerWalk(context.folder, location, table) }),
    });
    const name = `${engine === "sqlite" ? "SQLite" : "DuckDB"}: ${table.what} read by a worker`;
    comparisons.push({
      ...{ name, unit: " rows/s", target: RATIO_MIN },
      base: { name: bare.reads, samples: samples.bare },
      ours: samples.worker ?? [],
    });
    invalid.push(...invalidSamples({ [`${name}, bare`]: samples.bare, [name]: samples.worker }));
  }
  return { comparisons, invalid };
}

async function bareWalk(bare: BareWalks, location: string, table: WalkedTable): Promise<Sample> {
  const { rows, ms } = await bare.read(location, table);
  return sampleOf(table, rows, ms);
}

async function workerWalk(folder: string, location: string, table: WalkedTable): Promise<Sample> {
  const worker = await openWorker(location, folder);
  try {
    const { settings } = parseSettings(["--db-file", location], {});
    const reader = withBoundedColumns(worker.reader, settings.readTimeoutMs);
    await walk(reader, { ...table.query, limit: 50_000 }); // the code is compiled
    const startedAt = performance.now();
    const rows = await walk(reader, table.query);
    return sampleOf(table, rows, performance.now() - startedAt);
  } finally {
    await worker.close();
  }
}

function sampleOf(table: WalkedTable, rows: number, ms: number): Sample {
  const invalid = rows === table.rows ? [] : [`${rows} of ${table.rows} rows were read`];
  return { perSecond: (rows * 1_000) / ms, clientCpu: 0, p99Ms: null, invalid };
}

async function walk(reader: StockReader, query: ColumnQuery): Promise<number> {
  let rows = 0;
  for await (const batch of reader.columns(query)) rows += batch.rows;
  return rows;
}

interface OpenWorker {
  reader: StockReader;
  close(): Promise<void>;
}

async function openWorker(location: string, folder: string): Promise<OpenWorker> {
  const { engine } = describeDatabase(location);
  if (engine.placement.reads === "hub") return openBehindHub(location, folder);
  const { settings } = parseSettings(["--db-file", location], {});
  const { reader, close } = await engine.openWorker({
    ...{ settings, serverId: "bench", log: LOG, isFirst: true },
    conditions: { begin: none, end: none } as never,
    updates: { publish: none, missed: none },
    lostInHub: () => null,
  });
  return { reader: reader!, close: async () => await close?.() };
}

async function openBehindHub(location: string, folder: string): Promise<OpenWorker> {
  const runtimeDir = mkdtempSync(join(folder, "hub-"));
  const ready = Promise.withResolvers<void>();
  const hub = spawnOwn({
    file: "bench/column-hub.ts",
    args: [location, runtimeDir],
    ipc: () => ready.resolve(),
  });
  await Promise.race([
    ready.promise,
    hub.exited.then((code) => Promise.reject(new Error(`the hub ended with ${code}`))),
  ]);
  const client = new HubClient({
    ...FEEDS_OF_CLIENT,
    ...{ runtimeDir, workerId: 0, log: LOG, publish: none, note: none, removed: none, condition: none },
    ...{ missed: none, livenessMs: 10_000, conditions: { begin: none, end: none }, sockets: () => [] },
  });
  await client.connect();
  return {
    reader: hubReader(client),
    async close() {
      client.close();
      await stopChild(hub);
      rmSync(runtimeDir, { recursive: true, force: true });
    },
  };
}
