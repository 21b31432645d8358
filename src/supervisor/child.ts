/** A child process: its start, its messages and its end. */
import { constants } from "node:os";
import type { LogLevel } from "../config/settings.ts";
import { checkInstalled, ownCommand } from "../installation/own-command.ts";
import { messageOf } from "../protocol/message-of.ts";
import {
  BOOT_FAILURE_EXIT,
  CHILD_BRIEF_ENV,
  type ChildBrief,
  type ToChild,
  type ToSupervisor,
  WORK_POOL_THREADS,
} from "./control.ts";
import { type Env, NOTIFY_ENV } from "./systemd.ts";

/** A worker opens connections and a port. A slower one hangs. */
const WORKER_BOOT_MS_MAX = 60_000;
/** The hub may first upgrade a large database in one transaction. */
const HUB_BOOT_MS_MAX = 3_600_000;
/** After `boot-failed` a child only has to exit. */
const BOOT_FAILED_EXIT_MS_MAX = 1_000;

/** A child did not start. The message names the child and the reason. */
export class BootError extends Error {
  override readonly name = "BootError";
  readonly reason: string;

  /** @param what "did not start", after the name of the child. */
  constructor(child: string, what: string, reason: string, options?: ErrorOptions) {
    super(`${child} ${what}: ${reason}`, options);
    this.reason = reason;
  }
}

type Boot = { ok: true } | { ok: false; reason: string };

export interface ChildEnd {
  /** Completes "Worker 1 (pid 7) …": how it died, or why it never was ready. */
  how: string;
  /** Exit code 0. */
  clean: boolean;
  /** Since `ready`; 0 if that never came. */
  livedMs: number;
}

export interface ChildOptions {
  brief: ChildBrief;
  /** The module that the child runs, with its role as argument. */
  mainPath: string;
  env: Env;
}

export class Child {
  /** "Hub" or "Worker 3". */
  readonly name: string;
  /** The name with the pid, for the log. */
  readonly label: string;
  readonly pid: number;
  readonly #boot = Promise.withResolvers<Boot>();
  /** The first of `ready`, the end, or too long a wait, which ends the child. Never rejects. */
  readonly boot = this.#boot.promise;
  readonly #ended = Promise.withResolvers<ChildEnd>();
  /** Never rejects. */
  readonly ended = this.#ended.promise;
  readonly #process: Bun.Subprocess;
  #bootTimer: Timer;
  #bootFailure: string | null = null;
  #readyAtMs: number | null = null;
  #isOver = false;
  #lastPing = 0;
  #lastPong = 0;

  /** @throws BootError The system refuses to create a process. */
  constructor({ brief, mainPath, env }: ChildOptions) {
    this.name = brief.role === "hub" ? "Hub" : `Worker ${brief.workerId}`;
    // detached: Ctrl+C in a terminal reaches this process only, which ends its children in the
    // right order.
    this.#process = spawn(this.name, mainPath, brief.role, {
      env: childEnv(env, brief),
      stdio: ["ignore", "inherit", "inherit"],
      detached: true,
      serialization: "json",
      ipc: (message) => this.#hear(message as ToSupervisor),
      onExit: (_, code, signal) => this.#exited(code, signal),
    });
    this.pid = this.#process.pid;
    this.label = `${this.name} (pid ${this.pid})`;
    const bootMsMax = brief.role === "hub" ? HUB_BOOT_MS_MAX : WORKER_BOOT_MS_MAX;
    this.#bootTimer = this.#failBootIn(bootMsMax, `not ready within ${bootMsMax / 1_000} s`);
  }

  /** True from `ready` to the end. */
  isReady(): boolean {
    return this.#readyAtMs !== null && !this.#isOver;
  }

  /** True if the latest ping, if any, has been answered. */
  hasAnswered(): boolean {
    return this.#lastPong === this.#lastPing;
  }

  ping(): void {
    this.#lastPing += 1;
    this.#send({ type: "ping", id: this.#lastPing });
  }

  /** @returns False if the child can't be told any more. */
  drain(timeoutMs: number): boolean {
    return this.#send({ type: "drain", timeoutMs });
  }

  logAt(level: LogLevel): void {
    this.#send({ type: "log-level", level });
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  #hear(message: ToSupervisor): void {
    switch (message.type) {
      case "ready":
        clearTimeout(this.#bootTimer);
        this.#readyAtMs ??= performance.now();
        this.#boot.resolve({ ok: true });
        return;
      case "pong":
        this.#lastPong = message.id;
        return;
      case "boot-failed":
        this.#bootFailure = message.reason;
        clearTimeout(this.#bootTimer);
        this.#bootTimer = this.#failBootIn(BOOT_FAILED_EXIT_MS_MAX, message.reason);
    }
  }

  #failBootIn(ms: number, reason: string): Timer {
    return setTimeout(() => {
      this.#bootFailure = reason;
      this.kill("SIGKILL");
    }, ms);
  }

  #exited(code: number | null, signal: number | NodeJS.Signals | null): void {
    this.#isOver = true;
    clearTimeout(this.#bootTimer);
    const death = describeDeath(code, signal);
    const reason = this.#bootFailure ?? `${death} before it was ready`;
    const readyAtMs = this.#readyAtMs;
    this.#boot.resolve({ ok: false, reason });
    this.#ended.resolve({
      how: readyAtMs === null ? `did not start: ${reason}` : death,
      clean: code === 0,
      livedMs: readyAtMs === null ? 0 : performance.now() - readyAtMs,
    });
  }

  #send(message: ToChild): boolean {
    if (this.#isOver) return false;
    try {
      this.#process.send(message);
      return true;
    } catch (error) {
      // The channel closes just before the exit is known. `ended` reports that.
      if (error instanceof Error && "code" in error && error.code === "ERR_IPC_CHANNEL_CLOSED") return false;
      throw error;
    }
  }
}

type SpawnOptions = Bun.SpawnOptions.SpawnOptions<"ignore", "inherit", "inherit">;

function spawn(name: string, mainPath: string, role: string, options: SpawnOptions): Bun.Subprocess {
  const command = ownCommand(mainPath, role);
  try {
    checkInstalled(command);
    return Bun.spawn(command, options);
  } catch (error) {
    throw new BootError(name, "can't be created", messageOf(error), { cause: error });
  }
}

function childEnv(env: Env, brief: ChildBrief): Env {
  const own: Env = {
    UV_THREADPOOL_SIZE: WORK_POOL_THREADS,
    ...env,
    [CHILD_BRIEF_ENV]: JSON.stringify(brief),
  };
  for (const name of NOTIFY_ENV) delete own[name];
  return own;
}

function describeDeath(code: number | null, signal: number | NodeJS.Signals | null): string {
  if (signal !== null) {
    return `died of signal ${typeof signal === "number" ? signal : constants.signals[signal]}`;
  }
  return code === BOOT_FAILURE_EXIT ? `exited with code ${code} (boot failure)` : `exited with code ${code}`;
}
