/** Signals of the server's main process, supervisor or single process, as actions. */

/**
 * One Ctrl+C arrives up to three times: the terminal sends it to the whole process group, and npm
 * and the launcher pass it on. Only a later SIGINT, this long after the first stop signal, means
 * "at once".
 */
export const SAME_STOP_MS = 500;

export interface StopActions {
  stop(signal: NodeJS.Signals): void;
  /** A SIGINT after `stop`: wait for nothing. May be called again. */
  stopNow(): void;
}

export interface PoolActions {
  reload(): void;
  /** SIGTTIN: add a worker. */
  more(): void;
  /** SIGTTOU: remove a worker. */
  fewer(): void;
}

/** @returns a function that removes the handlers. */
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

/** @returns a function that removes the handlers. */
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
