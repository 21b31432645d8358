/** The worker: as a process of its own, and booted in the one process of `--workers 1`. */
import { hostname } from "node:os";
import { BOARD_FILE } from "../hub/messages.ts";
import { VersionBoard } from "../hub/version-board.ts";
import { MAIN } from "../installation/installed.ts";
import { ownCommand } from "../installation/own-command.ts";
import { MemoryBoard } from "../memory/memory-board.ts";
import { createLogger, type Logger } from "../observe/log.ts";
import { describeDatabase } from "../storage/engines.ts";
import { CHILD_BRIEF_ENV, type ChildBrief } from "../supervisor/control.ts";
import { shownUrl } from "../worker/invitation.ts";
import { startWorker, type Worker } from "../worker/worker.ts";
import { readBrief, runChild } from "./child-control.ts";
import { failOnSurprise } from "./fail-on-surprise.ts";
import { openWorkerStorage } from "./worker-storage.ts";

const EXIT_FAILED = 1;

export async function serveAsWorker(): Promise<void> {
  const brief = readBrief();
  const { settings, workerId } = brief;
  const log = createLogger({
    level: settings.logLevel,
    worker: workerId,
    file: settings.logFile,
    format: settings.logFormat,
  });
  failOnSurprise(log);
  await runChild(
    async () => {
      const worker = await bootWorker(brief, workerId, log);
      log.info(`Worker ${workerId}: Server starting on ${shownUrl({ ...settings, port: worker.port })}`);
      if (brief.greet) for (const line of await worker.invitation()) log.info(line);
      return async (timeoutMs) => {
        log.info(`Worker ${workerId}: draining`);
        await worker.drain(timeoutMs);
        log.info(`Worker ${workerId}: Server has been shut down.`);
      };
    },
    { brief, log },
  );
}

/** @param workerId null in the one process. */
export async function bootWorker(brief: ChildBrief, workerId: number | null, log: Logger): Promise<Worker> {
  const { settings, runtimeDir } = brief;
  const board = new VersionBoard(`${runtimeDir}/${BOARD_FILE}`);
  const memory = new MemoryBoard(runtimeDir);
  memory.join("worker", workerId ?? 0);
  const runnerBrief: ChildBrief = { ...brief, role: "sql-runner", workerId: -1 };
  return startWorker({
    settings,
    runtimeDir,
    workerId,
    dbType: describeDatabase(settings.dbFile).name,
    memory,
    log,
    fail(reason) {
      log.critical(reason);
      log.flushSync();
      process.exit(EXIT_FAILED);
    },
    openStorage: (hub, updates, conditions) =>
      openWorkerStorage({
        settings,
        hub,
        board,
        memory,
        updates,
        serverId: serverIdOf(runtimeDir),
        log,
        conditions,
        isFirst: workerId === null || workerId === 0,
        runner: {
          command: ownCommand(MAIN, "sql-runner"),
          env: { ...process.env, [CHILD_BRIEF_ENV]: JSON.stringify(runnerBrief) },
        },
      }),
  });
}

/** The folder's name is random and this server's alone; hashed, because others get to see it. */
function serverIdOf(runtimeDir: string): string {
  return new Bun.CryptoHasher("sha256").update(`${hostname()} ${runtimeDir}`).digest("hex").slice(0, 16);
}
