/**
 * `--workers 1`: one server process, which serves as a worker does and keeps a hub beside itself.
 */
import { version } from "../../package.json" with { type: "json" };
import type { Settings } from "../config/settings.ts";
import { MemoryBoard } from "../memory/memory-board.ts";
import { startMemoryEnder } from "../memory/memory-ender.ts";
import type { Logger } from "../observe/log.ts";
import { isOpenInHub } from "../storage/engine.ts";
import { describeDatabase } from "../storage/engines.ts";
import type { ChildBrief } from "../supervisor/control.ts";
import { portLock } from "../supervisor/port-lock.ts";
import { createRuntimeDir } from "../supervisor/runtime-dir.ts";
import { onPoolSignals, onStopSignals } from "../supervisor/signals.ts";
import { createNotifier } from "../supervisor/systemd.ts";
import { shownUrl } from "../worker/invitation.ts";
import type { Worker } from "../worker/worker.ts";
import { failOnSurprise } from "./fail-on-surprise.ts";
import { hubInThisProcess, hubProcess, type OwnHub } from "./own-hub.ts";

const EXIT_OK = 0;
const EXIT_AT_ONCE = 130;

export interface SingleProcessOptions {
  settings: Settings;
  log: Logger;
  /** Reads the settings again. Null: what was read is wrong, and nothing is to change. */
  reread(current: Settings): Settings | null;
  /** Is called when the server serves. What it returns is called when it is about to stop. */
  whileServing(port: number): () => void;
}

/** @returns the exit code. @throws Error with the reason why it can't start. */
export async function serveInOneProcess(options: SingleProcessOptions): Promise<number> {
  const { log } = options;
  failOnSurprise(log);
  const stopped = Promise.withResolvers<void>();
  let atOnce = (): void => {};
  let reload = (): void => log.warning("SIGHUP: the server still starts; nothing is changed");
  const unlisten = [
    onStopSignals({
      stop(signal) {
        log.info(`Received ${signal}; stopping`);
        stopped.resolve();
      },
      stopNow() {
        log.warning("SIGINT again: stopping at once");
        atOnce();
        log.flushSync();
        process.exit(EXIT_AT_ONCE);
      },
    }),
    onPoolSignals({ reload: () => reload(), more: explain("SIGTTIN"), fewer: explain("SIGTTOU") }),
  ];
  try {
    using cleanup = new DisposableStack();
    const lock = cleanup.adopt(await portLock(options.settings.host, options.settings.port), (taken) =>
      taken.release(),
    );
    const { host, redirectPort } = options.settings;
    if (redirectPort !== null) cleanup.adopt(await portLock(host, redirectPort), (taken) => taken.release());
    const runtime = cleanup.adopt(await createRuntimeDir(), (made) => made.remove());
    for (const reason of runtime.passedOver) log.warning(reason);
    const settings = { ...options.settings, port: lock.port };
    const brief: ChildBrief = {
      role: "hub",
      workerId: 0,
      settings,
      runtimeDir: runtime.path,
      version,
      greet: true,
    };
    const hub = hubFor({ settings, brief, log });
    atOnce = () => {
      hub.kill();
      runtime.remove();
    };
    return await serveBeside(hub, brief, {
      ...options,
      stopped: stopped.promise,
      onServing(takesOver) {
        reload = takesOver;
      },
    });
  } finally {
    for (const remove of unlisten) remove();
  }

  function explain(signal: string): () => void {
    return () =>
      log.warning(
        `${signal} needs worker processes: one process serves here; start with --workers 2 or more`,
      );
  }
}

function hubFor(options: { settings: Settings; brief: ChildBrief; log: Logger }): OwnHub {
  const { engine } = describeDatabase(options.settings.dbFile);
  return isOpenInHub(engine) ? hubProcess(options) : hubInThisProcess(options);
}

/** Without other workers to take their place, what can be taken over is so at once. */
function takeOver({ worker, hub, brief }: ServedParts, reread: SingleProcessOptions["reread"]): void {
  const settings = reread(brief.settings);
  if (settings === null) return;
  if (settings.logLevel !== brief.settings.logLevel) hub.logAt(settings.logLevel);
  brief.settings = settings;
  worker.takeOver(settings);
}

interface ServedParts {
  hub: OwnHub;
  brief: ChildBrief;
  worker: Worker;
}

/** @returns A function that ends the watch. */
function boundMemory(of: ServedParts & { log: Logger }): () => void {
  const { hub, brief, worker, log } = of;
  return startMemoryEnder({
    board: new MemoryBoard(brief.runtimeDir),
    bytesMax: brief.settings.memoryBytes,
    end(pid, what) {
      if (hub.replace(pid)) log.error(`${what}: it is ended`);
      if (pid !== process.pid) return;
      const { closed, address } = worker.closeSomeSockets();
      if (closed > 0) log.error(`${what}: ${closed} WebSockets of ${address} are closed`);
    },
  });
}

interface BesideOptions extends SingleProcessOptions {
  stopped: Promise<void>;
  /** @param reload reads the settings again. */
  onServing(reload: () => void): void;
}

async function serveBeside(
  hub: OwnHub,
  brief: ChildBrief,
  { log, whileServing, stopped, reread, onServing }: BesideOptions,
): Promise<number> {
  const { settings } = brief;
  const notifier = createNotifier(process.env, (message) => log.warning(message));
  let worker: Worker | null = null;
  try {
    // Loaded while the hub opens the database.
    const [isStarted, { bootWorker }] = await Promise.all([
      Promise.race([hub.start().then(() => true), stopped.then(() => false)]),
      import("./worker-process.ts"),
    ]);
    if (!isStarted) return EXIT_OK;
    worker = await bootWorker(brief, null, log);
    log.info(`Server starting on ${shownUrl({ ...settings, port: worker.port })}`);
    for (const line of await worker.invitation()) log.info(line);
    const serving: ServedParts = { hub, brief, worker };
    const status = `Serving on port ${worker.port}`;
    notifier.ready(status);
    const beat = (): void => {
      if (hub.isWell()) notifier.watchdog();
    };
    const watchdog =
      notifier.watchdogIntervalMs === null ? undefined : setInterval(beat, notifier.watchdogIntervalMs);
    const stopEnder = boundMemory({ ...serving, log });
    onServing(() => {
      notifier.reloading();
      takeOver(serving, reread);
      notifier.ready(status);
    });
    const end = whileServing(worker.port);
    await stopped;
    end();
    stopEnder();
    clearInterval(watchdog);
    notifier.stopping();
    return EXIT_OK;
  } finally {
    const deadlineMs = performance.now() + settings.workerRestartTimeoutMs;
    // The hub stops last: it commits what the worker has yet to answer.
    await worker?.drain(settings.workerRestartTimeoutMs);
    await hub.stop(deadlineMs);
    if (worker !== null) log.info("Server has been shut down.");
  }
}
