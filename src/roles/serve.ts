/** `serve`: the supervisor with its children, or all in this one process. */

import { hostname } from "node:os";
import { redact } from "../config/database-url.ts";
import type { Settings } from "../config/settings.ts";
import { BOARD_FILE } from "../hub/messages.ts";
import { VersionBoard } from "../hub/version-board.ts";
import { createLogger, type Logger } from "../observe/log.ts";
import { CHILD_BRIEF_ENV, type ChildBrief } from "../protocol/control.ts";
import { messageOf } from "../protocol/message-of.ts";
import { type PortLock, portLock } from "../supervisor/port-lock.ts";
import { createRuntimeDir, type RuntimeDir } from "../supervisor/runtime-dir.ts";
import { onPoolSignals, onStopSignals } from "../supervisor/signals.ts";
import { runSupervisor } from "../supervisor/supervisor.ts";
import { createNotifier } from "../supervisor/systemd.ts";
import { shownHost } from "../worker/invitation.ts";
import { startWorker, type Worker } from "../worker/worker.ts";
import { readBrief, runChild } from "./child-control.ts";
import { databaseType, openWorkerStorage } from "./engine.ts";
import { runHub } from "./hub-role.ts";
import { startHubThread } from "./hub-thread-owner.ts";
import { startTestFeed } from "./test-feed.ts";

const MAIN = `${import.meta.dir}/../main.ts`;
const EXIT_START_FAILED = 1;
const EXIT_AT_ONCE = 130;
/** For requests under way when the database is lost: few of them can still be answered. */
const DRAIN_WITHOUT_DATABASE_MS = 2_000;

/** @param warnings of the command line, for the log. @returns the exit code. */
export async function serve(settings: Settings, warnings: string[]): Promise<number> {
  const log = createLogger({ level: settings.logLevel, worker: null, file: settings.logFile });
  for (const warning of warnings) log.warning(warning);
  announce(settings, log);
  try {
    checkBus(settings);
    return settings.workers > 1
      ? await runSupervisor({
          settings,
          mainPath: MAIN,
          log,
          whileServing: (port) => startFeed({ ...settings, port }, log),
        })
      : await serveInOneProcess(settings, log);
  } catch (error) {
    log.critical(`Cannot start: ${messageOf(error)}`);
    return EXIT_START_FAILED;
  } finally {
    await log.close();
  }
}

export async function serveAsWorker(): Promise<void> {
  const brief = readBrief();
  const { settings, workerId } = brief;
  const log = createLogger({ level: settings.logLevel, worker: workerId, file: settings.logFile });
  failOnSurprise(log);
  await runChild(
    async () => {
      const worker = await bootWorker(brief, workerId, log);
      log.info(`Worker ${workerId}: Server starting on http://${shownHost(settings.host)}:${worker.port}`);
      if (brief.greet) for (const line of await worker.invitation()) log.info(line);
      return async (timeoutMs) => {
        log.info(`Worker ${workerId}: draining`);
        await worker.drain(timeoutMs);
        log.info(`Worker ${workerId}: Server has been shut down.`);
      };
    },
    { defaultTimeoutMs: settings.workerRestartTimeoutS * 1000, onStopped: () => log.close() },
  );
}

export async function serveAsHub(): Promise<void> {
  const brief = readBrief();
  const { settings } = brief;
  const log = createLogger({ level: settings.logLevel, worker: null, file: settings.logFile });
  failOnSurprise(log);
  await runChild(
    async () => {
      const hub = await runHub(brief, log, (reason) => {
        log.critical(`The database's writer failed: ${reason}`);
        log.flushSync();
        process.exit(EXIT_START_FAILED);
      });
      return () => hub.stop();
    },
    { defaultTimeoutMs: settings.workerRestartTimeoutS * 1000, onStopped: () => log.close() },
  );
}

async function serveInOneProcess(settings: Settings, log: Logger): Promise<number> {
  failOnSurprise(log);
  const notifier = createNotifier(process.env, (message) => log.warning(message));
  const stopped = Promise.withResolvers<number>();
  let stopping = false;
  let drainMs = settings.workerRestartTimeoutS * 1000;
  let runtime: RuntimeDir | null = null;
  const stop = onStopSignals({
    stop(signal) {
      stopping = true;
      log.info(`Received ${signal}; stopping`);
      stopped.resolve(0);
    },
    stopNow() {
      runtime?.remove();
      process.exit(EXIT_AT_ONCE);
    },
  });
  const explain = (signal: string) => () =>
    log.warning(
      `${signal} needs worker processes: there is one process here; start with --workers 2 or more`,
    );
  const pool = onPoolSignals({
    reload: explain("SIGHUP"),
    more: explain("SIGTTIN"),
    fewer: explain("SIGTTOU"),
  });

  let lock: PortLock | null = null;
  let worker: Worker | null = null;
  let hub: Awaited<ReturnType<typeof startHubThread>> | null = null;
  try {
    lock = await portLock(settings.host, settings.port);
    runtime = await createRuntimeDir();
    const brief: ChildBrief = {
      role: "hub",
      workerId: 0,
      settings: { ...settings, port: lock.port },
      runtimeDir: runtime.path,
      greet: true,
    };
    hub = await startHubThread(brief, log);
    hub.failed.then((reason) => {
      if (stopping) return;
      log.critical(`The database's writer failed: ${reason}`);
      drainMs = Math.min(drainMs, DRAIN_WITHOUT_DATABASE_MS);
      stopped.resolve(EXIT_START_FAILED);
    });
    worker = await bootWorker(brief, null, log);
    log.info(`Server starting on http://${shownHost(settings.host)}:${worker.port}`);
    for (const line of await worker.invitation()) log.info(line);
    notifier.ready(`Serving on port ${worker.port}`);
    const watchdog =
      notifier.watchdogIntervalMs === null
        ? null
        : setInterval(() => notifier.watchdog(), notifier.watchdogIntervalMs);
    const endFeed = startFeed({ ...settings, port: worker.port }, log);
    const code = await stopped.promise;
    endFeed();
    if (watchdog !== null) clearInterval(watchdog);
    notifier.stopping();
    return code;
  } finally {
    await worker?.drain(drainMs);
    await hub?.stop();
    runtime?.remove();
    lock?.release();
    stop();
    pool();
    if (worker !== null) log.info("Server has been shut down.");
  }
}

async function bootWorker(brief: ChildBrief, workerId: number | null, log: Logger): Promise<Worker> {
  const { settings, runtimeDir } = brief;
  const board = new VersionBoard(`${runtimeDir}/${BOARD_FILE}`);
  const runnerBrief: ChildBrief = { ...brief, role: "sql-runner", workerId: -1 };
  return startWorker({
    settings,
    runtimeDir,
    workerId,
    dbType: databaseType(settings),
    log,
    fail(reason) {
      log.critical(reason);
      log.flushSync();
      process.exit(EXIT_START_FAILED);
    },
    openStorage: (hub, updates) =>
      openWorkerStorage({
        settings,
        hub,
        board,
        updates,
        serverId: serverIdOf(runtimeDir),
        log,
        runner: {
          command: [process.execPath, "--no-orphans", MAIN, "sql-runner"],
          env: { ...process.env, [CHILD_BRIEF_ENV]: JSON.stringify(runnerBrief) },
        },
      }),
  });
}

/** @returns what ends it. */
function startFeed({ testFeed, host, port, sql, readOnly }: Settings, log: Logger): () => void {
  if (!testFeed) return () => {};
  if (!readOnly) return startTestFeed({ host, port, trims: sql === "raw", log });
  log.warning("Test feed: not started, as the server is read-only (--read-only)");
  return () => {};
}

/** The folder's name is random and this server's alone; hashed, because others get to see it. */
function serverIdOf(runtimeDir: string): string {
  return new Bun.CryptoHasher("sha256").update(`${hostname()} ${runtimeDir}`).digest("hex").slice(0, 16);
}

/** A bug that nothing caught: say so and end, so that the supervisor or systemd starts a sound process. */
function failOnSurprise(log: Logger): void {
  const fail = (error: unknown): void => {
    log.critical(`Unexpected: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    log.flushSync();
    process.exit(EXIT_START_FAILED);
  };
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
}

function announce(settings: Settings, log: Logger): void {
  log.info(`Database: ${redact(settings.dbFile)} (durability ${settings.durability})`);
  log.debug(`Body limit ${settings.maxBodyMb} MB, heartbeat every ${settings.heartbeatIntervalS} s`);
}

/** A database file has one server, so there is nobody to meet. @throws Error */
function checkBus(settings: Settings): void {
  const engine = databaseType(settings);
  if (settings.bus === null || engine === "postgresql" || engine === "timescaledb") return;
  throw new Error(
    `--bus: ${redact(settings.bus)} is for servers that share a database, expected PostgreSQL in --db-file, got ${redact(settings.dbFile)}`,
  );
}
