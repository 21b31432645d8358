/**
 * One worker: boots, serves, drains, stops. The same code in a process of its own and in the one
 * process of `--workers 1`.
 */
import { randomBytes } from "node:crypto";
import { withPermissions } from "../commands/permissions.ts";
import { redact } from "../config/database-url.ts";
import { bodyShares, sqlStatementsMax } from "../config/memory-shares.ts";
import type { Settings } from "../config/settings.ts";
import { usableCpus } from "../config/usable-cpus.ts";
import { AnswerSpool } from "../http/answer-spool.ts";
import { Bodies } from "../http/bodies.ts";
import { HostGuard } from "../http/host-guard.ts";
import { createRouter } from "../http/router.ts";
import { WholeAnswers } from "../http/whole-answers.ts";
import { HubClient } from "../hub/hub-client.ts";
import type { MemoryBoard } from "../memory/memory-board.ts";
import { MemoryWatch } from "../memory/memory-watch.ts";
import { createAccessLogger } from "../observe/access-log.ts";
import { type ConditionName, Conditions } from "../observe/conditions.ts";
import { createCounters, snapshot } from "../observe/counters.ts";
import type { Logger } from "../observe/log.ts";
import { RequestError } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { SqlRequest } from "../sql/execute.ts";
import { SqlTurns } from "../sql/sql-turns.ts";
import { DatabaseGoneError } from "../storage/contract.ts";
import type { SqlAnswer } from "../storage/user-sql-contract.ts";
import { inTurns } from "../stream/read-turns.ts";
import { ALL_TICKERS } from "../stream/subscriber.ts";
import { Subscriptions } from "../stream/subscriptions.ts";
import { Addresses } from "../websocket/addresses.ts";
import { type ReplaySocketData, ReplaySockets } from "../websocket/replay-sockets.ts";
import { type SocketData, Sockets } from "../websocket/sockets.ts";
import { SubscriptionQuota } from "../websocket/subscription-quota.ts";
import { withReplays } from "../websocket/with-replays.ts";
import { DescriptorGuard } from "./descriptor-guard.ts";
import { invite, TICKERS_NAMED_MAX } from "./invitation.ts";
import { Listener } from "./listener.ts";
import { queryRows } from "./query-rows.ts";
import type { UpdateSink, UpdateSource, WorkerStorage } from "./worker-storage.ts";

const MIB = 1024 * 1024;
/**
 * While draining, so long answers say `Connection: close` before the listener goes: keep-alive
 * clients lose no request.
 */
const DRAIN_NOTICE_MS = 300;
/** How long a drain waits for the rest of requests that are all that is left. */
const HALF_SENT_MAX_MS = 3_000;
const DRAIN_POLL_MS = 50;
/**
 * Of the time to drain, kept for closing what is left: when it is over, the supervisor ends the
 * process.
 */
const DRAIN_MARGIN_MS = 500;
/** Bytes of closed WebSockets that are still in Bun's hands are lost when the process exits. */
const LINGER_MS = 200;
/**
 * Bun closes a connection on which nothing moves for this long, a running handler included; at most
 * 255.
 */
const IDLE_TIMEOUT_MIN_S = 30;
const IDLE_TIMEOUT_MAX_S = 255;
const BUS_RETRY_MS = 1_000;
/** Beyond --sql-timeout, so that its own error is what the client gets. */
const IDLE_TIMEOUT_SLACK_S = 15;

/** For the log. */
const ENDED: Record<ConditionName, string> = {
  descriptors: "There are enough descriptors again",
  disk: "The database's disk has room again; saves go on",
  memory: "There is enough memory again",
  writer: "The database's writer answers again",
  database: "The database answers again",
};

export interface WorkerOptions {
  settings: Settings;
  runtimeDir: string;
  /** Null in the one process of `--workers 1`. */
  workerId: number | null;
  /** Called with the connection to the hub once it is there. */
  openStorage(hub: HubClient, updates: UpdateSink, conditions: Conditions): Promise<WorkerStorage>;
  dbType: string;
  /** Of this server. */
  memory: MemoryBoard;
  log: Logger;
  /** Ends the process, so that it is started anew. */
  fail(reason: string): void;
}

export interface Worker {
  port: number;
  /** What is there and what to try, in lines that work when pasted. */
  invitation(): Promise<string[]>;
  /** Gives memory back at once: see Sockets. */
  closeSomeSockets(): { closed: number; address: string };
  /**
   * Answers what is in flight, closes WebSockets with 1001, and resolves when all is closed, at the
   * latest after the time.
   */
  drain(timeoutMs: number): Promise<void>;
}

/** @throws Error the hub or the port is not available. */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { settings, workerId, log, dbType } = options;
  const counters = createCounters();
  const conditions = new Conditions(log);
  const maxBodyBytes = Math.floor(settings.maxBodyMb * MIB);
  const dbFile = redact(settings.dbFile);
  const bodies = new Bodies(bodyShares(settings));
  const wholeAnswers = new WholeAnswers(bodyShares(settings).bytesMax);
  const nextSaveId = saveIds();
  let draining = false;
  /** The database's own, which needs no hub. */
  let ownUpdates: UpdateSource | null = null;
  let listener: Listener<SocketData | ReplaySocketData>;
  let descriptors: DescriptorGuard | null = null;

  const hub = new HubClient({
    runtimeDir: options.runtimeDir,
    workerId: workerId ?? 0,
    log,
    livenessMs: settings.livenessTimeoutS * 1_000,
    conditions,
    publish: (ticker, update) => subscriptions.accept(ticker, update),
    note: (ticker, position) => subscriptions.note(ticker, position),
    condition(name, reason) {
      if (reason !== null) conditions.begin(name, reason);
      else conditions.end(name, ENDED[name]);
    },
    removed: (ticker) => subscriptions.forget(ticker),
    missed() {
      if (ownUpdates === null) void subscriptions.missed(ALL_TICKERS);
      void endIfDatabaseIsGone();
    },
    addresses: () => addresses.counts,
  });
  const subscriptions: Subscriptions = new Subscriptions({
    heartbeatIntervalMs: settings.heartbeatIntervalS * 1000,
    publish(topic, text) {
      counters.framesPublished++;
      listener.publish(topic, text);
      sockets.published(topic, text);
    },
    watch: (ticker) => (ownUpdates ?? hub).subscribe(ticker),
    unwatch: (ticker) => (ownUpdates ?? hub).unsubscribe(ticker),
    ...inTurns(() => ({
      latestPrice: (ticker) => (storage.history ?? storage.reader).latestPrice(ticker),
      updates: storage.reader.updates,
    })),
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
    quota: new SubscriptionQuota({
      subscriptions,
      subscriptionsMax: settings.wsSubscriptionsMax,
      perAddressMax: settings.wsSubscriptionsPerAddress,
      tickersMax: settings.wsTickersMax,
    }),
    counters,
    log,
  });

  await hub.connect();
  const storage = await options
    .openStorage(
      hub,
      {
        publish: (ticker, update) => subscriptions.accept(ticker, update),
        missed: (ticker) => void subscriptions.missed(ticker),
      },
      conditions,
    )
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
    symbolsMax: settings.wsSymbolsMax,
    log,
  });
  const spool = new AnswerSpool({
    board: options.memory,
    bytesMax: settings.spoolMb * MIB,
    workers: settings.workers,
    warn: (message) => log.warning(message),
  });
  const turns = new SqlTurns({
    board: options.memory,
    max: sqlStatementsMax(settings),
    cpus: usableCpus(),
    timeoutMs: settings.sqlTimeoutS * 1000,
  });
  const memory = new MemoryWatch({
    board: options.memory,
    bytesMax: settings.memoryMb * MIB,
    conditions,
    log,
    parts: () => [
      ...(storage.memory?.() ?? []),
      { what: "bodies of requests", bytes: bodies.bytes },
      { what: "large answers", bytes: wholeAnswers.bytes },
      { what: "saves under way", bytes: hub.saveBytesInFlight },
      { what: "updates that wait for WebSockets", bytes: sockets.waitingBytes },
    ],
    shrink: () => storage.shrink?.(),
  });
  const runSql = (request: SqlRequest): Promise<SqlAnswer> =>
    turns.run(request, (turned) => {
      memory.admit("execute_sql");
      return storage.executeSql(turned);
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
        async removeCheck(ticker) {
          await storage.removeCheck(ticker);
          subscriptions.forget(ticker);
          hub.tellRemoved(ticker);
        },
        executeSql(request) {
          counters.sqlRuns++;
          return runSql(request).catch((error) => {
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
      pool: async () => ({
        ...(await reader.pool()),
        sql: { ...storage.sqlFigures(), statements: turns.figures() },
        spool: spool.figures(),
        memory: memory.figures(),
      }),
      bus: () => hub.busFigures(),
      sizeBytes: () => reader.sizeBytes(),
      redactedDbFile: dbFile,
      dbType,
      workerId: workerId ?? 0,
      query: (sql, timeoutMs) => queryRows(runSql, sql, timeoutMs),
      counters: () => ({
        ...snapshot(counters),
        subscriptions: subscriptions.size,
        tickersWatched: subscriptions.channels,
      }),
    },
    counters,
    log,
    accessLog: createAccessLogger(settings.accessLog, log),
    maxBodyBytes,
    spool,
    wholeAnswers,
    memory,
    sqlOutlastsIdleLimit: settings.sqlTimeoutS + IDLE_TIMEOUT_SLACK_S > IDLE_TIMEOUT_MAX_S,
    isDraining: () => draining,
    descriptors: {
      isShort: () => descriptors?.isShort ?? false,
      hasNoneForSocket: () => descriptors?.hasNoneForSocket() ?? false,
    },
    bodies,
  });
  if (settings.bus !== null) void joinBus();
  const webSockets = withReplays(sockets.handler(), replays);
  const listen = () =>
    Bun.serve<SocketData | ReplaySocketData>({
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
      websocket: webSockets,
      error: (error) => {
        log.error(`Request failed outside of its handler: ${error.message}`);
        return new Response('{"error":"An internal server error occurred."}', {
          status: 500,
          headers: { "Content-Type": "application/json; charset=utf-8" },
        });
      },
    });
  listener = new Listener(listen);
  descriptors = new DescriptorGuard({ accepting: listener, conditions, log });

  async function drain(timeoutMs: number): Promise<void> {
    if (draining) return;
    draining = true;
    const deadline = performance.now() + Math.max(timeoutMs / 2, timeoutMs - DRAIN_MARGIN_MS);
    const left = (): number => Math.max(0, deadline - performance.now());
    await Bun.sleep(Math.min(DRAIN_NOTICE_MS, timeoutMs));
    descriptors?.stop();
    const stopped = listener.stop();
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
      log.warning(`Drained as far as possible; closing ${listener.pendingRequests} requests unanswered`);
      await listener.stop(true);
    }
    if (hadSockets) await Bun.sleep(LINGER_MS);
    memory.stop();
    await storage.close();
    hub.close();
  }

  /**
   * A hub that was restarted has opened what is there now: who goes on reading another database
   * than it writes must not serve.
   */
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
      if (bodies.waiting === 0 || bodies.waiting < listener.pendingRequests) sinceMs = performance.now();
    }
  }

  return {
    port: listener.port,
    closeSomeSockets: () => sockets.closeSome(),
    drain,
    async invitation() {
      try {
        return invite(await reader.holdings(TICKERS_NAMED_MAX), settings.host, listener.port);
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
