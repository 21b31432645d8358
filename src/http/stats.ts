/**
 * GET /stats/…: what the database holds and how fast it answers. Counting rows can take seconds, so
 * the SQL runners do it.
 */

import type { BusFigures } from "../bus/bus.ts";
import { badRequest } from "../protocol/errors.ts";
import type { PoolFigures } from "../storage/contract.ts";
import { KIND_NAMES, KINDS, TABLE_NAMES } from "../storage/model/kinds.ts";

export interface StatsOptions {
  pool(): Promise<PoolFigures & Record<string, unknown>>;
  bus(): Promise<BusFigures | null>;
  sizeBytes(): number | Promise<number | null>;
  redactedDbFile: string;
  dbType: string;
  workerId: number;
  /** Rows of one reading statement. @throws RequestError 504 after the time. */
  query(sql: string, timeoutMs: number): Promise<Record<string, unknown>[]>;
  counters(): Record<string, number>;
}

interface TimedStat {
  defaultS: number;
  maxS: number;
  read(options: StatsOptions, timeoutMs: number): Promise<Record<string, unknown>>;
}

export const TIMED_STATS: Record<string, TimedStat> = {
  "/stats/tables": { defaultS: 15, maxS: 120, read: readTables },
  "/stats/database": { defaultS: 30, maxS: 300, read: readDatabase },
  "/stats/performance": { defaultS: 20, maxS: 180, read: readPerformance },
};

/** @throws RequestError 504 after the time. */
export async function timedStat(
  stat: TimedStat,
  timeoutS: number,
  options: StatsOptions,
): Promise<Record<string, unknown>> {
  const started = performance.now();
  const figures = await stat.read(options, timeoutS * 1000);
  return { ...figures, ...stamp(started) };
}

export async function poolStat(options: StatsOptions): Promise<Record<string, unknown>> {
  const started = performance.now();
  return { worker_id: options.workerId, ...(await options.pool()), ...stamp(started) };
}

/** Has the fields of the Python server, which knew only Redis, for every kind of bus. */
export async function busStat(options: StatsOptions): Promise<Record<string, unknown>> {
  const started = performance.now();
  const figures = await options.bus();
  return {
    ...stamp(started),
    redis_pubsub: {
      enabled: figures !== null,
      redis_url: null,
      connected: figures?.connected ?? false,
      subscribed_channels: figures?.connected ? 1 : 0,
      channels: [],
      messages_received: figures?.received ?? 0,
      messages_processed: figures?.received ?? 0,
      subscriber_task_running: figures?.connected ?? false,
    },
    bus: figures ?? undefined,
  };
}

/** @returns seconds. @throws RequestError 400 not a number, or out of bounds. */
export function readTimeout(text: string | null, { defaultS, maxS }: TimedStat): number {
  if (text === null) return defaultS;
  const seconds = Number(text);
  if (text.trim() === "" || Number.isNaN(seconds)) throw badRequest("Invalid timeout parameter");
  if (seconds <= 0 || seconds > maxS) throw badRequest(`Timeout must be between 0 and ${maxS} seconds`);
  return seconds;
}

function stamp(startedMs: number): { timestamp: string; execution_time_ms: number } {
  return {
    timestamp: new Date().toISOString().replace("Z", "000+00:00"),
    execution_time_ms: Math.round((performance.now() - startedMs) * 1000) / 1000,
  };
}

async function readTables(options: StatsOptions, timeoutMs: number): Promise<Record<string, unknown>> {
  const counts = TABLE_NAMES.map((table) => `(SELECT count(*) FROM ${table}) AS ${table}`).join(", ");
  const [row] = await options.query(`SELECT ${counts}`, timeoutMs);
  return { tables: Object.fromEntries(TABLE_NAMES.map((table) => [table, { row_count: row![table] }])) };
}

async function readDatabase(options: StatsOptions, timeoutMs: number): Promise<Record<string, unknown>> {
  const parts = KIND_NAMES.map((kind) => {
    const { table, stamp } = KINDS[kind];
    return `SELECT '${table}' AS name, count(*) AS row_count, count(DISTINCT ticker) AS tickers,
      min(${stamp.name}) AS first, max(${stamp.name}) AS last FROM ${table}`;
  });
  const tables = await options.query(parts.join(" UNION ALL "), timeoutMs);
  return {
    database: {
      db_file: options.redactedDbFile,
      db_type: options.dbType,
      size_bytes: await options.sizeBytes(),
    },
    tables: Object.fromEntries(tables.map(({ name, ...figures }) => [name, figures])),
  };
}

/** Times a few typical statements, each run once in a runner, with the round trip. */
async function readPerformance(options: StatsOptions, timeoutMs: number): Promise<Record<string, unknown>> {
  const statements: Record<string, string> = {
    select_one: "SELECT 1 AS one",
    newest_daily_bar:
      "SELECT max(date) AS newest FROM daily_prices WHERE ticker = (SELECT min(ticker) FROM daily_prices)",
    last_1000_ticks: "SELECT count(*) AS rows FROM (SELECT 1 FROM realtime_data LIMIT 1000) AS ticks",
  };
  const tests: Record<string, { time_ms: number }> = {};
  const started = performance.now();
  for (const [name, sql] of Object.entries(statements)) {
    const before = performance.now();
    await options.query(sql, Math.max(1, timeoutMs - (before - started)));
    tests[name] = { time_ms: Math.round((performance.now() - before) * 1000) / 1000 };
  }
  return { tests, worker: options.counters() };
}
