/**
 * The main process of `--workers N`, N ≥ 2. Starts the hub and then the workers, replaces dead
 * ones, replaces the workers one by one on SIGHUP, adds and removes workers. It has no client
 * socket and no database.
 *
 * Its state goes from starting, through serving once N workers are ready, to stopping. Signals that
 * arrive while starting wait for serving, except a stop. The workers end first and the hub, which
 * commits for them, last.
 */
import { version } from "../../package.json" with { type: "json" };
import type { Settings } from "../config/settings.ts";
import { describeHang, readAllowanceMs, readProgress } from "../hub/writer-note.ts";
import { MemoryBoard } from "../memory/memory-board.ts";
import { startMemoryEnder } from "../memory/memory-ender.ts";
import type { LogLines } from "../observe/log.ts";
import { shownUrl } from "../worker/invitation.ts";
import { BootError, Child } from "./child.ts";
import type { ChildBrief } from "./control.ts";
import { endChild, hubDrainMs } from "./end-child.ts";
import { type Liveness, watchLiveness } from "./liveness.ts";
import { PortTakenError, portLock } from "./port-lock.ts";
import { createRuntimeDir, RuntimeDirError } from "./runtime-dir.ts";
import { onPoolSignals, onStopSignals } from "./signals.ts";
import { Slot } from "./slot.ts";
import { createNotifier, type Env, type Notifier } from "./systemd.ts";

/** SIGTTIN adds no worker beyond this, unless `--workers` asks for more. */
const WORKERS_MAX = 128;
/** When a start fails, the workers that are ready have hardly any clients. */
const FAILED_START_DRAIN_MS = 1_000;

const EXIT_OK = 0;
const EXIT_START_FAILED = 1;
/** Shells report this for a process that SIGINT ended. */
const EXIT_STOPPED_AT_ONCE = 130;

export interface SupervisorOptions {
  settings: Settings;
  /** The module of a child, which gets its role as argument, its ChildBrief by environment. */
  mainPath: string;
  log: LogLines;
  /** Reads the settings again. Null: what was read is wrong, and nothing is to change. */
  reread?(current: Settings): Settings | null;
  env?: Env;
  /** Called when all workers serve. Returns a function to call before they stop. */
  whileServing?(port: number): () => void;
}

/** @returns the exit code, once the children, the port and the runtime folder are gone. */
export async function runSupervisor(options: SupervisorOptions): Promise<number> {
  const supervisor = new Supervisor(options);
  const unlisten = [onStopSignals(supervisor), onPoolSignals(supervisor)];
  try {
    return await supervisor.run();
  } catch (error) {
    if (!(error instanceof PortTakenError || error instanceof RuntimeDirError)) throw error;
    options.log.critical(error.message);
    return EXIT_START_FAILED;
  } finally {
    for (const remove of unlisten) remove();
  }
}

class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #log: LogLines;
  readonly #env: Env;
  readonly #notifier: Notifier;
  readonly #stopRequested = Promise.withResolvers<void>();
  readonly #killNow = new AbortController();
  #state: "starting" | "serving" | "stopping" = "starting";
  /** `port` is the real one once the port is locked. */
  #settings: Settings;
  #runtimeDir = "";
  #hub: Slot | null = null;
  readonly #workers = new Map<number, Slot>();
  /** Children that are ending, with the promise of their end. */
  readonly #leaving = new Map<Child, Promise<void>>();
  #drainMs: number;
  #liveness: Liveness | null = null;
  #rolling = false;
  /** SIGHUPs came while starting or rolling; several count as one. */
  #rollAgain = false;
  /** SIGTTINs less SIGTTOUs that came while starting. */
  #workersToAdd = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#env = options.env ?? process.env;
    this.#notifier = createNotifier(this.#env, (message) => this.#log.warning(message));
    this.#settings = options.settings;
    this.#drainMs = options.settings.workerRestartTimeoutMs;
  }

  async run(): Promise<number> {
    const { host, port, redirectPort } = this.#settings;
    using cleanup = new DisposableStack();
    const lock = cleanup.adopt(await portLock(host, port), (taken) => taken.release());
    if (redirectPort !== null) cleanup.adopt(await portLock(host, redirectPort), (taken) => taken.release());
    const dir = cleanup.adopt(await createRuntimeDir(this.#env), (made) => made.remove());
    for (const reason of dir.passedOver) this.#log.warning(reason);
    this.#settings = { ...this.#settings, port: lock.port };
    this.#runtimeDir = dir.path;
    if (this.#isStopping()) return EXIT_OK;
    try {
      await Promise.race([this.#start(), this.#stopRequested.promise]);
    } catch (error) {
      if (!(error instanceof BootError)) throw error;
      this.#log.critical(`Start failed: ${error.message}`);
      return await this.#abandonStart();
    }
    if (!this.#isStopping()) await this.#serve();
    await this.#endAll();
    this.#log.info("Stopped");
    return this.#killNow.signal.aborted ? EXIT_STOPPED_AT_ONCE : EXIT_OK;
  }

  stop(signal: NodeJS.Signals): void {
    this.#log.info(
      `${signal}: stopping; ${this.#workers.size} workers have ${this.#drainMs / 1_000} s to finish`,
    );
    this.#notifier.stopping();
    this.#state = "stopping";
    this.#stopRequested.resolve();
  }

  stopNow(): void {
    if (this.#killNow.signal.aborted) return;
    this.#log.warning("SIGINT again: stopping at once");
    this.#killNow.abort();
  }

  reload(): void {
    if (this.#isStopping()) return;
    this.#rollAgain = true;
    if (this.#rolling) this.#log.info("SIGHUP: one more rolling restart will follow");
    else if (this.#state === "serving") void this.#roll();
  }

  more(): void {
    if (this.#state === "starting") this.#workersToAdd += 1;
    else if (this.#state === "serving") void this.#addWorker();
  }

  fewer(): void {
    if (this.#state === "starting") this.#workersToAdd -= 1;
    else if (this.#state === "serving") this.#removeWorker();
  }

  /** @throws BootError A child did not start. */
  async #start(): Promise<void> {
    const { workers } = this.#settings;
    this.#log.info(`Starting ${workers} workers on ${this.#url()}`);
    this.#hub = this.#newSlot("hub", -1);
    await this.#hub.start();
    if (this.#isStopping()) return;
    for (let id = 0; id < workers; id++) this.#workers.set(id, this.#newSlot("worker", id));
    await Promise.all([...this.#workers.values()].map((slot) => slot.start()));
  }

  #newSlot(role: ChildBrief["role"], workerId: number): Slot {
    const of = { role, workerId, runtimeDir: this.#runtimeDir, version };
    const { mainPath } = this.#options;
    let greet = workerId === 0;
    return new Slot(() => {
      const brief = { ...of, settings: this.#settings, greet };
      const child = new Child({ brief, mainPath, env: this.#env });
      greet = false;
      return child;
    }, this.#log);
  }

  async #serve(): Promise<void> {
    this.#state = "serving";
    this.#log.info(this.#statusText());
    this.#notifier.ready(this.#statusText());
    this.#catchUpWithSignals();
    this.#liveness = watchLiveness({
      children: () => this.#servingChildren(),
      limitMs: this.#settings.livenessTimeoutMs,
      progressOf: (child) => (child === this.#hub?.serving ? readProgress(this.#runtimeDir) : 0),
      allowanceOf: (child) => (child === this.#hub?.serving ? readAllowanceMs(this.#runtimeDir) : 0),
      explain: (child) => (child === this.#hub?.serving ? describeHang(this.#runtimeDir) : null),
      log: this.#log,
    });
    const stopEnder = this.#watchMemory();
    const { watchdogIntervalMs } = this.#notifier;
    const watchdog = watchdogIntervalMs === null ? null : setInterval(() => this.#beat(), watchdogIntervalMs);
    const end = this.#options.whileServing?.(this.#settings.port);
    await this.#stopRequested.promise;
    end?.();
    stopEnder();
    if (watchdog !== null) clearInterval(watchdog);
  }

  #watchMemory(): () => void {
    const board = new MemoryBoard(this.#runtimeDir);
    board.join("supervisor", 0);
    return startMemoryEnder({
      board,
      bytesMax: this.#settings.memoryBytes,
      end: (pid, what) => {
        const child = this.#servingChildren().find((serving) => serving.pid === pid);
        if (child === undefined) return;
        this.#log.error(`${what}: it is ended`);
        child.kill("SIGKILL");
      },
    });
  }

  #catchUpWithSignals(): void {
    for (; this.#workersToAdd > 0; this.#workersToAdd--) void this.#addWorker();
    for (; this.#workersToAdd < 0; this.#workersToAdd++) this.#removeWorker();
    if (this.#rollAgain) void this.#roll();
  }

  /** Without this beat, systemd restarts the whole server: one well worker and the hub suffice. */
  #beat(): void {
    const isWell = (slot: Slot | null): boolean =>
      slot !== null && slot.serving !== null && this.#liveness?.isSilent(slot.serving) !== true;
    if ([...this.#workers.values()].some(isWell) && isWell(this.#hub)) this.#notifier.watchdog();
  }

  #servingChildren(): Child[] {
    return [this.#hub, ...this.#workers.values()].flatMap((slot) => slot?.serving ?? []);
  }

  async #addWorker(): Promise<void> {
    if (this.#workers.size >= Math.max(WORKERS_MAX, this.#settings.workers)) {
      this.#log.warning(`SIGTTIN: there are ${this.#workers.size} workers, no more are started`);
      return;
    }
    let id = 0;
    while (this.#workers.has(id)) id += 1;
    const slot = this.#newSlot("worker", id);
    this.#workers.set(id, slot);
    this.#log.info(`SIGTTIN: one worker more, ${this.#workers.size} now`);
    try {
      await slot.start();
    } catch (error) {
      if (!(error instanceof BootError)) throw error;
      if (this.#workers.get(id) !== slot || this.#isStopping()) return; // removed meanwhile
      this.#workers.delete(id);
      this.#log.error(`${error.message}; ${this.#workers.size} workers go on`);
    }
    this.#notifier.status(this.#statusText());
  }

  #removeWorker(): void {
    if (this.#workers.size <= 1) {
      this.#log.warning("SIGTTOU: the last worker stays");
      return;
    }
    const id = Math.max(...this.#workers.keys());
    const slot = this.#workers.get(id);
    this.#workers.delete(id);
    this.#log.info(`SIGTTOU: one worker fewer, ${this.#workers.size} now`);
    for (const child of slot?.retire() ?? []) void this.#end(child);
    this.#notifier.status(this.#statusText());
  }

  async #roll(): Promise<void> {
    this.#rolling = true;
    this.#notifier.reloading();
    while (this.#rollAgain && !this.#isStopping()) {
      this.#rollAgain = false;
      await this.#rollOnce();
    }
    this.#rolling = false;
    if (!this.#isStopping()) this.#notifier.ready(this.#statusText());
  }

  async #rollOnce(): Promise<void> {
    const before = this.#settings;
    const reread = this.#options.reread === undefined ? before : this.#options.reread(before);
    if (reread === null) return;
    this.#settings = reread;
    if (reread.logLevel !== before.logLevel) this.#hub?.serving?.logAt(reread.logLevel);
    this.#log.info(`Rolling restart of ${this.#workers.size} workers`);
    const replaced: number[] = [];
    const problem = await this.#replaceEach([...this.#workers.keys()], replaced);
    if (problem === null) {
      if (!this.#isStopping()) this.#log.info("Rolling restart done");
      return;
    }
    // The next ones would fail too, and the old workers can still serve.
    this.#log.error(`Rolling restart given up: ${problem}; the workers not yet replaced go on`);
    if (reread === before) return;
    this.#settings = before;
    this.#hub?.serving?.logAt(before.logLevel);
    this.#log.error("SIGHUP: nothing is taken over after all; all workers have the settings from before");
    const again = await this.#replaceEach(replaced, []);
    if (again !== null)
      this.#log.error(`Workers ${replaced.join(", ")} have the new settings still: ${again}`);
  }

  /**
   * @param replaced gets those that were.
   * @returns why one couldn't be, which ends it; null: all were.
   */
  async #replaceEach(ids: readonly number[], replaced: number[]): Promise<string | null> {
    for (const id of ids) {
      const slot = this.#workers.get(id);
      const isWanted = () => slot !== undefined && this.#workers.get(id) === slot && !this.#isStopping();
      if (slot === undefined || !isWanted()) continue;
      try {
        const old = await slot.replace();
        replaced.push(id);
        if (old !== null) await this.#end(old);
      } catch (error) {
        if (!(error instanceof BootError)) throw error;
        if (isWanted()) return error.message;
      }
    }
    return null;
  }

  async #abandonStart(): Promise<number> {
    this.#state = "stopping";
    this.#drainMs = Math.min(this.#drainMs, FAILED_START_DRAIN_MS);
    await this.#endAll();
    return EXIT_START_FAILED;
  }

  async #endAll(): Promise<void> {
    const deadlineMs = performance.now() + this.#drainMs;
    for (const slot of this.#workers.values()) for (const child of slot.retire()) void this.#end(child);
    await Promise.all(this.#leaving.values());
    // The hub's slot stayed filled and watched until now: draining workers had saves to finish.
    const hubs = this.#hub?.retire() ?? [];
    this.#liveness?.stop();
    await Promise.all(hubs.map((child) => this.#end(child, hubDrainMs(deadlineMs))));
  }

  #end(child: Child, drainMs = this.#drainMs): Promise<void> {
    const running = this.#leaving.get(child);
    if (running !== undefined) return running;
    const ending = endChild(child, {
      drainMs,
      killNow: this.#killNow.signal,
      log: this.#log,
    }).finally(() => this.#leaving.delete(child));
    this.#leaving.set(child, ending);
    return ending;
  }

  #statusText(): string {
    return `Serving on ${this.#url()} with ${this.#workers.size} workers`;
  }

  #url(): string {
    return shownUrl(this.#settings);
  }

  /** A method, as the type checker doesn't see changes behind an `await`. */
  #isStopping(): boolean {
    return this.#state === "stopping";
  }
}
