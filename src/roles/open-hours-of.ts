import type { CalendarRule } from "../calendar/calendar-rule.ts";
import type { OpenHours } from "../calendar/open-hours.ts";
import { messageOf } from "../protocol/message-of.ts";

/** The hours of each rule. Calendars take 30 ms to load: only who has rules does. @throws Error */
export async function openHoursOf(rules: readonly CalendarRule[]): Promise<OpenHours[]> {
  if (rules.length === 0) return [];
  const { OpenHours } = await import("../calendar/open-hours.ts");
  return rules.map((rule) => {
    try {
      return new OpenHours(rule);
    } catch (error) {
      throw new Error(`--feed-calendar ${rule.text}: ${messageOf(error)}`);
    }
  });
}
