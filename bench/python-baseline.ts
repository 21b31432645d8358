/**
 * What the server that this one replaces, written in Python, did: aiohttp, pandas and SQLite,
 * measured once on 2 CPUs with client and server on them, and constant since. It isn't run here.
 * Each figure says how it was taken, because only figures taken the same way may be compared;
 * docs/benchmarks.md tells where ours are taken differently.
 */

export interface PythonFigure {
  key: string;
  what: string;
  value: number;
  unit: "/s" | " frames/s" | " MB" | " ms" | " s";
  better: "more" | "less";
  /** How many times better ours has to be. */
  asked: number;
}

/** In the order of the table. */
export const PYTHON_FIGURES = [
  // Python 3.11, aiohttp 3.8, SQLite 3.40 (a connection for each call, journal mode "delete"), 252
  // daily bars and one quote stored; wrk, 32 connections, 5 s, the median of 3 runs.
  figure("price", "get_latest_price, 32 connections", 2650, "/s", "more", 20),
  figure("saves", "one-tick saves of 100 tickers, 32 connections", 189, "/s", "more", 100),
  figure("bars", "get_stock_data, 252 daily bars, 32 connections", 138, "/s", "more", 30),

  // 200 subscribers of one symbol; 200 saves of one trade, back to back on one keep-alive
  // connection; median of 3 runs.
  figure("fanout-1x1", "200 subscribers, 1 writer, 1 worker", 15_501, " frames/s", "more", 20),
  // Delivered 44 to 56 % of the frames: only the worker that took a save told its subscribers.
  figure("fanout-2x1", "200 subscribers, 1 writer, 2 workers", 10_869, " frames/s", "more", 20),
  // Not measured with more writers; the figure is that of one, with one worker.
  figure("fanout-1x8", "200 subscribers, 8 writers, 1 worker", 15_501, " frames/s", "more", 20),
  figure("fanout-2x8", "200 subscribers, 8 writers, 2 workers", 15_501, " frames/s", "more", 20),
  figure("fanout-1x32", "200 subscribers, 32 writers, 1 worker", 15_501, " frames/s", "more", 20),
  figure("fanout-2x32", "200 subscribers, 32 writers, 2 workers", 15_501, " frames/s", "more", 20),
  figure("fanout-p99", "… save to receipt, back to back, p99, 1 worker", 21.4, " ms", "less", 1),
  figure("paced-p99", "… save to receipt, 10 saves a second, p99, 1 worker", 26.8, " ms", "less", 1),

  // Resident, before any request. With 2 workers 102 MB of the parent and 84 MB of each worker.
  figure("idle-1", "idle, 1 worker, resident", 103, " MB", "less", 1),
  figure("idle-2", "idle, 2 workers, all processes, resident", 270, " MB", "less", 1),

  // From the start of the process to the first answer of /health; 1.5 to 1.9 s with 2 workers.
  figure("start-1", "start to the first answer, 1 worker", 600, " ms", "less", 1),
  figure("start-2", "start to every worker's first answer, 2 workers", 1500, " ms", "less", 1),
  figure("restart", "a worker of 2 killed: until another answers", 400, " ms", "less", 1),
  // 22.2 to 22.7 s, no close frame. With 1 worker the process ended at once, requests in flight
  // unanswered.
  figure("sigterm-2", "SIGTERM with a WebSocket open, 2 workers", 22_000, " ms", "less", 1),

  // Moving averages included; the worker answered nobody meanwhile.
  figure("bulk", "9,000 daily bars in one save", 5200, " ms", "less", 1),
  figure("bulk-wait", "… another client's worst answer meanwhile", 5100, " ms", "less", 1),
] as const satisfies PythonFigure[];

export type PythonKey = (typeof PYTHON_FIGURES)[number]["key"];

/** Ours, taken as the figure of the same key was: one value a run. */
export interface PythonMatch {
  key: PythonKey;
  values: number[];
}

function figure<Key extends string>(
  key: Key,
  what: string,
  value: number,
  unit: PythonFigure["unit"],
  better: PythonFigure["better"],
  asked: number,
): PythonFigure & { key: Key } {
  return { key, what, value, unit, better, asked };
}
