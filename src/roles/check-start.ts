/** What of the settings can be told to be wrong before anything is opened. */
import { existsSync, statSync } from "node:fs";
import { readKeyFile } from "../access/key-file.ts";
import { readTokenRules, takesTokens } from "../access/token-rules.ts";
import { otlpWarning, readOtlpTarget } from "../config/otlp-target.ts";
import { redact } from "../config/redact.ts";
import { DECLARATIONS, isLoopback } from "../config/setting-table.ts";
import type { Settings } from "../config/settings.ts";
import { readRetention } from "../retention/read-rules.ts";
import { checkReplicas, describeDatabase } from "../storage/engines.ts";
import { readTls, tlsWarning } from "../worker/tls-files.ts";

/** @param warn told what may be wrong soon. @throws Error */
export function checkStart(settings: Settings, warn: (warning: string) => void): void {
  checkBus(settings);
  checkReplicas(settings);
  readTokenRules(settings);
  checkKeys(settings);
  checkTls(settings, warn);
  readRetention(settings.retain);
  checkArchive(settings);
  const otlp = readOtlpTarget(settings);
  const warning = otlp === null ? null : otlpWarning(otlp);
  if (warning !== null) warn(warning);
}

/** @throws Error */
function checkArchive({ archive }: Settings): void {
  if (archive !== null && existsSync(archive) && !statSync(archive).isDirectory())
    throw new Error(`--archive ${archive}: this is no folder`);
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
