/** The hub on a thread of this process: an fsync there doesn't hold up the readers here. */
import { type LogLines, logAt } from "../observe/log.ts";
import type { ChildBrief } from "../protocol/control.ts";
import type { FromHubThread, HubThreadBrief, ToHubThread } from "./hub-thread.ts";

export interface HubThread {
  /** Resolves with the reason when the thread ended unasked. */
  failed: Promise<string>;
  /** Resolves when everything accepted is committed and the database is closed. */
  stop(): Promise<void>;
}

/** @throws Error with the reason why the database can't be served. */
export async function startHubThread(brief: ChildBrief, log: LogLines): Promise<HubThread> {
  const thread = new Worker(new URL("./hub-thread.ts", import.meta.url).href);
  const ready = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<string>();
  const stopped = Promise.withResolvers<void>();
  thread.onmessage = ({ data }: MessageEvent<FromHubThread>) => {
    switch (data.type) {
      case "ready":
        return ready.resolve();
      case "failed":
        ready.reject(new Error(data.reason));
        return failed.resolve(data.reason);
      case "stopped":
        return stopped.resolve();
      case "log":
        return logAt(log, data.level, data.message);
    }
  };
  thread.onerror = (event) => {
    ready.reject(new Error(event.message));
    failed.resolve(event.message);
  };
  thread.addEventListener("close", () => {
    const reason = "its thread has ended";
    ready.reject(new Error(reason));
    failed.resolve(reason);
  });
  const first: HubThreadBrief = { type: "brief", brief };
  thread.postMessage(first);
  await ready.promise;
  return {
    failed: failed.promise,
    async stop() {
      const last: ToHubThread = { type: "stop" };
      thread.postMessage(last);
      await Promise.race([stopped.promise, failed.promise]);
    },
  };
}
