/** Reads the settings again on SIGHUP, from the files that the server was started with. */
import { takeOver } from "../config/reread-settings.ts";
import type { TakeOver } from "../config/setting-table.ts";
import { parseSettings, type Settings } from "../config/settings.ts";
import type { Logger } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";
import { checkStart } from "./check-start.ts";

/** @returns what is in force now; null: what was read is wrong, and nothing changes. */
export type Reread = (current: Settings) => Settings | null;

/** @param argv of `serve`. @param start as they were read from it. */
export function rereader(
  argv: readonly string[],
  { start, ways, log }: { start: Settings; ways: readonly TakeOver[]; log: Logger },
): Reread {
  return (current) => {
    try {
      const { settings, taken, left } = takeOver(parseSettings(argv, process.env), { current, start, ways });
      checkStart(settings, (warning) => log.warning(warning));
      log.info(
        taken.length === 0 ? "SIGHUP: no setting is taken over" : `SIGHUP: taken over: ${taken.join(", ")}`,
      );
      if (left.length > 0)
        log.warning(`SIGHUP: changed, but in force only after a stop and a start: ${left.join(", ")}`);
      log.setLevel(settings.logLevel);
      return settings;
    } catch (error) {
      log.error(`SIGHUP: nothing is changed: ${messageOf(error)}`);
      return null;
    }
  };
}
