/** The child's side of the supervisor's IPC channel, see supervisor/control.ts. */
import { version } from "../../package.json" with { type: "json" };
import { useFileMode } from "../config/file-mode.ts";
import type { Logger } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";
import {
  BOOT_FAILURE_EXIT,
  CHILD_BRIEF_ENV,
  type ChildBrief,
  type ToChild,
  type ToSupervisor,
  USAGE_EXIT,
} from "../supervisor/control.ts";

/** Ends the process when it was not started by the server. */
export function readBrief(): ChildBrief {
  const text = process.env[CHILD_BRIEF_ENV];
  if (text === undefined) {
    console.error(
      "stock-db-server: this subcommand is for the server's own processes; expected serve, check, import, export, replay, copy, delete, rename or doctor",
    );
    process.exit(USAGE_EXIT);
  }
  // Processes that this one starts get their own brief.
  delete process.env[CHILD_BRIEF_ENV];
  const brief = JSON.parse(text) as ChildBrief;
  useFileMode(brief.settings.fileMode);
  return brief;
}

/**
 * Boots, reports, answers pings, and stops once: on `drain`, on SIGTERM, or when the supervisor is
 * gone.
 *
 * @param boot Resolves to a function that stops the child in time. If it fails, the server's whole
 *   start has failed.
 */
export async function runChild(
  boot: () => Promise<(timeoutMs: number) => Promise<void>>,
  options: { brief: ChildBrief; log: Logger },
): Promise<void> {
  let stop: ((timeoutMs: number) => Promise<void>) | null = null;
  let stopping = false;
  const stopOnce = async (timeoutMs: number): Promise<void> => {
    if (stopping) return;
    stopping = true;
    await stop?.(timeoutMs);
    await options.log.close();
    process.exit(0);
  };
  process.on("message", (message: ToChild) => {
    if (message.type === "ping") send({ type: "pong", id: message.id });
    else if (message.type === "log-level") options.log.setLevel(message.level);
    else void stopOnce(message.timeoutMs);
  });
  process.on("SIGTERM", () => void stopOnce(options.brief.settings.workerRestartTimeoutMs));
  // These are meant for the supervisor, which tells its children what to do.
  for (const signal of ["SIGINT", "SIGHUP", "SIGTTIN", "SIGTTOU"] as const) process.on(signal, () => {});
  process.on("disconnect", () => void stopOnce(0));
  try {
    checkVersion(options.brief);
    stop = await boot();
  } catch (error) {
    send({ type: "boot-failed", reason: messageOf(error) });
    await options.log.close();
    process.exit(BOOT_FAILURE_EXIT);
  }
  send({ type: "ready" });
}

/** @throws Error The installation was replaced while the server ran. */
function checkVersion(brief: ChildBrief): void {
  if (brief.version === version) return;
  throw new Error(
    `the server that runs is version ${brief.version}, and its installation is now ${version}; stop it and start it again`,
  );
}

function send(message: ToSupervisor): void {
  if (process.connected) process.send?.(message);
}
