/** A child process: its start, its messages and its end. */
import { constants } from "node:os";
import {
  BOOT_FAILURE_EXIT,
  CHILD_BRIEF_ENV,
  type ChildBrief,
  type ToChild,
  type ToSupervisor,
  WORK_POOL_THREADS,
} from "../protocol/control.ts";
import { messageOf } from "../protocol/message-of.ts";
import { checkInstalled, ownCommand } from "../protocol/own-command.ts";
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

export interface Child {
  /** "Hub" or "Worker 3". */
  readonly name: string;
  /** The name with the pid. */
  readonly label: string;
  readonly pid: number;
  /** Settles at `ready`, at the end, or at the time-out, which ends the child. Never rejects. */
  readonly boot: Promise<Boot>;
  /** Never rejects. */
  readonly ended: Promise<ChildEnd>;
  /** True from `ready` to the end. */
  isReady(): boolean;
  /** True if the last ping, if any, was answered. */
  hasAnswered(): boolean;
  ping(): void;
  /** @returns false if no message reaches the child any more. */
  drain(timeoutMs: number): boolean;
  kill(signal: NodeJS.Signals): void;
}

export interface ChildOptions {
  brief: ChildBrief;
  /** The module that the child runs, with its role as argument. */
  mainPath: string;
  env: Env;
}

/** @throws BootError The system refuses to create a process. */
export function startChild({ brief, mainPath, env }: ChildOptions): Child {
  const name = brief.role === "hub" ? "Hub" : `Worker ${brief.workerId}`;
  const boot = Promise.withResolvers<Boot>();
  const ended = Promise.withResolvers<ChildEnd>();
  let readyAtMs: number | null = null;
  let over = false;
  let bootFailure: string | null = null;
  let lastPing = 0;
  let lastPong = 0;

  // detached: Ctrl+C reaches only this process, which then ends its children in order.
  const child = spawn(name, mainPath, brief.role, {
    env: childEnv(env, brief),
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
    serialization: "json",
    ipc: (message) => onMessage(message as ToSupervisor),
    onExit: (_, code, signal) => onExit(code, signal),
  });
  const bootMsMax = brief.role === "hub" ? HUB_BOOT_MS_MAX : WORKER_BOOT_MS_MAX;
  let bootTimer = setTimeout(() => failBoot(`not ready within ${bootMsMax / 1_000} s`), bootMsMax);

  function onMessage(message: ToSupervisor): void {
    switch (message.type) {
      case "ready":
        clearTimeout(bootTimer);
        readyAtMs ??= performance.now();
        boot.resolve({ ok: true });
        return;
      case "pong":
        lastPong = message.id;
        return;
      case "boot-failed":
        bootFailure = message.reason;
        clearTimeout(bootTimer);
        bootTimer = setTimeout(() => failBoot(message.reason), BOOT_FAILED_EXIT_MS_MAX);
    }
  }

  function failBoot(reason: string): void {
    bootFailure = reason;
    child.kill("SIGKILL");
  }

  function onExit(code: number | null, signal: number | NodeJS.Signals | null): void {
    over = true;
    clearTimeout(bootTimer);
    const death = describeDeath(code, signal);
    const reason = bootFailure ?? `${death} before it was ready`;
    boot.resolve({ ok: false, reason });
    ended.resolve({
      how: readyAtMs === null ? `did not start: ${reason}` : death,
      clean: code === 0,
      livedMs: readyAtMs === null ? 0 : performance.now() - readyAtMs,
    });
  }

  function send(message: ToChild): boolean {
    if (over) return false;
    try {
      child.send(message);
      return true;
    } catch (error) {
      // The channel closes just before the exit is known. `ended` reports that.
      if (error instanceof Error && "code" in error && error.code === "ERR_IPC_CHANNEL_CLOSED") return false;
      throw error;
    }
  }

  return {
    name,
    label: `${name} (pid ${child.pid})`,
    pid: child.pid,
    boot: boot.promise,
    ended: ended.promise,
    isReady: () => readyAtMs !== null && !over,
    hasAnswered: () => lastPong === lastPing,
    ping: () => {
      lastPing += 1;
      send({ type: "ping", id: lastPing });
    },
    drain: (timeoutMs) => send({ type: "drain", timeoutMs }),
    kill: (signal) => child.kill(signal),
  };
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
