/** One look at a server, and what has happened between two. */

import { redact } from "../../config/redact.ts";
import type { ConnectionList } from "../../connections/all-connections.ts";
import { STATUS } from "../../protocol/codes.ts";
import { askServer, NoAnswer, refusalIn, type ServerAnswer } from "../server-client.ts";

const ANSWER_MS = 10_000;
const CONNECTIONS_MAX = 100;

/** By the name of the metric with its labels, as it is written. */
type Metrics = ReadonlyMap<string, number>;

export interface Look {
  /** By `performance.now()`. */
  atMs: number;
  metrics: Metrics;
  list: ConnectionList;
}

/** Of a second, between two looks. */
export interface Rates {
  /** By command or path, those of most first; without those that are none. */
  requests: [what: string, perSecond: number][];
  saves: number;
  rows: number;
  commits: number;
  /** Null: there was no commit. */
  commitMs: number | null;
  savesOfCommit: number | null;
}

/** The server can't be asked, or not with this key. */
export class TopError extends Error {
  override name = "TopError";
}

/** @throws TopError */
export async function lookAt(url: string, signal: AbortSignal): Promise<Look> {
  const [metrics, connections] = await Promise.all([
    ask(url, "/metrics", signal),
    ask(url, `/v1/connections?limit=${CONNECTIONS_MAX}`, signal),
  ]);
  return {
    atMs: performance.now(),
    metrics: readMetrics(metrics.text),
    list: connections.body as unknown as ConnectionList,
  };
}

async function ask(url: string, path: string, signal: AbortSignal): Promise<ServerAnswer> {
  let answer: ServerAnswer;
  try {
    answer = await askServer(url + path, { timeoutMs: ANSWER_MS, signal });
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    throw new TopError(`${redact(url)} doesn't answer: ${error.message}`);
  }
  const { status, statusLine, body } = answer;
  if (status < STATUS.badRequest) return answer;
  const isOfKey = status === STATUS.unauthorized || status === STATUS.forbidden;
  const hint = isOfKey ? "; STOCK_DB_KEY needs a key of the scope admin" : "";
  throw new TopError(
    `${redact(url)}${path.split("?")[0]} answers ${statusLine}: ${refusalIn(body) ?? "no reason"}${hint}`,
  );
}

function readMetrics(text: string): Metrics {
  const metrics = new Map<string, number>();
  for (const line of text.split("\n")) {
    const blank = line.lastIndexOf(" ");
    if (blank > 0 && !line.startsWith("#")) metrics.set(line.slice(0, blank), Number(line.slice(blank + 1)));
  }
  return metrics;
}

export function ratesBetween(before: Look, now: Look): Rates {
  const seconds = Math.max(0.001, (now.atMs - before.atMs) / 1_000);
  const more = (name: string): number => (now.metrics.get(name) ?? 0) - (before.metrics.get(name) ?? 0);
  const byWhat = new Map<string, number>();
  for (const name of now.metrics.keys()) {
    const what = /^stock_db_requests_total\{what="((?:[^"\\]|\\.)*)"/.exec(name)?.[1];
    if (what !== undefined && more(name) > 0) byWhat.set(what, (byWhat.get(what) ?? 0) + more(name));
  }
  const commits = more("stock_db_commit_seconds_count");
  return {
    requests: [...byWhat]
      .map(([what, count]): [string, number] => [what, count / seconds])
      .sort(([, a], [, b]) => b - a),
    saves: more("stock_db_saves_total") / seconds,
    rows: more("stock_db_saved_rows_total") / seconds,
    commits: commits / seconds,
    commitMs: commits === 0 ? null : (1_000 * more("stock_db_commit_seconds_sum")) / commits,
    savesOfCommit: commits === 0 ? null : more("stock_db_commit_saves_sum") / commits,
  };
}
