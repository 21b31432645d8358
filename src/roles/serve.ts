/** `serve`: the supervisor with its children, or one server process with its hub. */

import { version } from "../../package.json" with { type: "json" };
import { readCalendarRules } from "../calendar/calendar-rule.ts";
import { findWideFiles, useFileMode } from "../config/file-mode.ts";
import { leastMemoryBytes } from "../config/memory-shares.ts";
import { redact } from "../config/redact.ts";
import type { Settings } from "../config/settings.ts";
import { MIB } from "../config/units.ts";
import { MAIN } from "../installation/installed.ts";
import { DESCRIPTORS_ENOUGH, descriptorLimit } from "../observe/descriptors.ts";
import { createLogger, type Logger } from "../observe/log.ts";
import { logFilePath } from "../observe/log-file.ts";
import { messageOf } from "../protocol/message-of.ts";
import { describeDatabase } from "../storage/engines.ts";
import { runSupervisor } from "../supervisor/supervisor.ts";
import { checkUnixSocket } from "../worker/unix-socket.ts";
import { checkStart } from "./check-start.ts";
import { openHoursOf } from "./open-hours-of.ts";
import { rereader } from "./reread.ts";
import { serveInOneProcess } from "./single-process.ts";
import { startTestFeed } from "./test-feed.ts";

const EXIT_START_FAILED = 1;

/**
 * @param warnings What the command line gives reason to log.
 * @param argv Read again on SIGHUP.
 * @returns The exit code.
 */
export async function serve(
  settings: Settings,
  { warnings, argv }: { warnings: string[]; argv: readonly string[] },
): Promise<number> {
  useFileMode(settings.fileMode);
  const log = createLogger({
    level: settings.logLevel,
    worker: null,
    file: settings.logFile,
    format: settings.logFormat,
  });
  for (const warning of warnings) log.warning(warning);
  announce(settings, log);
  warnOfWideFiles(settings, log);
  const whileServing = (port: number) => startFeed({ ...settings, port }, log);
  try {
    checkStart(settings, (warning) => log.warning(warning));
    await openHoursOf(readCalendarRules(settings.feedCalendars));
    if (settings.unixSocket !== null) await checkUnixSocket(settings.unixSocket);
    if (settings.workers > 1) {
      const reread = rereader(argv, { start: settings, ways: ["at once", "by new workers"], log });
      return await runSupervisor({ settings, mainPath: MAIN, log, whileServing, reread });
    }
    const reread = rereader(argv, { start: settings, ways: ["at once"], log });
    return await serveInOneProcess({ settings, log, whileServing, reread });
  } catch (error) {
    log.critical(`Cannot start: ${messageOf(error)}`);
    return EXIT_START_FAILED;
  } finally {
    await log.close();
  }
}

/** @returns A function that ends it. */
function startFeed({ testFeed, host, port, tlsCert, sql, readOnly }: Settings, log: Logger): () => void {
  if (!testFeed) return () => {};
  if (!readOnly) return startTestFeed({ host, port, isSecure: tlsCert !== null, trims: sql === "raw", log });
  log.warning("Test feed: not started, as the server is read-only (--read-only)");
  return () => {};
}

function announce(settings: Settings, log: Logger): void {
  log.info(`stock-db-server ${version} on Bun ${Bun.version}, process ${process.pid}`);
  log.info(`Database: ${redact(settings.dbFile)} (durability ${settings.durability})`);
  const descriptors = descriptorLimit();
  if (descriptors !== null && descriptors < DESCRIPTORS_ENOUGH) {
    log.warning(
      `Each process may have ${descriptors.toLocaleString("en-US")} descriptors, and each client takes one: allow more with ulimit -n or LimitNOFILE=`,
    );
  }
  const leastBytes = leastMemoryBytes(settings.workers);
  if (settings.memoryBytes < leastBytes) {
    log.warning(
      `--memory-mb ${settings.memoryBytes / MIB} is little for ${settings.workers} workers: expensive requests may be refused even when there are few; ${leastBytes / MIB} would do`,
    );
  }
  const bodyMb = settings.maxBodyBytes / MIB;
  log.debug(`Body limit ${bodyMb} MB, heartbeat every ${settings.heartbeatIntervalMs / 1_000} s`);
}

/** Warns of older files; those that the server makes have the right mode. */
function warnOfWideFiles({ dbFile, fileMode, logFile, workers }: Settings, log: Logger): void {
  const { forms } = describeDatabase(dbFile).engine;
  const database = ["", ...(forms.companions ?? [])].map((ending) => dbFile + ending);
  const logs =
    logFile === null
      ? []
      : [null, ...Array(workers > 1 ? workers : 0).keys()].map((worker) => logFilePath(logFile, worker));
  const wide = findWideFiles([...(forms.endings ? database : []), ...logs], fileMode);
  if (wide === null) return;
  log.warning(
    `Open to more than --file-mode ${fileMode} allows new files: ${wide.found}; to close: ${wide.remedy}`,
  );
}
