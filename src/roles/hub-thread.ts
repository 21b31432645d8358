/** Entry of the hub's thread; its log lines go to the one log of the process. */
import type { LogLevel } from "../config/settings.ts";
import type { Hub } from "../hub/hub.ts";
import type { LogLines } from "../observe/log.ts";
import type { ChildBrief } from "../protocol/control.ts";
import { messageOf } from "../protocol/message-of.ts";
import { runHub } from "./hub-role.ts";

declare const self: Worker;

export type HubThreadBrief = { type: "brief"; brief: ChildBrief };
export type ToHubThread = HubThreadBrief | { type: "stop" };
export type FromHubThread =
  | { type: "ready" }
  | { type: "failed"; reason: string }
  | { type: "stopped" }
  | { type: "log"; level: LogLevel; message: string };

let hub: Hub | null = null;

self.onmessage = ({ data }: MessageEvent<ToHubThread>) => {
  if (data.type === "brief") {
    runHub(data.brief, threadLog(), (reason) => tell({ type: "failed", reason })).then(
      (started) => {
        hub = started;
        tell({ type: "ready" });
      },
      (error: unknown) => tell({ type: "failed", reason: messageOf(error) }),
    );
    return;
  }
  void Promise.resolve(hub?.stop()).then(() => tell({ type: "stopped" }));
};

function tell(message: FromHubThread): void {
  self.postMessage(message);
}

function threadLog(): LogLines {
  const at = (level: LogLevel) => (message: string) => tell({ type: "log", level, message });
  return {
    debug: at("DEBUG"),
    info: at("INFO"),
    warning: at("WARNING"),
    error: at("ERROR"),
    critical: at("CRITICAL"),
  };
}
