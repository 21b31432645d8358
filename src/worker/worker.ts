/**
 * One worker: boots, serves, drains, stops. The same code in a process of its own and in the one
 * process of `--workers 1`.
 */
import { dirname, join } from "node:path";
import type { Server } from "bun";
import { version } from "../../package.json" with { type: "json" };
import { Callers } from "../access/callers.ts";
import { KeyRates } from "../access/key-rates.ts";
import { KeyRing } from "../access/key-ring.ts";
import { TokenRing } from "../access/token-ring.ts";
import { readTokenRules } from "../access/token-rules.ts";
import { StreamDoor } from "../alpaca/stream-door.ts";
import { readLastBackup } from "../backup/last-backup.ts";
import { readCalendarRules } from "../calendar/calendar-rule.ts";
import { countedReads } from "../commands/counted-rows.ts";
import { usableCpus } from "../config/control-groups.ts";
import { bodyShares, sqlStatementsMax } from "../config/memory-shares.ts";
import { readOtlpTarget } from "../config/otlp-target.ts";
import { redact } from "../config/redact.ts";
import { isInFile } from "../config/setting-table.ts";
import type { Settings } from "../config/settings.ts";
import { AllConnections } from "../connections/all-connections.ts";
import { Arrivals } from "../connections/arrivals.ts";
import { OpenConnections } from "../connections/open-connections.ts";
import { openWorkerDoor } from "../connections/worker-door.ts";
import { feedSamples } from "../feeds/feed-samples.ts";
import { AnswerSpool } from "../http/answer-spool.ts";
import { Bodies } from "../http/bodies.ts";
import type { CallTraces } from "../http/call-traces.ts";
import { CallerContexts } from "../http/caller-contexts.ts";
import { AllowedOrigins } from "../http/cross-origin.ts";
import type { HealthOptions } from "../http/health.ts";
import { HostGuard } from "../http/host-guard.ts";
import { RequestsUnderWay } from "../http/requests-under-way.ts";
import { createRouter } from "../http/router.ts";
import type { AnySocketData } from "../http/router-options.ts";
import type { StatsOptions } from "../http/stats.ts";
import { TrustedProxies } from "../http/trusted-proxies.ts";
import { WholeAnswers } from "../http/whole-answers.ts";
import { HubClient } from "../hub/hub-client.ts";
import { LiveBars } from "../live-bars/live-bars.ts";
import type { MemoryBoard } from "../memory/memory-board.ts";
import { MemoryWatch } from "../memory/memory-watch.ts";
import { residentBytes } from "../memory/resident.ts";
import { bytesIn, type RequestDoor, Traffic } from "../metrics/traffic.ts";
import { WorkerMetrics } from "../metrics/worker-metrics.ts";
import { createAccessLogger } from "../observe/access-log.ts";
import { AuditLog } from "../observe/audit-log.ts";
import { type ConditionName, Conditions } from "../observe/conditions.ts";
import { createCounters, snapshot } from "../observe/counters.ts";
import type { Logger } from "../observe/log.ts";
import { RequestError } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { RetentionKeeper } from "../retention/keeper.ts";
import type { Roller } from "../rollups/roller.ts";
import type { SqlRequest } from "../sql/execute.ts";
import { SqlTurns } from "../sql/sql-turns.ts";
import { DatabaseGoneError } from "../storage/contract.ts";
import { freeBytesOf } from "../storage/disk-space.ts";
import type { UpdateSink, UpdateSource } from "../storage/engine.ts";
import type { Update } from "../storage/update-contract.ts";
import type { SqlAnswer } from "../storage/user-sql-contract.ts";
import { inTurns } from "../stream/read-turns.ts";
import { ALL_TICKERS } from "../stream/subscriber.ts";
import { Subscriptions } from "../stream/subscriptions.ts";
import { EventStreams } from "../websocket/event-streams.ts";
import { ReplaySockets } from "../websocket/replay-sockets.ts";
import { SocketPlaces } from "../websocket/socket-places.ts";
import { Sockets, unreadBytesMax } from "../websocket/sockets.ts";
import { SubscriptionQuota } from "../websocket/subscription-quota.ts";
import { UnnamedSockets } from "../websocket/unnamed-sockets.ts";
import { withReplays } from "../websocket/with-replays.ts";
import { AllTickers } from "./all-tickers.ts";
import { sampler } from "./collect-samples.ts";
import { commandContext } from "./command-context.ts";
import { DescriptorGuard } from "./descriptor-guard.ts";
import { FeedLooks } from "./feed-looks.ts";
import { invite } from "./invitation.ts";
import type { Listeners } from "./listener.ts";
import { IDLE_TIMEOUT_MAX_S, IDLE_TIMEOUT_SLACK_S, openListeners } from "./open-listeners.ts";
import { queryRows } from "./query-rows.ts";
import { SlowStatements } from "./slow-statements.ts";
import { startRetention } from "./start-retention.ts";
import { startRollups } from "./start-rollups.ts";
import { WorkerFeeds } from "./worker-feeds.ts";
import type { WorkerStorage } from "./worker-storage.ts";

/**
 * While draining, answers say `Connection: close` for this long before the listener stops, so that
 * keep-alive clients lose no request.
 */
const DRAIN_NOTICE_MS = 300;
/** In the runtime folder. */
const KEYS_SEEN_FILE = "keys-seen";
/** Limit for the wait for half-sent requests when nothing else is left. */
const HALF_SENT_MAX_MS = 3_000;
const DRAIN_POLL_MS = 50;
/** Part of the drain time that is left for closing the rest before the supervisor kills. */
const DRAIN_MARGIN_MS = 500;
/** Without this pause, the process would exit while Bun still holds bytes of closed WebSockets. */
const LINGER_MS = 200;
const BUS_RETRY_MS = 1_000;
/** For the last spans, also where the time is over. */
const TRACES_STOP_MS = 2_000;
const TRACES_STOP_MS_MIN = 200;

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
  /** Called once the hub is connected. */
  openStorage(hub: HubClient, updates: UpdateSink, conditions: Conditions): Promise<WorkerStorage>;
  dbType: string;
  memory: MemoryBoard;
  log: Logger;
  /** Ends the process, so that it is started anew. */
  fail(reason: string): void;
}

export interface Worker {
  port: number;
  /** What the database holds and what to try, in lines that work when pasted. */
  invitation(): Promise<string[]>;
  /** Frees memory at once: see Sockets. */
  closeSomeSockets(): { closed: number; address: string };
  /** Of changed settings it heeds those that can be taken over at once. */
  takeOver(settings: Settings): void;
  /** Answers what is in flight, closes WebSockets with 1001; resolves then, or after the time. */
  drain(timeoutMs: number): Promise<void>;
}

interface Serving {
  listener: Listeners<AnySocketData>;
  leave(): void;
  takeOver(settings: Settings): void;
  descriptors: DescriptorGuard;
  replays: ReplaySockets;
  memory: MemoryWatch;
  metrics: WorkerMetrics;
  /** Null: there is no other worker. */
  closeDoor: (() => void) | null;
}

interface WorkerRoute {
  answer: ReturnType<typeof createRouter>;
  acceptsHost(host: string | null): boolean;
}

interface RouteParts extends Pick<Serving, "replays" | "memory" | "metrics"> {
  requests: RequestsUnderWay;
  connections: AllConnections;
  wholeAnswers: WholeAnswers;
}

interface StatsParts extends Pick<Serving, "memory"> {
  runSql(request: SqlRequest): Promise<SqlAnswer>;
  turns: SqlTurns;
  spool: AnswerSpool;
}

/** @throws Error hub or port unavailable. */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const rules = readTokenRules(options.settings);
  const tokens = rules === null ? null : await TokenRing.open(rules, options.log);
  const worker = new RunningWorker(options, { tokens, traces: await openTraces(options) });
  await worker.boot();
  worker.serve();
  return worker;
}

/** @returns null: nothing is traced, and nothing of it is loaded. @throws Error */
async function openTraces({ settings, workerId, dbType, log }: WorkerOptions): Promise<CallTraces | null> {
  const target = readOtlpTarget(settings);
  if (target === null) return null;
  const { CallTraces } = await import("../http/call-traces.ts");
  const scheme = settings.tlsCert === null ? "http" : "https";
  return new CallTraces({ target, ratio: settings.otlpSample, workerId, version, dbType, scheme, log });
}

class RunningWorker implements Worker {
  readonly #options: WorkerOptions;
  readonly #counters = createCounters();
  readonly #traffic = new Traffic();
  readonly #conditions: Conditions;
  readonly #callers: Callers;
  readonly #rates: KeyRates;
  readonly #audit: AuditLog | null;
  readonly #traces: CallTraces | null;
  readonly #bodies: Bodies;
  readonly #turns: SqlTurns;
  readonly #hub: HubClient;
  readonly #allTickers = new AllTickers(() => this.#ownUpdates ?? this.#hub);
  readonly #subscriptions: Subscriptions;
  readonly #places: SocketPlaces;
  readonly #feeds: WorkerFeeds;
  readonly #liveBars: LiveBars;
  readonly #quota: SubscriptionQuota;
  readonly #sockets: Sockets;
  readonly #eventStreams: EventStreams;
  readonly #unnamedSockets: UnnamedSockets;
  /** Set by `boot`. */
  #storage: WorkerStorage | null = null;
  /** Set by `serve`. */
  #serving: Serving | null = null;
  #rollups: Roller | null = null;
  #retention: RetentionKeeper | null = null;
  #feedLooks: FeedLooks | null = null;
  #draining = false;

  constructor(
    options: WorkerOptions,
    { tokens, traces }: { tokens: TokenRing | null; traces: CallTraces | null },
  ) {
    this.#options = options;
    this.#traces = traces;
    this.#conditions = new Conditions(options.log);
    const { settings, log } = options;
    this.#audit = settings.auditLog === null ? null : new AuditLog(settings.auditLog, log);
    this.#callers = new Callers(this.#createKeyRing(), tokens);
    this.#rates = new KeyRates(options.runtimeDir);
    this.#turns = new SqlTurns({
      board: options.memory,
      max: sqlStatementsMax(settings),
      cpus: usableCpus(),
      timeoutMs: settings.sqlTimeoutMs,
    });
    this.#bodies = new Bodies(bodyShares(options.settings));
    this.#hub = this.#createHubClient();
    this.#feeds = new WorkerFeeds({
      staleAfterMs: settings.staleAfterMs,
      rules: readCalendarRules(settings.feedCalendars),
      hub: this.#hub,
      tellSubscribers: (notice) => this.#subscriptions.tellFeed(notice),
    });
    this.#subscriptions = this.#createSubscriptions();
    this.#places = new SocketPlaces({
      admit: (holder, max) => this.#hub.admit(holder, max),
      left: (holder) => this.#hub.left(holder),
      socketsPerAddressMax: options.settings.wsConnectionsPerAddress,
    });
    this.#liveBars = new LiveBars({
      subscriptions: this.#subscriptions,
      reads: () => {
        const { reader } = this.#database;
        return { reader, updates: reader.updates };
      },
      warn: (message) => options.log.warning(message),
    });
    this.#quota = this.#createQuota();
    this.#sockets = this.#createSockets();
    this.#eventStreams = this.#createEventStreams();
    this.#unnamedSockets = new UnnamedSockets({
      callers: this.#callers,
      rates: this.#rates,
      traffic: this.#traffic,
      places: this.#places,
      audit: this.#audit,
      log: options.log,
    });
  }

  get port(): number {
    return this.#serves.listener.port;
  }

  async boot(): Promise<void> {
    await this.#hub.connect();
    const updates: UpdateSink = {
      publish: (ticker, update) => this.#accept(ticker, update),
      missed: (ticker) => void this.#subscriptions.missed(ticker),
    };
    try {
      this.#storage = await this.#options.openStorage(this.#hub, updates, this.#conditions);
    } catch (error) {
      // The lost hub would otherwise be reported and reconnected.
      this.#hub.close();
      throw error;
    }
  }

  serve(): void {
    const { settings, log } = this.#options;
    const replays = new ReplaySockets({
      reader: this.#database.history,
      stillAdmits: this.#callers.stillAdmits,
      rates: this.#rates,
      traffic: this.#traffic,
      places: this.#places,
      heartbeatIntervalMs: settings.heartbeatIntervalMs,
      symbolsMax: settings.wsSymbolsMax,
      log,
    });
    const wholeAnswers = new WholeAnswers(bodyShares(settings).bytesMax);
    const memory = this.#watchMemory(wholeAnswers);
    const metrics = this.#createMetrics(replays);
    const requests = new RequestsUnderWay();
    const own = this.#ownConnections(replays, requests, metrics);
    const { runtimeDir, workerId, memory: board } = this.#options;
    const connections = new AllConnections({ own, folder: runtimeDir, board });
    const routeOf = this.#routes({ replays, wholeAnswers, memory, metrics, requests, connections });
    let route = routeOf(settings);
    const { listener, leave } = openListeners({
      ...{ settings, log, workerId },
      answer: (request, server) => route.answer(request, server),
      acceptsHost: (host) => route.acceptsHost(host),
      websocket: this.#unnamedSockets.handler(withReplays(this.#sockets.handler(), replays)),
    });
    const descriptors = new DescriptorGuard({ accepting: listener, conditions: this.#conditions, log });
    const takeOver = (changed: Settings): void => {
      route = routeOf(changed);
    };
    const closeDoor = workerId === null ? null : openWorkerDoor(runtimeDir, own);
    this.#serving = { listener, leave, takeOver, descriptors, replays, memory, metrics, closeDoor };
    this.#feedLooks = this.#lookForFeeds();
    if (settings.bus !== null) void this.#joinBus();
    this.#rollups = startRollups({
      settings,
      workerId: this.#options.workerId,
      storage: this.#database,
      log,
      listen: async (isOn) => {
        if (isOn) await this.#allTickers.subscribe("rollups");
        else this.#allTickers.unsubscribe("rollups");
      },
    });
    this.#retention = startRetention({
      ...{ settings, workerId, log },
      storage: this.#database,
      rollups: this.#rollups,
    });
  }

  async drain(timeoutMs: number): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    const { listener, leave, descriptors, replays } = this.#serves;
    const deadline = performance.now() + Math.max(timeoutMs / 2, timeoutMs - DRAIN_MARGIN_MS);
    const left = (): number => Math.max(0, deadline - performance.now());
    const rolledUp = Promise.all([this.#rollups?.stop(), this.#retention?.stop()]);
    await Bun.sleep(Math.min(DRAIN_NOTICE_MS, timeoutMs));
    descriptors.stop();
    leave();
    this.#callers.stop();
    const stopped = listener.stop();
    const hadSockets = this.#sockets.size + this.#eventStreams.size + replays.size > 0;
    replays.closeAll();
    this.#unnamedSockets.closeAll();
    this.#liveBars.stop();
    this.#subscriptions.stop();
    await Promise.all([this.#sockets.drain(left()), this.#eventStreams.drain(left())]);
    await this.#answerRest(stopped, left);
    if (hadSockets) await Bun.sleep(LINGER_MS);
    await rolledUp;
    await this.#traces?.stop(Math.min(TRACES_STOP_MS, Math.max(left(), TRACES_STOP_MS_MIN)));
    await this.#stop();
  }

  async invitation(): Promise<string[]> {
    try {
      // At once, where it is away: nobody waits for a greeting.
      await this.#database.reader.probe();
      const { host, tlsCert } = this.#options.settings;
      const needsKey = this.#callers.isEnforced;
      return await invite(this.#database.reader, { host, port: this.port, tlsCert, needsKey });
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      // A remote database may come later than this server.
      return [`The database doesn't answer yet: ${error.message}`];
    }
  }

  takeOver(settings: Settings): void {
    this.#serves.takeOver(settings);
  }

  closeSomeSockets(): { closed: number; address: string } {
    return this.#sockets.closeSome();
  }

  get #database(): WorkerStorage {
    if (this.#storage === null) throw new Error("the worker has no database yet");
    return this.#storage;
  }

  get #serves(): Serving {
    if (this.#serving === null) throw new Error("the worker doesn't serve yet");
    return this.#serving;
  }

  /** The engine's own source of updates, which needs no hub. */
  get #ownUpdates(): UpdateSource | null {
    return this.#storage?.updates ?? null;
  }

  #accept(ticker: string, update: Update): void {
    this.#subscriptions.accept(ticker, update);
    this.#rollups?.hear(ticker, update);
  }

  #createKeyRing(): KeyRing {
    const { settings, log, workerId, runtimeDir } = this.#options;
    return new KeyRing({
      path: settings.keys,
      mark: join(runtimeDir, KEYS_SEEN_FILE),
      log,
      onChanged: (added, gone) => {
        // Every worker sees it, and one tells it.
        if ((workerId ?? 0) === 0)
          this.#audit?.note({ what: "keys", who: "-", from: "-", outcome: "ok", added, gone });
      },
    });
  }

  #createHubClient(): HubClient {
    const { settings, runtimeDir, workerId, log } = this.#options;
    return new HubClient({
      runtimeDir,
      workerId: workerId ?? 0,
      log,
      livenessMs: settings.livenessTimeoutMs,
      conditions: this.#conditions,
      publish: (ticker, update) => this.#accept(ticker, update),
      note: (ticker, position) => {
        this.#subscriptions.note(ticker, position);
        this.#rollups?.note(ticker, position);
      },
      condition: (name, reason) => {
        if (reason !== null) this.#conditions.begin(name, reason);
        else this.#conditions.end(name, ENDED[name]);
      },
      removed: (ticker) => this.#subscriptions.forget(ticker),
      knownFeeds: () => this.#feeds.view.known(),
      feeds: (told) => this.#feeds.take(told),
      missed: () => {
        if (this.#ownUpdates === null) void this.#subscriptions.missed(ALL_TICKERS);
        this.#rollups?.missed();
        void this.#endIfDatabaseIsGone();
      },
      sockets: () => this.#places.counts,
    });
  }

  #createSubscriptions(): Subscriptions {
    const { settings, log } = this.#options;
    const websockets = this.#traffic.meter("websocket");
    return new Subscriptions({
      heartbeatIntervalMs: settings.heartbeatIntervalMs,
      publish: (topic, text, { listeners, rows }) => {
        this.#counters.framesPublished++;
        // Who listens to topics has no bound of its own, and is a WebSocket.
        websockets.sent(bytesIn(text) * listeners);
        websockets.sentRows(rows * listeners);
        this.#serves.listener.publish(topic, text);
        this.#sockets.published(topic, text);
      },
      watch: (ticker) =>
        ticker === ALL_TICKERS
          ? this.#allTickers.subscribe("clients")
          : (this.#ownUpdates ?? this.#hub).subscribe(ticker),
      unwatch: (ticker) =>
        ticker === ALL_TICKERS
          ? this.#allTickers.unsubscribe("clients")
          : (this.#ownUpdates ?? this.#hub).unsubscribe(ticker),
      ...inTurns(() => {
        const { reader, history } = this.#database;
        return {
          latestPrice: (ticker) => history.latestPrice(ticker),
          updates: reader.updates,
        };
      }),
      staleFeeds: this.#feeds.view,
      onGap: () => {
        this.#counters.lostGaps++;
      },
      warn: (message) => log.warning(message),
    });
  }

  #createQuota(): SubscriptionQuota {
    const { settings } = this.#options;
    return new SubscriptionQuota({
      subscriptions: this.#subscriptions,
      subscriptionsMax: settings.wsSubscriptionsMax,
      perAddressMax: settings.wsSubscriptionsPerAddress,
      tickersMax: settings.wsTickersMax,
    });
  }

  #createEventStreams(): EventStreams {
    const { settings, log } = this.#options;
    return new EventStreams({
      rates: this.#rates,
      traffic: this.#traffic,
      subscriptions: this.#subscriptions,
      liveBars: this.#liveBars,
      symbolsMax: settings.wsSymbolsMax,
      queueBytesMax: settings.wsQueueBytes,
      bytesMax: unreadBytesMax(settings.maxBodyBytes),
      stillAdmits: this.#callers.stillAdmits,
      places: this.#places,
      quota: this.#quota,
      counters: this.#counters,
      log,
    });
  }

  #createSockets(): Sockets {
    const { settings, log } = this.#options;
    return new Sockets({
      rates: this.#rates,
      traffic: this.#traffic,
      subscriptions: this.#subscriptions,
      liveBars: this.#liveBars,
      maxBodyBytes: settings.maxBodyBytes,
      symbolsMax: settings.wsSymbolsMax,
      queueBytesMax: settings.wsQueueBytes,
      stillAdmits: this.#callers.stillAdmits,
      audit: this.#audit,
      places: this.#places,
      quota: this.#quota,
      counters: this.#counters,
      log,
    });
  }

  #createStreams(): StreamDoor {
    const { settings } = this.#options;
    return new StreamDoor({
      rates: this.#rates,
      traffic: this.#traffic,
      subscriptions: this.#subscriptions,
      liveBars: this.#liveBars,
      sockets: this.#sockets,
      places: this.#places,
      quota: this.#quota,
      callers: this.#callers,
      audit: this.#audit,
      symbolsMax: settings.wsSymbolsMax,
      queueBytesMax: settings.wsQueueBytes,
      marketTimezone: settings.marketTimezone,
    });
  }

  #watchMemory(wholeAnswers: WholeAnswers): MemoryWatch {
    const { settings, memory, log } = this.#options;
    const storage = this.#database;
    return new MemoryWatch({
      board: memory,
      bytesMax: settings.memoryBytes,
      conditions: this.#conditions,
      log,
      parts: () => [
        ...storage.memory(),
        { what: "bodies of requests", bytes: this.#bodies.bytes },
        { what: "large answers", bytes: wholeAnswers.bytes },
        { what: "saves under way", bytes: this.#hub.saveBytesInFlight },
        { what: "updates that wait for WebSockets", bytes: this.#sockets.waitingBytes },
        { what: "updates that wait for streams of events", bytes: this.#eventStreams.waitingBytes },
      ],
      shrink: () => storage.shrink(),
    });
  }

  #createMetrics(replays: ReplaySockets): WorkerMetrics {
    const { settings, runtimeDir, workerId, dbType, memory, log } = this.#options;
    return new WorkerMetrics({
      folder: runtimeDir,
      isFirst: (workerId ?? 0) === 0,
      whole: (sees) => feedSamples(this.#feeds.view, sees),
      collect: sampler({
        info: { version, engine: dbType },
        startedMs: Date.now(),
        memoryBytesMax: settings.memoryBytes,
        counters: this.#counters,
        traffic: this.#traffic,
        sockets: this.#sockets,
        eventStreams: this.#eventStreams,
        replays,
        subscriptions: this.#subscriptions,
        liveBars: this.#liveBars,
        feeds: this.#feeds.view,
        bodies: this.#bodies,
        hub: this.#hub,
        listener: {
          pendingRequests: () => this.#serving?.listener.pendingRequests ?? 0,
        },
        conditions: this.#conditions,
        memory,
        storage: this.#database,
        turns: this.#turns,
        updateLogBytesMax: settings.updateLogBytes,
        traces: this.#traces,
        isFirst: (workerId ?? 0) === 0,
        file: isInFile(settings.dbFile) ? settings.dbFile : null,
      }),
      log,
    });
  }

  /** By one worker, where other servers save into the database too; else null. */
  #lookForFeeds(): FeedLooks | null {
    const { settings, workerId } = this.#options;
    const { rollups, history } = this.#database;
    if ((workerId ?? 0) !== 0 || settings.staleAfterMs === 0 || rollups?.isShared === false) return null;
    return new FeedLooks({
      view: this.#feeds.view,
      staleAfterMs: settings.staleAfterMs,
      reader: history,
      isOpen: (ticker) => this.#feeds.sessionOf(ticker).isOpen,
      found: (feed, stamp) => this.#feeds.noteLook(feed, stamp),
    });
  }

  #ownConnections(
    replays: ReplaySockets,
    requests: RequestsUnderWay,
    metrics: WorkerMetrics,
  ): OpenConnections {
    return new OpenConnections({
      worker: this.#options.workerId ?? 0,
      sources: [this.#sockets, this.#eventStreams, replays, requests],
      figures: () => ({
        resident_bytes: residentBytes(process.pid),
        event_loop_delay_s: Math.round(metrics.eventLoopDelayS * 10_000) / 10_000,
      }),
    });
  }

  /** @returns what makes the route of settings that can be taken over at once. */
  #routes({
    replays,
    wholeAnswers,
    memory,
    metrics,
    ...parts
  }: RouteParts): (settings: Settings) => WorkerRoute {
    const { settings, log, memory: board } = this.#options;
    const spool = new AnswerSpool({
      board,
      bytesMax: settings.spoolBytes,
      workers: settings.workers,
      warn: (message) => log.warning(message),
    });
    const turns = this.#turns;
    const inTurn = (request: SqlRequest): Promise<SqlAnswer> =>
      turns.run(request, (turned) => {
        memory.admit("execute_sql");
        return this.#database.executeSql(turned);
      });
    const fixed = {
      callers: this.#callers,
      rates: this.#rates,
      sockets: this.#sockets,
      eventStreams: this.#eventStreams,
      unnamedSockets: this.#unnamedSockets,
      replays,
      alpacaStreams: this.#createStreams(),
      arrivals: new Arrivals(),
      ...parts,
      health: this.#health(),
      stats: this.#stats({ runSql: inTurn, turns, spool, memory }),
      counters: this.#counters,
      traffic: this.#traffic,
      feeds: this.#feeds,
      metrics,
      audit: this.#audit,
      traces: this.#traces,
      log,
      maxBodyBytes: settings.maxBodyBytes,
      spool,
      wholeAnswers,
      memory,
      sqlOutlastsIdleLimit: settings.sqlTimeoutMs / 1_000 + IDLE_TIMEOUT_SLACK_S > IDLE_TIMEOUT_MAX_S,
      isDraining: () => this.#draining,
      isFormer: (server: Server<AnySocketData>) => this.#serving?.listener.isFormer(server) ?? false,
      isUnix: (server: Server<AnySocketData>) => this.#serving?.listener.isUnix(server) ?? false,
      descriptors: {
        isShort: () => this.#serving?.descriptors.isShort ?? false,
        hasNoneForSocket: () => this.#serving?.descriptors.hasNoneForSocket() ?? false,
      },
      bodies: this.#bodies,
    };
    return (now) => {
      const changing = this.#changingParts(now, inTurn);
      const answer = createRouter({ ...fixed, ...changing });
      return { answer, acceptsHost: (host) => changing.guard.acceptsHost(host) };
    };
  }

  /** What a router has of settings that are taken over at once. */
  #changingParts(settings: Settings, run: StatsParts["runSql"]) {
    const { log } = this.#options;
    const { slowRequestMs: limitMs } = settings;
    const slow = new SlowStatements({ limitMs, plan: this.#database.plan, run, log });
    const origins = new AllowedOrigins(settings.allowOrigins);
    const context = commandContext({
      settings,
      storage: this.#database,
      hub: this.#hub,
      subscriptions: this.#subscriptions,
      counters: this.#counters,
      feeds: this.#feeds,
      runSql: (request) => slow.run(request),
      log,
    });
    const contextsOf = (door: RequestDoor): CallerContexts => {
      const meter = this.#traffic.meter(door);
      const counted = countedReads(context, (rows) => meter.sentRows(rows));
      return new CallerContexts(counted, { audit: this.#audit, rates: this.#rates });
    };
    return {
      contexts: { http: contextsOf("http"), alpaca: contextsOf("alpaca") },
      guard: new HostGuard(settings.allowHosts, origins),
      origins,
      proxies: new TrustedProxies(settings.trustProxies),
      slowRequestMs: settings.slowRequestMs,
      accessLog: createAccessLogger(settings.accessLog, log),
    };
  }

  #health(): HealthOptions {
    const { settings, dbType, workerId } = this.#options;
    const folder = folderOf(settings);
    return {
      reader: this.#database.reader,
      dbFile: redact(settings.dbFile),
      dbType,
      workerId,
      hubLagMs: () => this.#hub.lagMs,
      freeBytes: () => (folder === null ? null : freeBytesOf(folder)),
      isHubConnected: () => this.#ownUpdates !== null || this.#hub.connected,
      conditions: this.#conditions,
      isDraining: () => this.#draining,
      lastBackup: () => readLastBackup(settings.dbFile),
    };
  }

  #stats({ runSql, turns, spool, memory }: StatsParts): StatsOptions {
    const { settings, dbType, workerId } = this.#options;
    const storage = this.#database;
    return {
      pool: async () => ({
        ...(await storage.reader.pool()),
        ...(storage.replicas() === null ? {} : { read_replicas: storage.replicas() }),
        sql: { ...storage.sqlFigures(), statements: turns.figures() },
        spool: spool.figures(),
        memory: memory.figures(),
      }),
      bus: () => this.#hub.busFigures(),
      sizeBytes: () => storage.reader.sizeBytes(),
      redactedDbFile: redact(settings.dbFile),
      dbType,
      workerId: workerId ?? 0,
      query: (sql, timeoutMs) => queryRows(runSql, sql, timeoutMs),
      counters: () => ({
        ...snapshot(this.#counters),
        subscriptions: this.#subscriptions.size,
        tickersWatched: this.#subscriptions.channels,
        liveBars: this.#liveBars.size,
      }),
    };
  }

  /** After its restart the hub may have another file: a worker that reads the old one must end. */
  async #endIfDatabaseIsGone(): Promise<void> {
    try {
      await this.#storage?.reader.probe();
    } catch (error) {
      if (error instanceof DatabaseGoneError) this.#options.fail(error.message);
    }
  }

  /** Retries while the database is unavailable. */
  async #joinBus(): Promise<void> {
    while (!this.#draining) {
      try {
        this.#hub.joinBus(await this.#subscriptions.epoch());
        return;
      } catch (error) {
        this.#options.log.warning(`The bus waits for the database: ${messageOf(error)}`);
        await Bun.sleep(BUS_RETRY_MS);
      }
    }
  }

  /** Closes what isn't answered in time. */
  async #answerRest(stopped: Promise<void>, left: () => number): Promise<void> {
    const { listener } = this.#serves;
    const race = { over: false };
    const inTime = await Promise.race([
      stopped.then(() => true),
      Bun.sleep(left()).then(() => false),
      this.#onlyHalfSent(race).then(() => false),
    ]);
    race.over = true;
    if (inTime) return;
    const { log } = this.#options;
    log.warning(`Drained as far as possible; closing ${listener.pendingRequests} requests unanswered`);
    await listener.stop(true);
  }

  /** Resolves when only requests are left whose clients have stopped sending. */
  async #onlyHalfSent(race: { over: boolean }): Promise<void> {
    const { listener } = this.#serves;
    let sinceMs = performance.now();
    while (!race.over && performance.now() - sinceMs < HALF_SENT_MAX_MS) {
      await Bun.sleep(DRAIN_POLL_MS);
      if (this.#bodies.waiting === 0 || this.#bodies.waiting < listener.pendingRequests)
        sinceMs = performance.now();
    }
  }

  async #stop(): Promise<void> {
    this.#serves.memory.stop();
    this.#feedLooks?.stop();
    this.#feeds.stop();
    this.#serves.closeDoor?.();
    await this.#serves.metrics.stop();
    await this.#database.close();
    this.#hub.close();
    await this.#audit?.close();
  }
}

/** Of the database's file; null: it has none. */
function folderOf({ dbFile }: Settings): string | null {
  return isInFile(dbFile) ? dirname(dbFile) : null;
}
