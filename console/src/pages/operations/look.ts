/** One look at a running server, and the rates between two. */
import { getJson, request } from "../../api/request.ts";

type Metrics = ReadonlyMap<string, number>;

export interface Connection {
  id: string;
  kind: string;
  worker: number;
  key?: string | null;
  address: string;
  port: number | null;
  since: string;
  lag_s: number;
  lag_updates?: number;
  queue_bytes: number;
  policy?: string;
  sql?: string;
  what?: string;
  tickers?: string[];
  subscriptions?: number;
}

export interface Worker {
  worker: number;
  pid: number;
  connections: number;
  resident_bytes: number;
  event_loop_delay_s: number;
}

interface ConnectionList {
  connections: Connection[];
  left_out: number;
  workers: Worker[];
  silent: string[];
}

export interface Writer {
  key: string;
  address: string;
  rate: number;
  rows: number;
  newest: string | null;
  received: string;
  age: number;
  symbol: string;
  type: string;
}

export interface Look {
  atMs: number;
  /** What the key of this page may not see is the error that says so. */
  metrics: Metrics | Error;
  list: ConnectionList | Error;
  writers: Writer[] | Error;
  reasons: string[];
}

export interface CommandRate {
  what: string;
  perSecond: number;
  /** Null: none was answered meanwhile. */
  meanMs: number | null;
}

const CONNECTIONS_MAX = 200;

/** @throws ServerError The server doesn't answer at all. */
export async function lookAt(signal: AbortSignal): Promise<Look> {
  const ready = await getJson<{ reasons?: string[] }>("health", {}, signal);
  const [metrics, list, feeds] = await Promise.all([
    told(request("metrics", { signal }).then((answer) => answer.text())),
    told(getJson<ConnectionList>("v1/connections", { limit: CONNECTIONS_MAX }, signal)),
    told(getJson<{ writers: Writer[] }>("v1/feeds", {}, signal)),
  ]);
  return {
    atMs: performance.now(),
    metrics: metrics instanceof Error ? metrics : readMetrics(metrics),
    list,
    writers: feeds instanceof Error ? feeds : feeds.writers,
    reasons: ready.reasons ?? [],
  };
}

function told<T>(promise: Promise<T>): Promise<T | Error> {
  return promise.catch((error: Error) => {
    if (error.name === "AbortError") throw error;
    return error;
  });
}

function readMetrics(text: string): Metrics {
  const metrics = new Map<string, number>();
  for (const line of text.split("\n")) {
    const blank = line.lastIndexOf(" ");
    if (blank > 0 && !line.startsWith("#")) metrics.set(line.slice(0, blank), Number(line.slice(blank + 1)));
  }
  return metrics;
}

/** Of what has the name, with whatever labels. */
export function sumOf(metrics: Metrics, name: string): number {
  let sum = 0;
  for (const [key, value] of metrics) if (key === name || key.startsWith(`${name}{`)) sum += value;
  return sum;
}

export function moreOf(before: Look, now: Look, name: string): number {
  if (before.metrics instanceof Error || now.metrics instanceof Error) return 0;
  const seconds = Math.max(0.001, (now.atMs - before.atMs) / 1_000);
  // A counter that began anew is that of a server that was started meanwhile.
  return Math.max(0, sumOf(now.metrics, name) - sumOf(before.metrics, name)) / seconds;
}

/** Those of most first; without those that are none. */
export function commandRates(before: Look, now: Look): CommandRate[] {
  if (before.metrics instanceof Error || now.metrics instanceof Error) return [];
  const seconds = Math.max(0.001, (now.atMs - before.atMs) / 1_000);
  const counts = new Map<string, number>();
  const times = new Map<string, { count: number; sum: number }>();
  for (const [key, value] of now.metrics) {
    const more = value - (before.metrics.get(key) ?? 0);
    const [, name = "", what] =
      /^stock_db_request(s_total|_seconds_(?:count|sum))\{(?:.*,)?what="((?:[^"\\]|\\.)*)"/.exec(key) ?? [];
    if (what === undefined || more <= 0) continue;
    if (name === "s_total") counts.set(what, (counts.get(what) ?? 0) + more);
    else {
      const time = times.get(what) ?? { count: 0, sum: 0 };
      if (name.endsWith("count")) time.count += more;
      else time.sum += more;
      times.set(what, time);
    }
  }
  return [...counts]
    .map(([what, count]) => {
      const time = times.get(what);
      return {
        ...{ what, perSecond: count / seconds },
        meanMs: time === undefined || time.count === 0 ? null : (1_000 * time.sum) / time.count,
      };
    })
    .sort((a, b) => b.perSecond - a.perSecond);
}
