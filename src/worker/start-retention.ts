/** Old rows are removed by the first worker of a server, which reads and edits as clients do. */
import type { Settings } from "../config/settings.ts";
import type { LogLines } from "../observe/log.ts";
import { RetentionKeeper } from "../retention/keeper.ts";
import { readRetention } from "../retention/read-rules.ts";
import type { Roller } from "../rollups/roller.ts";
import { rollupDatabase } from "./start-rollups.ts";
import type { WorkerStorage } from "./worker-storage.ts";

export interface RetentionWorker {
  settings: Pick<Settings, "retain" | "readOnly">;
  /** Null in the one process of `--workers 1`. */
  workerId: number | null;
  storage: WorkerStorage;
  /** Null: this worker makes no roll-ups. */
  rollups: Roller | null;
  log: Pick<LogLines, "info" | "warning">;
}

/** @returns null: they are removed elsewhere, or not at all. */
export function startRetention(options: RetentionWorker): RetentionKeeper | null {
  const { settings, workerId, storage, rollups, log } = options;
  if ((workerId ?? 0) !== 0 || settings.retain.length === 0) return null;
  if (settings.readOnly || storage.rollups === null) {
    const why = settings.readOnly ? "a read-only server" : "a server in front of another";
    log.warning(`Retention: ${why} removes nothing (--retain)`);
    return null;
  }
  const keeper = new RetentionKeeper({
    db: rollupDatabase(storage, storage.rollups),
    rules: readRetention(settings.retain),
    archive: storage.archive,
    rollupsOf: (ticker) => rollups?.seriesOf(ticker) ?? null,
    log,
  });
  keeper.start();
  return keeper;
}
