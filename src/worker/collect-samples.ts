/** What the metrics tell of a worker beside its requests. */
import { dirname } from "node:path";
import { type LastBackup, readLastBackup } from "../backup/last-backup.ts";
import type { Bodies } from "../http/bodies.ts";
import type { HubClient } from "../hub/hub-client.ts";
import type { LiveBars } from "../live-bars/live-bars.ts";
import type { MemoryBoard } from "../memory/memory-board.ts";
import { processesOf } from "../memory/memory-watch.ts";
import { labelsText, type Samples } from "../metrics/samples.ts";
import type { ConditionName, Conditions } from "../observe/conditions.ts";
import type { Counters } from "../observe/counters.ts";
import type { StockReader } from "../storage/contract.ts";
import { freeBytesOf } from "../storage/disk-space.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import type { EventStreams } from "../websocket/event-streams.ts";
import type { ReplaySockets } from "../websocket/replay-sockets.ts";
import type { Sockets } from "../websocket/sockets.ts";

/** PostgreSQL takes some milliseconds for its size. */
const DISK_EVERY_MS = 30_000;
const CONDITIONS: readonly ConditionName[] = ["descriptors", "disk", "memory", "writer", "database"];

export interface SampledParts {
  info: { version: string; engine: string };
  startedMs: number;
  memoryBytesMax: number;
  counters: Counters;
  sockets: Sockets;
  eventStreams: EventStreams;
  replays: ReplaySockets;
  subscriptions: Subscriptions;
  liveBars: LiveBars;
  bodies: Bodies;
  hub: HubClient;
  /** Not answered yet. */
  listener: { pendingRequests(): number };
  conditions: Conditions;
  memory: MemoryBoard;
  /** Null: the database is another server's, which tells its size itself. */
  reader: Pick<StockReader, "sizeBytes"> | null;
  /** Of the database; null: it has none. */
  file: string | null;
}

interface OnDisk {
  size: number | null;
  free: number | null;
  lastBackup: LastBackup | null;
}

/** @returns what collects them, when it is called. */
export function sampler(parts: SampledParts): () => Promise<Samples> {
  let disk: OnDisk = { size: null, free: null, lastBackup: null };
  let lookedMs = Number.NEGATIVE_INFINITY;
  return async () => {
    if (performance.now() - lookedMs > DISK_EVERY_MS) {
      lookedMs = performance.now();
      const size = parts.reader === null ? null : await sizeOf(parts.reader);
      const { file } = parts;
      disk = {
        size,
        free: file === null ? null : freeBytesOf(dirname(file)),
        lastBackup: file === null ? null : readLastBackup(file),
      };
    }
    return samplesOf(parts, disk);
  };
}

/** A database that is away has no size now. */
async function sizeOf(reader: Pick<StockReader, "sizeBytes">): Promise<number | null> {
  return Promise.resolve(reader.sizeBytes()).catch(() => null);
}

function samplesOf(parts: SampledParts, { size, free, lastBackup }: OnDisk): Samples {
  const { counters, sockets, eventStreams, replays, subscriptions, liveBars, bodies, hub } = parts;
  const one = (value: number): Record<string, number> => ({ "": value });
  return {
    stock_db_info: { [labelsText(parts.info)]: 1 },
    stock_db_saves_total: one(counters.saves),
    stock_db_saved_rows_total: one(counters.rowsSaved),
    stock_db_sql_runs_total: one(counters.sqlRuns),
    stock_db_sql_timeouts_total: one(counters.sqlTimeouts),
    stock_db_frames_total: one(counters.framesPublished),
    stock_db_messages_total: one(counters.messages),
    stock_db_subscribers_cut_off_total: one(counters.subscribersCutOff),
    stock_db_subscribers: one(counters.subscribers),
    stock_db_replays: one(replays.size),
    stock_db_subscriptions: one(subscriptions.size),
    stock_db_watched_tickers: one(subscriptions.channels),
    stock_db_live_bars: one(liveBars.size),
    stock_db_waiting_bytes: one(sockets.waitingBytes + eventStreams.waitingBytes),
    stock_db_requests_under_way: one(parts.listener.pendingRequests()),
    stock_db_body_bytes: one(bodies.bytes),
    stock_db_hub_saves_bytes: one(hub.saveBytesInFlight),
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

/** "worker 3" is one of the workers; which one it is changes with each restart. */
function residentByRole(memory: MemoryBoard): Record<string, number> {
  const byRole = new Map<string, number>();
  for (const { name, bytes } of processesOf(memory)) {
    const role = name.startsWith("worker") ? "worker" : name;
    byRole.set(role, (byRole.get(role) ?? 0) + bytes);
  }
  return Object.fromEntries([...byRole].map(([role, bytes]) => [labelsText({ role }), bytes]));
}
