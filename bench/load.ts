/** The benchmark's half of a load process. */
import { join } from "node:path";
import type {
  FromLoad,
  HttpPlan,
  HttpResult,
  LoadPlan,
  ReadersPlan,
  ReadersResult,
  SavesPlan,
  SavesResult,
  ToLoad,
  WsPlan,
  WsResult,
} from "./load-plan.ts";
import { spawnOwn, stopChild } from "./processes.ts";

export interface RunningLoad<Result> {
  /** Resolves when warm-up is over. */
  measuring: Promise<void>;
  result: Promise<Result>;
  /** Ends the measurement early. */
  stop(): void;
}

/** Connecting, draining and starting a process, on a busy machine. */
const SLACK_MS = 45_000;

export function startHttpLoad(plan: HttpPlan): RunningLoad<HttpResult> {
  return startLoad<HttpResult>("load-http.ts", plan, plan.warmupMs + plan.measureMs + SLACK_MS);
}

export function startWsLoad(plan: WsPlan): RunningLoad<WsResult> {
  return startLoad<WsResult>("load-ws.ts", plan, plan.rateMs + plan.pacedMs + SLACK_MS);
}

/**
 * Its `measuring` says that every subscriber is there; `stop` asks for the result.
 *
 * @param ms of the saves meanwhile.
 */
export function startReaders(plan: ReadersPlan, ms: number): RunningLoad<ReadersResult> {
  return startLoad<ReadersResult>("load-readers.ts", plan, ms + SLACK_MS);
}

export function startSaves(plan: SavesPlan): RunningLoad<SavesResult> {
  return startLoad<SavesResult>("load-saves.ts", plan, plan.ms + SLACK_MS);
}

/** @returns A load whose `result` rejects if the process fails, ends, or outlives `timeoutMs`. */
function startLoad<Result>(file: string, plan: LoadPlan, timeoutMs: number): RunningLoad<Result> {
  const measuring = Promise.withResolvers<void>();
  const result = Promise.withResolvers<Result>();
  const child = spawnOwn({
    file: join(import.meta.dir, file),
    ipc: (raw) => {
      const message = raw as FromLoad;
      if (message.type === "listening") child.send({ type: "plan", plan } satisfies ToLoad);
      else if (message.type === "measuring") measuring.resolve();
      else if (message.type === "result") result.resolve(message.result as Result);
      else result.reject(new Error(`${file}: ${message.reason}`));
    },
  });
  const timer = setTimeout(() => result.reject(new Error(`${file}: no result in time`)), timeoutMs);
  child.exited.then((code) => result.reject(new Error(`${file}: ended with ${code} before its result`)));
  const finished = result.promise.finally(() => {
    clearTimeout(timer);
    void stopChild(child);
  });
  // Who waits for `measuring` must not wait for ever when the load has failed; who doesn't must not
  // see a rejection.
  finished.catch((error: unknown) => measuring.reject(error));
  measuring.promise.catch(() => measuring);
  return {
    measuring: measuring.promise,
    result: finished,
    stop: () => child.send({ type: "stop" } satisfies ToLoad),
  };
}
