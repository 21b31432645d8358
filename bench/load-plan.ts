/**
 * What the benchmark and its load processes say to each other, over Bun's IPC. One plan, one
 * result.
 */

export const LOOPBACK = "127.0.0.1";
/** Connections being opened at a time: well below a listener's backlog. */
export const OPENING_MAX = 50;

/**
 * What every answer's body must be; looked at on each connection's first answer and every
 * `SPOT_CHECK_EVERY`th.
 */
export type BodyCheck =
  | { kind: "rows"; rows: number }
  | { kind: "price"; price: number }
  | { kind: "contains"; text: string };

/** Which requests a load sends. */
export type Requests =
  | { kind: "fixed"; body: string }
  | { kind: "get"; path: string }
  /** One trade per request; number i goes to ticker i mod `tickers` and has a stamp of its own. */
  | { kind: "ticks"; tickers: number; firstIndex: number };

export interface HttpPlan {
  kind: "http";
  port: number;
  connections: number;
  requests: Requests;
  check: BodyCheck;
  warmupMs: number;
  /** The measurement ends earlier when the benchmark says `stop`. */
  measureMs: number;
  /** Between an answer and the connection's next request; 0 = at once. */
  pauseMs: number;
  /** Sent with each request; without it none is. */
  key?: string | null;
  /** 429 is an answer too. */
  mayBeRefused?: true;
}

export interface HttpResult {
  kind: "http";
  /** Answers received within the measurement, and its length. */
  answers: number;
  elapsedMs: number;
  /**
   * Requests written from the first to the last, warm-up included; every one of them was answered.
   */
  sent: number;
  latencyMs: LatencySummary;
  /** CPU time of the load process as a share of one core. */
  clientCpu: number;
  /** Why the figures must not be used; empty when they may. */
  invalid: string[];
}

export interface WsPlan {
  kind: "ws";
  port: number;
  subscribers: number;
  ticker: string;
  /**
   * Trade i of this load has stamp `firstIndex` + i: loads on one database must not repeat each
   * other's.
   */
  firstIndex: number;
  /** Connections that save, each its next trade as soon as the one before is answered. */
  writers: number;
  /** Saves sent back to back for this long: how much is delivered. */
  rateMs: number;
  /** The back-to-back phase doesn't end before so many saves. */
  savesMin: number;
  /**
   * Then saves at a fixed pace, from the first of the connections, for this long: how late an
   * update arrives. 0 leaves this out.
   */
  pacedMs: number;
  pacedPerSecond: number;
}

export interface WsResult {
  kind: "ws";
  saves: number;
  framesPerSecond: number;
  savesPerSecond: number;
  /** From just before the save is written to its frame's arrival at each subscriber. */
  backToBackMs: LatencySummary;
  pacedMs: LatencySummary;
  clientCpu: number;
  /** Bytes of one update's JSON text. */
  frameBytes: number;
  invalid: string[];
}

export interface LatencySummary {
  p50: number;
  p99: number;
  worst: number;
}

/** Subscribers of one ticker, in a process that does nothing else; until it is told to stop. */
export interface ReadersPlan {
  kind: "readers";
  port: number;
  subscribers: number;
  ticker: string;
  /** Written by the saves meanwhile. */
  timesFile: string;
}

export interface ReadersResult {
  kind: "readers";
  frames: number;
  clientCpu: number;
  /**
   * Of LATENCY_SHARES, in ms: from just before a save is written, and from its answer's arrival, to
   * its frame's at each subscriber.
   */
  sentToFrame: number[];
  answeredToFrame: number[];
  samples: number;
  frameBytes: number;
  invalid: string[];
}

/** Saves of one trade each from one connection. */
export interface SavesPlan {
  kind: "saves";
  port: number;
  ticker: string;
  /** Trade i of this load has stamp `firstIndex` + i. */
  firstIndex: number;
  /** At this pace; null: each as soon as the one before is answered. */
  perSecond: number | null;
  ms: number;
  /** Gets the moments of each save, in order: sent and answered, as float64 of ms since 1970. */
  timesFile: string;
}

export interface SavesResult {
  kind: "saves";
  savesPerSecond: number;
  clientCpu: number;
}

/** Of the sorted latencies; what a curve is drawn through. */
export const LATENCY_SHARES = [0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999];
/** The first saves of a load are not measured. */
export const WARMUP_SAVES = 20;

export type LoadPlan = HttpPlan | WsPlan | ReadersPlan | SavesPlan;
type LoadResult = HttpResult | WsResult | ReadersResult | SavesResult;
export type ToLoad = { type: "plan"; plan: LoadPlan } | { type: "stop" };
export type FromLoad =
  | { type: "listening" }
  /** Warm-up is over. */
  | { type: "measuring" }
  | { type: "result"; result: LoadResult }
  | { type: "failed"; reason: string };
