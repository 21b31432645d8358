import { CalendarError, type Grid, type GridOptions } from "./contract.ts";
import { DatesGrid } from "./dates-grid.ts";
import { SecondsGrid } from "./seconds-grid.ts";
import { allDates, openSessions, sessionDates } from "./sessions.ts";

const HOUR_SECONDS = 3_600;

/**
 * Opens the buckets of a timeframe. Each caller needs a grid of its own, as it remembers where the
 * last stamp was.
 *
 * @throws CalendarError for a zone, calendar, session or align that is none.
 */
export function openGrid(options: GridOptions): Grid {
  const { timeframe, align } = options;
  if (align != null && align !== "clock" && align !== "session")
    throw new CalendarError("align", align, '"clock" or "session"');
  const sessions = openSessions(options);
  const asked = { first: Number.POSITIVE_INFINITY, last: Number.NEGATIVE_INFINITY };
  if (options.stamps === "dates") {
    if (timeframe.unit === "second")
      throw new CalendarError("timeframe", timeframe.name, "a day or more, as the rows are days");
    return new DatesGrid(allDates(sessions.zone), timeframe, asked, sessionDates(sessions));
  }
  if (timeframe.unit !== "second") return new DatesGrid(sessions, timeframe, asked);
  // All systems agree where the steps are that divide an hour. Others are whole from the open on.
  const fromOpen = align == null ? HOUR_SECONDS % timeframe.count !== 0 : align === "session";
  return new SecondsGrid(sessions, timeframe.count * 1_000_000, fromOpen, asked);
}
