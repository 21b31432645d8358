/** `serve`: the supervisor with its children, or one server process with its hub. */

import { version } from "../../package.json" with { type: "json" };
import { describeDatabase, redact } from "../config/database-url.ts";
import type { Settings } from "../config/settings.ts";
import { createLogger, type Logger } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";
import { runSupervisor } from "../supervisor/supervisor.ts";
import { MAIN } from "./main-path.ts";
import { serveInOneProcess } from "./single-process.ts";
import { startTestFeed } from "./test-feed.ts";

const EXIT_START_FAILED = 1;

/** @returns the exit code. */
export async function serve(settings: Settings, ignoredFlags: string[]): Promise<number> {
  const log = createLogger({ level: settings.logLevel, worker: null, file: settings.logFile });
  for (const flag of ignoredFlags) log.warning(`${flag} has no effect in this server`);
  announce(settings, log);
  const whileServing = (port: number) => startFeed({ ...settings, port }, log);
  try {
    checkBus(settings);
    return settings.workers > 1
      ? await runSupervisor({ settings, mainPath: MAIN, log, whileServing })
      : await serveInOneProcess({ settings, log, whileServing });
  } catch (error) {
    log.critical(`Cannot start: ${messageOf(error)}`);
    return EXIT_START_FAILED;
  } finally {
    await log.close();
  }
}

/** @returns what ends it. */
function startFeed({ testFeed, host, port }: Settings, log: Logger): () => void {
  return testFeed ? startTestFeed({ host, port, log }) : () => {};
}

function announce(settings: Settings, log: Logger): void {
  log.info(`stock-db-server ${version} on Bun ${Bun.version}, process ${process.pid}`);
  log.info(`Database: ${redact(settings.dbFile)} (durability ${settings.durability})`);
  log.debug(`Body limit ${settings.maxBodyMb} MB, heartbeat every ${settings.heartbeatIntervalS} s`);
}

/** A database file has one server, so there is nobody to meet. @throws Error */
function checkBus(settings: Settings): void {
  const { engine } = describeDatabase(settings.dbFile);
  if (settings.bus === null || engine === "postgresql" || engine === "timescaledb") return;
  throw new Error(
    `--bus: ${redact(settings.bus)} is for servers that share a database, expected PostgreSQL in --db-file, got ${redact(settings.dbFile)}`,
  );
}
