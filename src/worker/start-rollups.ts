/** Roll-ups are made by the first worker of a server, which reads and saves as clients do. */
import type { Settings } from "../config/settings.ts";
import type { LogLines } from "../observe/log.ts";
import { Roller } from "../rollups/roller.ts";
import type { RollupDatabase } from "../rollups/rollup-database.ts";
import type { WorkerStorage } from "./worker-storage.ts";

export interface RollupWorker {
  settings: Pick<Settings, "rollup" | "readOnly">;
  /** Null in the one process of `--workers 1`. */
  workerId: number | null;
  storage: WorkerStorage;
  log: Pick<LogLines, "info" | "warning">;
  listen(isOn: boolean): Promise<void>;
}

/** @returns null: they are made elsewhere, or not at all. */
export function startRollups({ settings, workerId, storage, log, listen }: RollupWorker): Roller | null {
  const { rollup, readOnly } = settings;
  if ((workerId ?? 0) !== 0 || storage.rollups === null) return null;
  if (readOnly) {
    if (rollup.length > 0) log.warning("Roll-ups: a read-only server makes none (--read-only, --rollup)");
    return null;
  }
  const roller = new Roller({
    db: rollupDatabase(storage, storage.rollups),
    rules: rollup.length === 0 ? [] : [{ tickers: "*", intervals: rollup }],
    isShared: storage.rollups.isShared,
    log,
    listen,
  });
  roller.start();
  return roller;
}

export function rollupDatabase(
  storage: WorkerStorage,
  { columns, parts }: NonNullable<WorkerStorage["rollups"]>,
): RollupDatabase {
  const { history } = storage;
  return {
    reader: { updates: history.updates, notes: (...of) => history.notes(...of), parts },
    columns,
    save: (save) => storage.save(save, { text: save.update?.frame ?? "", arrow: null }),
    edit: (edit) => storage.edit(edit),
  };
}
