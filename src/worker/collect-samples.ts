/** What the metrics tell of a worker beside its requests. */
import { dirname } from "node:path";
import { type LastBackup, readLastBackup } from "../backup/last-backup.ts";
import { staleTimesSamples } from "../feeds/feed-samples.ts";
import type { FeedView } from "../feeds/feed-view.ts";
import type { Bodies } from "../http/bodies.ts";
import type { HubClient } from "../hub/hub-client.ts";
import type { LiveBars } from "../live-bars/live-bars.ts";
import type { MemoryBoard } from "../memory/memory-board.ts";
import { processesOf } from "../memory/memory-watch.ts";
import { labelsText, type Samples } from "../metrics/samples.ts";
import type { Traffic } from "../metrics/traffic.ts";
import type { ConditionName, Conditions } from "../observe/conditions.ts";
import type { Counters } from "../observe/counters.ts";
import type { SqlTurns } from "../sql/sql-turns.ts";
import type { PoolFigures, ReplicaFigures, ReplicaReads } from "../storage/contract.ts";
import { freeBytesOf } from "../storage/disk-space.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import { within } from "../time/within.ts";
import type { ClientTotals } from "../websocket/client-totals.ts";
import type { EventStreams } from "../websocket/event-streams.ts";
import type { SlowPolicy } from "../websocket/live-request.ts";
import type { ReplaySockets } from "../websocket/replay-sockets.ts";
import type { Sockets } from "../websocket/sockets.ts";
import type { WorkerStorage } from "./worker-storage.ts";

/** PostgreSQL takes some milliseconds for its size. */
const DATABASE_EVERY_MS = 30_000;
/** Whoever asks for metrics waits no longer for the database, which may hang. */
const DATABASE_WAIT_MS = 500;
const POLICIES: readonly SlowPolicy[] = ["disconnect", "conflate", "gap"];
const CONDITIONS: readonly ConditionName[] = ["descriptors", "disk", "memory", "writer", "database"];

export interface SampledParts {
  info: { version: string; engine: string };
  startedMs: number;
  memoryBytesMax: number;
  counters: Counters;
  traffic: Traffic;
  sockets: Sockets;
  eventStreams: EventStreams;
  replays: ReplaySockets;
  subscriptions: Subscriptions;
  liveBars: LiveBars;
  feeds: FeedView;
  bodies: Bodies;
  hub: HubClient;
  /** Not answered yet. */
  listener: { pendingRequests(): number };
  conditions: Conditions;
  memory: MemoryBoard;
  storage: WorkerStorage;
  turns: SqlTurns;
  updateLogBytesMax: number;
  /** Null: nothing is traced. */
  traces: { readonly dropped: number } | null;
  /** It tells what is the same for each worker. */
  isFirst: boolean;
  /** Of the database; null: it has none. */
  file: string | null;
}

/** Null: it isn't told, or the database doesn't answer. */
interface OfDatabase {
  size: number | null;
  log: number | null;
  pool: PoolFigures | null;
  free: number | null;
  lastBackup: LastBackup | null;
}

const NO_FILE = { free: null, lastBackup: null };

/** @returns what collects them, when it is called. */
export function sampler(parts: SampledParts): () => Promise<Samples> {
  let known: OfDatabase = { size: null, log: null, pool: null, ...NO_FILE };
  let lookedMs = Number.NEGATIVE_INFINITY;
  return async () => {
    if (performance.now() - lookedMs > DATABASE_EVERY_MS) {
      lookedMs = performance.now();
      const looked = lookAt(parts).then((found) => {
        known = found;
      });
      await within(looked, DATABASE_WAIT_MS, () => undefined);
    }
    return samplesOf(parts, known);
  };
}

async function lookAt({ storage, file, isFirst }: SampledParts): Promise<OfDatabase> {
  const ofFile =
    file === null ? NO_FILE : { free: freeBytesOf(dirname(file)), lastBackup: readLastBackup(file) };
  // Of a database that is another server's, that one tells.
  if (storage.rollups === null) return { size: null, log: null, pool: null, ...ofFile };
  const { reader, hasPoolInHub } = storage;
  const told = async <T>(ask: () => T | Promise<T>): Promise<T | null> => Promise.try(ask).catch(() => null);
  const [size, log, pool] = await Promise.all([
    told(() => reader.sizeBytes()),
    told(() => reader.updates.logBytes()),
    hasPoolInHub && !isFirst ? null : told(() => reader.pool()),
  ]);
  return { size, log, pool, ...ofFile };
}

function samplesOf(parts: SampledParts, { size, log, pool, free, lastBackup }: OfDatabase): Samples {
  const { counters, sockets, eventStreams, replays, subscriptions, liveBars, bodies, hub } = parts;
  const one = (value: number): Record<string, number> => ({ "": value });
  return {
    stock_db_info: { [labelsText(parts.info)]: 1 },
    stock_db_saves_total: one(counters.saves),
    stock_db_saved_rows_total: one(counters.rowsSaved),
    ...parts.traffic.samples(),
    stock_db_sql_runs_total: one(counters.sqlRuns),
    stock_db_sql_timeouts_total: one(counters.sqlTimeouts),
    stock_db_frames_total: one(counters.framesPublished),
    stock_db_messages_total: one(counters.messages),
    stock_db_subscribers_cut_off_total: one(counters.subscribersCutOff),
    stock_db_updates_folded_total: one(counters.updatesFolded),
    stock_db_gaps_total: { '{reason="slow"}': counters.slowGaps, '{reason="not_kept"}': counters.lostGaps },
    ...subscriberSamples([sockets.totals, eventStreams.totals]),
    stock_db_replays: one(replays.size),
    stock_db_subscriptions: one(subscriptions.size),
    stock_db_watched_tickers: one(subscriptions.channels),
    stock_db_live_bars: one(liveBars.size),
    ...staleTimesSamples(parts.feeds),
    stock_db_waiting_bytes: one(sockets.waitingBytes + eventStreams.waitingBytes),
    stock_db_requests_under_way: one(parts.listener.pendingRequests()),
    stock_db_body_bytes: one(bodies.bytes),
    stock_db_hub_saves_bytes: one(hub.saveBytesInFlight),
    ...parts.storage.commitSamples(),
    ...sqlSamples(parts),
    ...(parts.traces === null ? {} : { stock_db_spans_dropped_total: one(parts.traces.dropped) }),
    ...(log === null ? {} : { stock_db_update_log_bytes: one(log) }),
    stock_db_update_log_limit_bytes: one(parts.updateLogBytesMax),
    ...(pool === null ? {} : { stock_db_pool_connections: connectionsOf(pool) }),
    ...replicaSamples(parts.storage.replicas()),
    ...(hub.lagMs === null ? {} : { stock_db_hub_lag_seconds: one(hub.lagMs / 1_000) }),
    stock_db_hub_connected: one(Number(hub.connected)),
    stock_db_condition: Object.fromEntries(
      CONDITIONS.map((condition) => [labelsText({ condition }), Number(parts.conditions.has(condition))]),
    ),
    stock_db_resident_bytes: residentByRole(parts.memory),
    stock_db_memory_limit_bytes: one(parts.memoryBytesMax),
    ...(size === null ? {} : { stock_db_database_bytes: one(size) }),
    ...(free === null ? {} : { stock_db_disk_free_bytes: one(free) }),
    ...(lastBackup?.taken_at
      ? { stock_db_last_backup_timestamp_seconds: one(Date.parse(lastBackup.taken_at) / 1_000) }
      : {}),
    ...(lastBackup === null ? {} : { stock_db_backup_failed: one(Number(lastBackup.failure !== null)) }),
    stock_db_start_time_seconds: one(parts.startedMs / 1_000),
  };
}

/** Each policy, so that a sum of none is told too. */
function subscriberSamples(all: readonly ClientTotals[]): Samples {
  const subscribers: Record<string, number> = {};
  const queue: Record<string, number> = {};
  const bytes: Record<string, number> = {};
  const lag: Record<string, number> = {};
  for (const policy of POLICIES) {
    const of = all.map(({ byPolicy }) => byPolicy.get(policy)).filter((each) => each !== undefined);
    const label = labelsText({ policy });
    subscribers[label] = of.reduce((sum, each) => sum + each.subscribers, 0);
    queue[label] = of.reduce((sum, each) => sum + each.queue, 0);
    bytes[label] = of.reduce((sum, each) => sum + each.queueBytes, 0);
    lag[label] = Math.max(0, ...of.map(({ lagS }) => lagS));
  }
  return {
    stock_db_subscribers: subscribers,
    stock_db_subscriber_queue: queue,
    stock_db_subscriber_queue_bytes: bytes,
    stock_db_subscriber_lag_seconds: lag,
  };
}

function sqlSamples({ storage, turns }: SampledParts): Samples {
  const sql = storage.sqlFigures();
  const { running, waiting } = turns.figures();
  return {
    stock_db_sql_running: { "": running },
    stock_db_sql_waiting: { "": waiting },
    ...("runs_at" in sql
      ? {}
      : {
          stock_db_sql_runners: { '{state="busy"}': sql.busy, '{state="idle"}': sql.idle },
          stock_db_sql_runners_killed_total: { "": sql.killed },
        }),
  };
}

function connectionsOf({ active_connections, available_connections }: PoolFigures): Record<string, number> {
  return { '{state="active"}': active_connections, '{state="available"}': available_connections };
}

function replicaSamples(reads: ReplicaReads | null): Samples {
  if (reads === null) return {};
  const of = (value: (figures: ReplicaFigures) => number | null): Record<string, number> =>
    Object.fromEntries(
      reads.replicas.flatMap((figures) => {
        const told = value(figures);
        return told === null ? [] : [[labelsText({ replica: figures.replica }), told]];
      }),
    );
  return {
    stock_db_replica_left_out: of(({ used }) => Number(!used)),
    stock_db_replica_lag_seconds: of(({ lag_seconds }) => lag_seconds),
    stock_db_replica_reads_total: of(({ reads: count }) => count),
    stock_db_replica_reads_by_primary_total: { "": reads.by_primary },
  };
}

/** "worker 3" is one of the workers; which one it is changes with each restart. */
function residentByRole(memory: MemoryBoard): Record<string, number> {
  const byRole = new Map<string, number>();
  for (const { name, bytes } of processesOf(memory)) {
    const role = name.startsWith("worker") ? "worker" : name;
    byRole.set(role, (byRole.get(role) ?? 0) + bytes);
  }
  return Object.fromEntries([...byRole].map(([role, bytes]) => [labelsText({ role }), bytes]));
}
