/** What commands may do in a worker: read, save, run SQL. */
import { randomBytes } from "node:crypto";
import type { CommandContext } from "../commands/context.ts";
import { withPermissions } from "../commands/permissions.ts";
import type { Settings } from "../config/settings.ts";
import type { SaveSender } from "../feeds/writer-counts.ts";
import type { HubClient } from "../hub/hub-client.ts";
import type { Counters } from "../observe/counters.ts";
import type { Logger } from "../observe/log.ts";
import { STATUS } from "../protocol/codes.ts";
import { hasStatus } from "../protocol/errors.ts";
import type { SqlRequest } from "../sql/execute.ts";
import type { Save } from "../storage/contract.ts";
import type { SqlAnswer } from "../storage/user-sql-contract.ts";
import type { Subscriptions } from "../stream/subscriptions.ts";
import type { WorkerFeeds } from "./worker-feeds.ts";
import type { WorkerStorage } from "./worker-storage.ts";

const NOTICE_MS = 60_000;

export interface CommandParts {
  settings: Settings;
  storage: WorkerStorage;
  hub: HubClient;
  subscriptions: Subscriptions;
  counters: Counters;
  feeds: Pick<WorkerFeeds, "note" | "noteRenamed">;
  /** Waits for the client's turn, and refuses when memory is short. */
  runSql(request: SqlRequest): Promise<SqlAnswer>;
  log: Logger;
}

/** Applies what `--sql` and `--read-only` allow. */
export function commandContext(parts: CommandParts): CommandContext {
  const { settings, storage, hub, subscriptions, counters, feeds, runSql, log } = parts;
  const nextSaveId = saveIds();
  const accepted = (save: Save, sender: SaveSender): void => {
    counters.saves++;
    counters.rowsSaved += save.rows.length;
    feeds.note(save, sender);
  };
  const context: CommandContext = {
    reader: storage.reader,
    checkTickers: null,
    marketTimezone: settings.marketTimezone,
    savesInOrder: storage.savesInOrder,
    rollups: storage.rollups === null ? null : settings.rollup,
    warn: (message) => log.warning(message),
    noteRepetitions: repetitionNotice(log),
    async save(save, update, { text, arrow, saveId, sender }) {
      save.update = { ...(saveId ?? { saveId: nextSaveId(), repeated: false }), ...update };
      const outcome = await storage.save(save, { text, arrow });
      if (outcome.ok) accepted(save, sender);
      return outcome;
    },
    saveTogether:
      storage.saveTogether === null
        ? null
        : async (saves, updates, sender) => {
            const together = nextSaveId();
            for (const [index, save] of saves.entries()) {
              save.update = { saveId: nextSaveId(), repeated: false, ...updates[index]! };
              if (saves.length > 1) save.together = together;
            }
            const outcomes = await Promise.all(storage.saveTogether!(saves));
            for (const [index, { ok }] of outcomes.entries()) if (ok) accepted(saves[index]!, sender);
            return outcomes;
          },
    async edit(edit, { saveId }) {
      Object.assign(edit.identity, saveId ?? { saveId: nextSaveId(), repeated: false });
      const outcome = await storage.edit(edit);
      if (outcome.ok && edit.what === "renaming" && !edit.dryRun) feeds.noteRenamed(edit.ticker);
      return outcome;
    },
    async removeCheck(ticker) {
      await storage.removeCheck(ticker);
      subscriptions.forget(ticker);
      hub.tellRemoved(ticker);
    },
    executeSql(request) {
      counters.sqlRuns++;
      return runSql(request).catch((error) => {
        if (hasStatus(error, STATUS.timeIsUp)) counters.sqlTimeouts++;
        throw error;
      });
    },
  };
  return withPermissions(context, settings);
}

/**
 * Tells at once, and then once a minute: a feed without ids, whose equal trades look as repetitions
 * do, loses them for as long as nobody reads the counts of its answers.
 */
function repetitionNotice(log: Logger): CommandContext["noteRepetitions"] {
  let toldMs = Number.NEGATIVE_INFINITY;
  let untold = 0;
  return ({ ticker, type, count }) => {
    untold += count;
    const now = performance.now();
    if (now - toldMs < NOTICE_MS) return;
    toldMs = now;
    log.warning(
      `${untold} ticks without an id equal stored ones and were taken for repetitions, the last ` +
        `${type} of ${ticker}: send each tick's id, or an Idempotency-Key with each request, so that ` +
        `equal ticks are kept`,
    );
    untold = 0;
  };
}

/** Unique among the saves of all processes, on all machines. */
function saveIds(): () => string {
  const ofThisWorker = randomBytes(9).toString("base64url");
  let count = 0;
  return () => `${ofThisWorker}-${(count++).toString(36)}`;
}
