/** What the torture and the process of its other clients say to each other. */
import type { LatencySummary } from "../bench/load-plan.ts";

export interface BystandersPlan {
  port: number;
  wsUrl: string;
  url: string;
  seed: number;
}

/** What other clients saw since the last window. */
export interface Window {
  /** Of saves and reads together, in ms. */
  requests: LatencySummary & { count: number };
  /** Of `SELECT 1` with execute_sql, in ms. */
  sql: LatencySummary & { count: number };
  /** The first saves and reads that were not answered with 200, each as status and body. */
  refused: string[];
  refusedCount: number;
  /** The first of `SELECT 1` that was not answered with 200. */
  sqlRefused: string | null;
  /** Connections that broke. */
  broken: number;
}

export interface Verdict {
  answeredSaves: number;
  updatesSeen: number;
  /** Updates lost, repeated, out of order, or answered saves that are not stored; in words. */
  violations: string[];
}

export type ToBystanders = { type: "plan"; plan: BystandersPlan } | { type: "window" } | { type: "finish" };
export type FromBystanders =
  | { type: "listening" }
  | { type: "running" }
  | { type: "window"; window: Window }
  | { type: "verdict"; verdict: Verdict }
  | { type: "failed"; reason: string };
