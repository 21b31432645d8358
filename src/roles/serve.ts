/** `serve`: the supervisor with its children, or one server process with its hub. */

import { existsSync } from "node:fs";
import { version } from "../../package.json" with { type: "json" };
import { readKeyFile } from "../access/key-file.ts";
import { readTokenRules, takesTokens } from "../access/token-rules.ts";
import { findWideFiles, useFileMode } from "../config/file-mode.ts";
import { leastMemoryBytes } from "../config/memory-shares.ts";
import { redact } from "../config/redact.ts";
import { DECLARATIONS, isLoopback } from "../config/setting-table.ts";
import type { Settings } from "../config/settings.ts";
import { MIB } from "../config/units.ts";
import { DESCRIPTORS_ENOUGH, descriptorLimit } from "../observe/descriptors.ts";
import { createLogger, type Logger } from "../observe/log.ts";
import { logFilePath } from "../observe/log-file.ts";
import { messageOf } from "../protocol/message-of.ts";
import { describeDatabase } from "../storage/engines.ts";
import { runSupervisor } from "../supervisor/supervisor.ts";
import { readTls, tlsWarning } from "../worker/tls-files.ts";
import { checkUnixSocket } from "../worker/unix-socket.ts";
import { MAIN } from "./main-path.ts";
import { serveInOneProcess } from "./single-process.ts";
import { startTestFeed } from "./test-feed.ts";

const EXIT_START_FAILED = 1;

/** @param warnings What the command line gives reason to log. @returns The exit code. */
export async function serve(settings: Settings, warnings: string[]): Promise<number> {
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
    if (settings.unixSocket !== null) await checkUnixSocket(settings.unixSocket);
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

/**
 * What can be told before anything is opened. @param warn told what may be wrong soon.
 *
 * @throws Error
 */
export function checkStart(settings: Settings, warn: (warning: string) => void): void {
  checkBus(settings);
  readTokenRules(settings);
  checkKeys(settings);
  checkTls(settings, warn);
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

/**
 * Whoever reaches the port could read and write.
 *
 * @throws Error
 */
function checkKeys(settings: Settings): void {
  const { host, keys, dbFile, insecureNoAuth, tlsClientCa, allowOrigins } = settings;
  if (keys !== null && existsSync(keys)) {
    readKeyFile(keys);
    return;
  }
  const make = `stock-db-server keys add NAME --may read,write --keys ${keys ?? "PATH"}`;
  const isOwn = keys === DECLARATIONS.keys.dependentDefault!.of({ dbFile, host });
  if (!isOwn) throw new Error(`--keys: there is no file ${keys}; make the first key: ${make}`);
  if (takesTokens(settings)) return;
  if (allowOrigins.includes("*"))
    throw new Error(`--allow-origin *: any page could read and write without a key. Make one: ${make}`);
  if (insecureNoAuth || isLoopback(host) || tlsClientCa !== null) return;
  throw new Error(
    `--host ${host}: other machines could read and write without a key. Make one: ${make}; or say --insecure-no-auth`,
  );
}

/** @throws TlsError */
function checkTls(settings: Settings, warn: (warning: string) => void): void {
  const tls = readTls(settings);
  if (tls === null && settings.redirectPort !== null)
    throw new Error(`--redirect-port ${settings.redirectPort}: expected --tls-cert and --tls-key beside it`);
  if (settings.redirectPort !== null && settings.redirectPort === settings.port)
    throw new Error(`--redirect-port ${settings.redirectPort}: got that of --port, expected another one`);
  const warning = tls === null ? null : tlsWarning(tls, Date.now());
  if (warning !== null) warn(warning);
}

/** A database file has one server only, which needs no bus. @throws Error */
function checkBus(settings: Settings): void {
  if (settings.bus === null || describeDatabase(settings.dbFile).engine.isShared) return;
  throw new Error(
    `--bus: ${redact(settings.bus)} is for servers that share a database, expected PostgreSQL in --db-file, got ${redact(settings.dbFile)}`,
  );
}
