/**
 * The hub opens the database, loads the sample if asked to, and commits until it is told to stop.
 * With `--workers 1` and no database of its own it runs in the server's process.
 */

import { openBus } from "../bus/open-bus.ts";
import { readCalendarRules } from "../calendar/calendar-rule.ts";
import type { Settings } from "../config/settings.ts";
import { type Hub, type HubOptions, startHub } from "../hub/hub.ts";
import type { Logger, LogLines } from "../observe/log.ts";
import { unavailable } from "../protocol/errors.ts";
import { type Engine, type HeldDatabase, isOpenInHub } from "../storage/engine.ts";
import { describeDatabase } from "../storage/engines.ts";
import type { ChildBrief } from "../supervisor/control.ts";
import { auditRestores } from "./audited-restores.ts";
import { openHoursOf } from "./open-hours-of.ts";

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
  log: Logger,
  onFatal: (reason: string) => void,
): Promise<Hub> {
  const { engine } = describeDatabase(settings.dbFile);
  const warning = engine.checkSettings?.(settings) ?? null;
  if (warning !== null) log.warning(warning);
  const fatal = (reason: string): void => void setTimeout(() => onFatal(reason), LAST_ANSWERS_MS);
  const database = isOpenInHub(engine) ? await engine.open!(settings, { onFatal: fatal, log }) : null;
  if (database !== null) {
    await auditRestores(settings, database.epochBegun ?? null, log);
    await prepare(database, settings, log);
  } else if (settings.sample) await fill(engine, settings, log);
  const hub = startHub({
    runtimeDir,
    writer: engine.placement.saves === "hub" ? database!.writer : null,
    database: engine.placement.reads === "hub" ? readsOf(database!) : null,
    log,
    openBus:
      settings.bus === null
        ? null
        : (channel, heard) =>
            openBus({ url: settings.bus!, dbFile: settings.dbFile, channel, log, ...heard }),
    feeds: await feedsOf(settings, engine),
    leaseTimeoutMs: settings.sqlTimeoutMs + LEASE_SLACK_MS,
  });
  return {
    async stop() {
      await hub.stop();
      await database?.close();
    },
  };
}

async function feedsOf(
  { staleAfterMs, feedCalendars }: Settings,
  { isShared = false, placement }: Engine,
): Promise<HubOptions["feeds"]> {
  const rules = readCalendarRules(feedCalendars);
  return {
    staleAfterMs,
    rules,
    openHours: await openHoursOf(rules),
    isShared: isShared || placement.saves === "upstream",
  };
}

/** Workers open it for themselves. */
async function fill(engine: Engine, settings: Settings, log: LogLines): Promise<void> {
  const database = await engine.open!(settings);
  await prepare(database, settings, log);
  await database.close();
}

async function prepare(
  { preparation, epochBegun, writer }: HeldDatabase,
  { sample }: Settings,
  log: LogLines,
): Promise<void> {
  if (preparation !== null) log.info(`Database: ${preparation}`);
  if (epochBegun)
    log.warning(
      `Database: a new epoch of positions begins, clients that come back get a snapshot: ${epochBegun}`,
    );
  if (!sample) return;
  if (!(await writer.isEmpty())) return log.info("Sample: not loaded, the database holds data already");
  // All of the importer, which no other hub needs.
  const { importSample } = await import("../cli/import/sample.ts");
  const imported = await importSample(writer);
  const loaded = imported.map(({ ticker, kind, rows }) => `${rows} ${kind} rows of ${ticker}`).join(", ");
  log.info(`Sample: ${loaded}`);
}

function readsOf({ reader, sql, writer }: HeldDatabase): HubOptions["database"] {
  return {
    reader: reader!,
    sql: sql!,
    look() {
      const lost = writer.lost?.() ?? null;
      if (lost !== null) throw unavailable(`read: ${lost}`);
    },
  };
}
