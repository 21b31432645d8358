/** One worker: boots, serves, drains, stops. The same code in a process of its own and in the one process of `--workers 1`. */
import { randomBytes } from "node:crypto";
import type { Server } from "bun";
import { withPermissions } from "../commands/permissions.ts";
import { redact } from "../config/database-url.ts";
import type { Settings } from "../config/settings.ts";
import { HostGuard } from "../http/host-guard.ts";
import { createRouter } from "../http/router.ts";
import { HubClient } from "../hub/hub-client.ts";
import { createAccessLogger } from "../observe/access-log.ts";
import { Conditions } from "../observe/conditions.ts";
import { createCounters, snapshot } from "../observe/counters.ts";
import type { Logger } from "../observe/log.ts";
import { RequestError } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import { DatabaseGoneError } from "../storage/contract.ts";
import { ALL_TICKERS } from "../stream/subscriber.ts";
import { Subscriptions } from "../stream/subscriptions.ts";
import { Addresses } from "../websocket/addresses.ts";
import { type ReplaySocketData, ReplaySockets } from "../websocket/replay-sockets.ts";
import { type SocketData, Sockets } from "../websocket/sockets.ts";
import { withReplays } from "../websocket/with-replays.ts";
import { invite, TICKERS_NAMED_MAX } from "./invitation.ts";
import { queryRows } from "./query-rows.ts";
import type { UpdateSink, UpdateSource, WorkerStorage } from "./worker-storage.ts";

const MIB = 1024 * 1024;
/** While draining, so long answers say `Connection: close` before the listener goes: keep-alive clients lose no request. */
const DRAIN_NOTICE_MS = 300;
/** How long a drain waits for the rest of requests that are all that is left. */
const HALF_SENT_MAX_MS = 3_000;
const DRAIN_POLL_MS = 50;
/** Of the time to drain, kept for closing what is left: when it is over, the supervisor ends the process. */
const DRAIN_MARGIN_MS = 500;
/** Bytes of closed WebSockets that are still in Bun's hands are lost when the process exits. */
const LINGER_MS = 200;
/** Bun closes a connection on which nothing moves for this long, a running handler included; at most 255. */
const IDLE_TIMEOUT_MIN_S = 30;
const IDLE_TIMEOUT_MAX_S = 255;
const BUS_RETRY_MS = 1_000;
/** Beyond --sql-timeout, so that its own error is what the client gets. */
const IDLE_TIMEOUT_SLACK_S = 15;

export interface WorkerOptions {
  settings: Settings;
  runtimeDir: string;
  /** Null in the one process of `--workers 1`. */
  workerId: number | null;
  /** Called with the connection to the hub once it is there. */
  openStorage(hub: HubClient, updates: UpdateSink): Promise<WorkerStorage>;
  dbType: string;
  log: Logger;
  /** Ends the process, so that it is started anew. */
  fail(reason: string): void;
}

export interface Worker {
  port: number;
  /** What is there and what to try, in lines that work when pasted. */
  invitation(): Promise<string[]>;
  /** Answers what is in flight, closes WebSockets with 1001, and resolves when all is closed, at the latest after the time. */
  drain(timeoutMs: number): Promise<void>;
}

/** @throws Error the hub or the port is not to be had. */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { settings, workerId, log, dbType } = options;
  const counters = createCounters();
  const conditions = new Conditions(log);
  const maxBodyBytes = Math.floor(settings.maxBodyMb * MIB);
  const dbFile = redact(settings.dbFile);
  const bodies = { waiting: 0 };
  const nextSaveId = saveIds();
  let draining = false;
  /** The database's own, which needs no hub. */
  let ownUpdates: UpdateSource | null = null;
  let server: Server<SocketData | ReplaySocketData>;

  const hub = new HubClient({
    runtimeDir: options.runtimeDir,
    workerId: workerId ?? 0,
    log,
    publish: (ticker, update) => subscriptions.accept(ticker, update),
    note: (ticker, position) => subscriptions.note(ticker, position),
    missed() {
      if (ownUpdates === null) void subscriptions.missed(ALL_TICKERS);
      void endIfDatabaseIsGone();
    },
    databaseProblem(problem) {
      if (problem === null) conditions.end("database", "The database takes saves again");
      else conditions.begin("database", `the database takes no saves: ${problem}`);
    },
    addresses: () => addresses.counts,
  });
  const subscriptions: Subscriptions = new Subscriptions({
    heartbeatIntervalMs: settings.heartbeatIntervalS * 1000,
    publish(topic, text) {
      counters.framesPublished++;
      server.publish(topic, text);
      sockets.published(topic, text);
    },
    watch: (ticker) => (ownUpdates ?? hub).subscribe(ticker),
    unwatch: (ticker) => (ownUpdates ?? hub).unsubscribe(ticker),
    latestPrice: (ticker) => (storage.history ?? storage.reader).latestPrice(ticker),
    updates: {
      epoch: () => storage.reader.updates.epoch(),
      positions: (tickers) => storage.reader.updates.positions(tickers),
      newest: (ticker) => storage.reader.updates.newest(ticker),
      after: (ticker, after, limit) => storage.reader.updates.after(ticker, after, limit),
      snapshot: (ticker) => storage.reader.updates.snapshot(ticker),
    },
    warn: (message) => log.warning(message),
  });
  const addresses = new Addresses({
    admit: (address) => hub.admit(address),
    left: (address) => hub.left(address),
    socketsPerAddressMax: settings.wsConnectionsPerAddress,
  });
  const sockets: Sockets = new Sockets({
    subscriptions,
    maxBodyBytes,
    symbolsMax: settings.wsSymbolsMax,
    queueBytesMax: settings.wsQueueKb * 1024,
    addresses,
    counters,
    log,
  });

  await hub.connect();
  const storage = await options
    .openStorage(hub, {
      publish: (ticker, update) => subscriptions.accept(ticker, update),
      missed: (ticker) => void subscriptions.missed(ticker),
    })
    .catch((error: unknown) => {
      // The hub goes next, which is no news then.
      hub.close();
      throw error;
    });
  const { reader } = storage;
  ownUpdates = storage.updates ?? null;
  const heartbeatIntervalMs = settings.heartbeatIntervalS * 1_000;
  const replays = new ReplaySockets({
    reader: storage.history ?? reader,
    addresses,
    heartbeatIntervalMs,
    log,
  });
  const route = createRouter({
    context: withPermissions(
      {
        reader,
        warn: (message) => log.warning(message),
        async save(save, frame, { text, saveId }) {
          save.update = { ...(saveId ?? { saveId: nextSaveId(), repeated: false }), frame };
          const outcome = await storage.save(save, text);
          if (outcome.ok) {
            counters.saves++;
            counters.rowsSaved += save.rows.length;
          }
          return outcome;
        },
        executeSql(request) {
          counters.sqlRuns++;
          return storage.executeSql(request).catch((error) => {
            if (error instanceof RequestError && error.status === 504) counters.sqlTimeouts++;
            throw error;
          });
        },
      },
      settings,
    ),
    guard: new HostGuard(settings.allowHosts),
    sockets,
    replays,
    health: {
      reader,
      dbFile,
      dbType,
      workerId,
      isHubConnected: () => ownUpdates !== null || hub.connected,
      conditions,
      isDraining: () => draining,
    },
    stats: {
      pool: async () => ({ ...(await reader.pool()), sql: storage.sqlFigures() }),
      bus: () => hub.busFigures(),
      sizeBytes: () => reader.sizeBytes(),
      redactedDbFile: dbFile,
      dbType,
      workerId: workerId ?? 0,
      query: (sql, timeoutMs) => queryRows((request) => storage.executeSql(request), sql, timeoutMs),
      counters: () => ({ ...snapshot(counters) }),
    },
    counters,
    log,
    accessLog: createAccessLogger(settings.accessLog, log),
    maxBodyBytes,
    sqlOutlastsIdleLimit: settings.sqlTimeoutS + IDLE_TIMEOUT_SLACK_S > IDLE_TIMEOUT_MAX_S,
    isDraining: () => draining,
    bodies,
  });
  if (settings.bus !== null) void joinBus();
  server = Bun.serve<SocketData | ReplaySocketData>({
    hostname: settings.host,
    port: settings.port,
    reusePort: workerId !== null,
    development: false,
    idleTimeout: Math.min(
      IDLE_TIMEOUT_MAX_S,
      Math.max(IDLE_TIMEOUT_MIN_S, Math.ceil(settings.sqlTimeoutS) + IDLE_TIMEOUT_SLACK_S),
    ),
    // Not the limit of a body: a larger one must reach the router to be refused in JSON.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch: route,
    websocket: withReplays(sockets.handler(), replays),
    error: (error) => {
      log.error(`Request failed outside of its handler: ${error.message}`);
      return new Response('{"error":"An internal server error occurred."}', {
        status: 500,
        headers: { "Content-Type": "application/json; charset=utf-8" },
      });
    },
  });

  async function drain(timeoutMs: number): Promise<void> {
    if (draining) return;
    draining = true;
    const deadline = performance.now() + Math.max(timeoutMs / 2, timeoutMs - DRAIN_MARGIN_MS);
    const left = (): number => Math.max(0, deadline - performance.now());
    await Bun.sleep(Math.min(DRAIN_NOTICE_MS, timeoutMs));
    const stopped = server.stop();
    const hadSockets = sockets.size + replays.size > 0;
    replays.closeAll();
    subscriptions.stop();
    await sockets.drain(left());
    const race = { over: false };
    const inTime = await Promise.race([
      stopped.then(() => true),
      Bun.sleep(left()).then(() => false),
      onlyHalfSent(race).then(() => false),
    ]);
    race.over = true;
    if (!inTime) {
      log.warning(`Drained as far as possible; closing ${server.pendingRequests} requests unanswered`);
      await server.stop(true);
    }
    if (hadSockets) await Bun.sleep(LINGER_MS);
    await storage.close();
    hub.close();
  }

  /** A hub that was restarted has opened what is there now: who goes on reading another database than it writes must not serve. */
  async function endIfDatabaseIsGone(): Promise<void> {
    try {
      await storage.reader.probe();
    } catch (error) {
      if (error instanceof DatabaseGoneError) options.fail(error.message);
    }
  }

  /** The database may be away: then it is asked again. */
  async function joinBus(): Promise<void> {
    while (!draining) {
      try {
        hub.joinBus(await subscriptions.epoch());
        return;
      } catch (error) {
        log.warning(`The bus waits for the database: ${messageOf(error)}`);
        await Bun.sleep(BUS_RETRY_MS);
      }
    }
  }

  /** Resolves when all that is left in flight are requests whose clients have stopped sending. */
  async function onlyHalfSent(race: { over: boolean }): Promise<void> {
    let sinceMs = performance.now();
    while (!race.over && performance.now() - sinceMs < HALF_SENT_MAX_MS) {
      await Bun.sleep(DRAIN_POLL_MS);
      if (bodies.waiting === 0 || bodies.waiting < server.pendingRequests) sinceMs = performance.now();
    }
  }

  return {
    port: server.port!,
    drain,
    async invitation() {
      try {
        return invite(await reader.holdings(TICKERS_NAMED_MAX), settings.host, server.port!);
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        // A database elsewhere may come later than this server.
        return [`The database doesn't answer yet: ${error.message}`];
      }
    },
  };
}

/** Unique among the saves of all processes, on all machines. */
function saveIds(): () => string {
  const ofThisWorker = randomBytes(9).toString("base64url");
  let count = 0;
  return () => `${ofThisWorker}-${(count++).toString(36)}`;
}
