/** The hub of `--workers 1`: see ARCHITECTURE.md "Processes". */
import type { LogLevel, Settings } from "../config/settings.ts";
import { describeHang, readAllowanceMs, readProgress } from "../hub/writer-note.ts";
import { MAIN } from "../installation/installed.ts";
import type { Logger } from "../observe/log.ts";
import { BootError, Child } from "../supervisor/child.ts";
import type { ChildBrief } from "../supervisor/control.ts";
import { endChild, hubDrainMs } from "../supervisor/end-child.ts";
import { watchLiveness } from "../supervisor/liveness.ts";
import { Slot } from "../supervisor/slot.ts";

export interface OwnHub {
  /** Resolves when the hub accepts connections. @throws Error The database can't be served. */
  start(): Promise<void>;
  /** Whether the hub runs and answers. */
  isWell(): boolean;
  /**
   * Resolves when everything accepted is committed and the hub is gone.
   *
   * @param deadlineMs When it is forced to end, on the clock of performance.now().
   */
  stop(deadlineMs: number): Promise<void>;
  /** Logs lines from this level on. */
  logAt(level: LogLevel): void;
  /** Kills the hub, and another takes its place. @returns False when the pid isn't the hub's. */
  replace(pid: number): boolean;
  /** Doesn't wait for anything. */
  kill(): void;
}

export interface OwnHubOptions {
  settings: Settings;
  brief: ChildBrief;
  log: Logger;
}

/**
 * The hub as a child process. When it hangs, it is killed and replaced while reads and WebSockets
 * go on.
 */
export function hubProcess({ settings, brief, log }: OwnHubOptions): OwnHub {
  const slot = new Slot(() => new Child({ brief, mainPath: MAIN, env: process.env }), log);
  const killNow = new AbortController();
  const liveness = watchLiveness({
    children: () => (slot.serving === null ? [] : [slot.serving]),
    limitMs: settings.livenessTimeoutMs,
    progressOf: () => readProgress(brief.runtimeDir),
    allowanceOf: () => readAllowanceMs(brief.runtimeDir),
    explain: () => describeHang(brief.runtimeDir),
    log,
  });
  return {
    async start() {
      try {
        await slot.start();
      } catch (error) {
        if (!(error instanceof BootError)) throw error;
        throw new Error(error.reason, { cause: error });
      }
    },
    isWell: () => slot.serving !== null && !liveness.isSilent(slot.serving),
    async stop(deadlineMs) {
      const drainMs = hubDrainMs(deadlineMs);
      const ends = slot.retire().map((child) => endChild(child, { drainMs, killNow: killNow.signal, log }));
      liveness.stop();
      await Promise.all(ends);
    },
    // A hub that takes its place gets it with the brief.
    logAt: (level) => slot.serving?.logAt(level),
    replace(pid) {
      const child = slot.serving;
      if (child?.pid !== pid) return false;
      child.kill("SIGKILL");
      return true;
    },
    kill() {
      killNow.abort();
      for (const child of slot.retire()) child.kill("SIGKILL");
    },
  };
}

/** The hub in this process: without a database of its own, nothing can make it hang. */
export function hubInThisProcess({ brief, log }: OwnHubOptions): OwnHub {
  let hub: { stop(): Promise<void> } | null = null;
  return {
    async start() {
      const { runHub } = await import("./hub-role.ts");
      hub = await runHub(brief, log, (reason) => {
        throw new Error(reason);
      });
    },
    isWell: () => hub !== null,
    stop: async () => await hub?.stop(),
    logAt() {},
    replace: () => false,
    kill() {},
  };
}
