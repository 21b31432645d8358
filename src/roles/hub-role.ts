/**
 * The hub opens the database, loads the sample if asked to, and commits until it is told to stop.
 * With `--workers 1` and no database of its own it runs in the server's process.
 */

import { openBus } from "../bus/bus.ts";
import { importSample } from "../cli/import/sample.ts";
import { type Hub, startHub } from "../hub/hub.ts";
import type { LogLines } from "../observe/log.ts";
import type { ChildBrief } from "../protocol/control.ts";
import { type OpenWriter, openHubStorage } from "./engine.ts";

/** After --sql-timeout and this, the worker has killed the runner that writes. */
const LEASE_SLACK_MS = 10_000;

/**
 * Time to answer the saves that the database died of. If they were sent again to the next hub, they
 * might end that one too.
 */
const LAST_ANSWERS_MS = 100;

/**
 * @param onFatal The database refuses everything from now on; the process must end.
 * @throws Error With the reason why the database can't be served.
 */
export async function runHub(
  { settings, runtimeDir }: ChildBrief,
  log: LogLines,
  onFatal: (reason: string) => void,
): Promise<Hub> {
  const {
    writer,
    database,
    sampleWriter = writer,
    warning,
  } = await openHubStorage(settings, (reason) => setTimeout(() => onFatal(reason), LAST_ANSWERS_MS), log);
  if (warning !== undefined) log.warning(warning);
  if (sampleWriter !== null) {
    if (sampleWriter.preparation !== null) log.info(`Database: ${sampleWriter.preparation}`);
    if (sampleWriter.epochBegun) log.warning(`Database: ${epochBegunText(sampleWriter.epochBegun)}`);
    if (settings.sample) log.info(`Sample: ${await sampleInto(sampleWriter)}`);
    if (sampleWriter !== writer) await sampleWriter.close();
  }
  return startHub({
    runtimeDir,
    writer,
    database,
    log,
    openBus:
      settings.bus === null
        ? null
        : (channel, heard) =>
            openBus({ url: settings.bus!, dbFile: settings.dbFile, channel, log, ...heard }),
    socketsPerAddressMax: settings.wsConnectionsPerAddress,
    leaseTimeoutMs: settings.sqlTimeoutMs + LEASE_SLACK_MS,
  });
}

function epochBegunText(reason: string): string {
  return `a new epoch of positions begins, clients that come back get a snapshot: ${reason}`;
}

async function sampleInto(writer: OpenWriter): Promise<string> {
  if (!(await writer.isEmpty())) return "not loaded, the database holds data already";
  const imported = await importSample(writer);
  return imported.map(({ ticker, kind, rows }) => `${rows} ${kind} rows of ${ticker}`).join(", ");
}
