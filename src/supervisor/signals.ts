/**
 * Signals of the server's main process, supervisor or single process, as the actions that they
 * stand for.
 */

/**
 * Ctrl+C reaches every process in the terminal's foreground group, and npm and the launcher pass it
 * on as well, so one key press arrives up to three times. Only a SIGINT later than this after the
 * first stop signal means "at once".
 */
export const SAME_STOP_MS = 500;

export interface StopActions {
  /** Called once. */
  stop(signal: NodeJS.Signals): void;
  /** A SIGINT after `stop`: don't wait for anything. May be called again. */
  stopNow(): void;
}

export interface PoolActions {
  /** SIGHUP */
  reload(): void;
  /** SIGTTIN: one worker more. */
  more(): void;
  /** SIGTTOU: one worker fewer. */
  fewer(): void;
}

/** @returns Removes the handlers. */
export function onStopSignals(actions: StopActions): () => void {
  let stoppedAtMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (stoppedAtMs === undefined) {
      stoppedAtMs = performance.now();
      actions.stop(signal);
    } else if (signal === "SIGINT" && performance.now() - stoppedAtMs > SAME_STOP_MS) {
      actions.stopNow();
    }
  };
  return listen({ SIGTERM: onSignal, SIGINT: onSignal });
}

/** @returns Removes the handlers. */
export function onPoolSignals(actions: PoolActions): () => void {
  return listen({
    SIGHUP: () => actions.reload(),
    SIGTTIN: () => actions.more(),
    SIGTTOU: () => actions.fewer(),
  });
}

type Handlers = Partial<Record<NodeJS.Signals, (signal: NodeJS.Signals) => void>>;

function listen(handlers: Handlers): () => void {
  const entries = Object.entries(handlers) as [NodeJS.Signals, (signal: NodeJS.Signals) => void][];
  for (const [signal, handler] of entries) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of entries) process.off(signal, handler);
  };
}
