/** What the worker gives the router, and the data of its sockets. */
import type { Server } from "bun";
import type { Callers } from "../access/callers.ts";
import type { KeyRates } from "../access/key-rates.ts";
import type { StreamDoor } from "../alpaca/stream-door.ts";
import type { KnownFeeds } from "../commands/questions/feeds.ts";
import type { AllConnections } from "../connections/all-connections.ts";
import type { Arrivals } from "../connections/arrivals.ts";
import type { MemoryWatch } from "../memory/memory-watch.ts";
import type { RequestDoor, Traffic } from "../metrics/traffic.ts";
import type { WorkerMetrics } from "../metrics/worker-metrics.ts";
import type { AccessLogger } from "../observe/access-log.ts";
import type { AuditLog } from "../observe/audit-log.ts";
import type { Counters } from "../observe/counters.ts";
import type { Logger } from "../observe/log.ts";
import type { EventStreams } from "../websocket/event-streams.ts";
import type { ReplaySocketData, ReplaySockets } from "../websocket/replay-sockets.ts";
import type { SocketData } from "../websocket/socket-client.ts";
import type { Sockets } from "../websocket/sockets.ts";
import type { UnnamedSocketData, UnnamedSockets } from "../websocket/unnamed-sockets.ts";
import type { AnswerSpool } from "./answer-spool.ts";
import type { Bodies } from "./bodies.ts";
import type { CallTraces } from "./call-traces.ts";
import type { CallerContexts } from "./caller-contexts.ts";
import type { AllowedOrigins } from "./cross-origin.ts";
import type { HealthOptions } from "./health.ts";
import type { HostGuard } from "./host-guard.ts";
import type { RequestsUnderWay } from "./requests-under-way.ts";
import type { StatsOptions } from "./stats.ts";
import type { TrustedProxies } from "./trusted-proxies.ts";
import type { WholeAnswers } from "./whole-answers.ts";

export interface RouterOptions {
  contexts: Readonly<Record<RequestDoor, CallerContexts>>;
  guard: HostGuard;
  origins: AllowedOrigins;
  proxies: TrustedProxies;
  callers: Callers;
  rates: KeyRates;
  sockets: Sockets;
  eventStreams: EventStreams;
  replays: ReplaySockets;
  unnamedSockets: UnnamedSockets;
  alpacaStreams: StreamDoor;
  arrivals: Arrivals;
  requests: RequestsUnderWay;
  connections: AllConnections;
  health: HealthOptions;
  stats: StatsOptions;
  feeds: KnownFeeds;
  counters: Counters;
  metrics: Pick<WorkerMetrics, "requests" | "text">;
  traffic: Traffic;
  /** Null: there is none. */
  audit: AuditLog | null;
  /** Null: no request is traced. */
  traces: CallTraces | null;
  log: Logger;
  accessLog: AccessLogger;
  /** 0: none is logged for that. */
  slowRequestMs: number;
  maxBodyBytes: number;
  spool: AnswerSpool;
  wholeAnswers: WholeAnswers;
  memory: Pick<MemoryWatch, "admit">;
  /** --sql-timeout is longer than Bun's idle limit of connections. */
  sqlOutlastsIdleLimit: boolean;
  isDraining(): boolean;
  /** Of a listener that was replaced: its clients had better connect again. */
  isFormer(server: Server<AnySocketData>): boolean;
  /** Of the Unix socket: its clients have no address. */
  isUnix(server: Server<AnySocketData>): boolean;
  descriptors: DescriptorState;
  bodies: Bodies;
}

/** See worker/descriptor-guard.ts. */
interface DescriptorState {
  isShort(): boolean;
  hasNoneForSocket(): boolean;
}

export type AnySocketData = SocketData | ReplaySocketData | UnnamedSocketData;
