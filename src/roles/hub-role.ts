/** The hub, in a process of its own or on a thread: opens the database, loads the sample if asked to, commits until told to stop. */

import { type Hub, startHub } from "../hub/hub.ts";
import type { LogLines } from "../observe/log.ts";
import type { ChildBrief } from "../protocol/control.ts";
import { openHubStorage } from "./engine.ts";
import { loadSample } from "./load-sample.ts";

/** Beyond --sql-timeout: by then the worker has killed the runner that writes. */
const LEASE_SLACK_MS = 10_000;

/** @throws Error with the reason why the database can't be served. */
export async function runHub({ settings, runtimeDir }: ChildBrief, log: LogLines): Promise<Hub> {
  const { writer, database } = await openHubStorage(settings);
  if (writer !== null && writer.preparation !== null) log.info(`Database: ${writer.preparation}`);
  if (settings.sample && writer !== null) {
    if (await writer.isEmpty()) log.info(`Sample: ${await loadSample(writer)}`);
    else log.info("Sample: not loaded, the database holds data already");
  }
  return startHub({
    runtimeDir,
    writer,
    database,
    log,
    leaseTimeoutMs: settings.sqlTimeoutS * 1000 + LEASE_SLACK_MS,
  });
}
