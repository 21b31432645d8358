/** `stock-db-server config check`: whether a server would start with these settings. */
import { readCalendarRules } from "../calendar/calendar-rule.ts";
import { exposedSecrets } from "../config/exposed-secrets.ts";
import { parseSettings, SETTING_COUNT } from "../config/settings.ts";
import { UsageError } from "../config/usage-error.ts";
import { messageOf } from "../protocol/message-of.ts";
import { describeDatabase } from "../storage/engines.ts";
import { checkStart } from "./check-start.ts";
import { openHoursOf } from "./open-hours-of.ts";

/** @returns the exit code: 0 it would, 1 it would not. @throws UsageError */
export async function runConfig([action, ...argv]: string[]): Promise<number> {
  if (action !== "check")
    throw new UsageError(`config ${JSON.stringify(action ?? "")}: expected check, and the flags of serve`);
  const parsed = parseSettings(argv, process.env);
  const { settings, sources, ignored } = parsed;
  describeDatabase(settings.dbFile, sources.dbFile);
  for (const flag of ignored) console.warn(`config: ${flag} has no effect in this server`);
  for (const warning of exposedSecrets(parsed)) console.warn(`config: ${warning}`);
  try {
    checkStart(settings, (warning) => console.warn(`config: ${warning}`));
    await openHoursOf(readCalendarRules(settings.feedCalendars));
  } catch (error) {
    console.error(`config: ${messageOf(error)}`);
    return 1;
  }
  const given = Object.values(sources).filter((source) => source !== "default").length;
  console.log(`config: ${SETTING_COUNT} settings are right, ${given} of them given; nothing was opened`);
  return 0;
}
