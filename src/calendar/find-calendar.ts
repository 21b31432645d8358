/** The calendars that there are, and what people call them. */

import { Calendar, type ExtendedHours } from "./calendar.ts";
import type { CalendarFile, Corrections } from "./calendar-file.ts";
import { CalendarError } from "./contract.ts";
import ALWAYS from "./exchanges/24x7.json" with { type: "json" };
import CME_GLOBEX_EQUITY from "./exchanges/CME_GLOBEX_EQUITY.json" with { type: "json" };
import CMES from "./exchanges/CMES.json" with { type: "json" };
import CORRECTIONS from "./exchanges/corrections.json" with { type: "json" };
import XASX from "./exchanges/XASX.json" with { type: "json" };
import XETR from "./exchanges/XETR.json" with { type: "json" };
import XHKG from "./exchanges/XHKG.json" with { type: "json" };
import XLON from "./exchanges/XLON.json" with { type: "json" };
import XNYS from "./exchanges/XNYS.json" with { type: "json" };
import XPAR from "./exchanges/XPAR.json" with { type: "json" };
import XSHG from "./exchanges/XSHG.json" with { type: "json" };
import XTKS from "./exchanges/XTKS.json" with { type: "json" };
import XTSE from "./exchanges/XTSE.json" with { type: "json" };

/** The calendar without a close: its days are those of whatever zone is asked for. */
export const ALWAYS_OPEN = "24/7";

/** Files, and what people call their exchanges beside the file's own name. */
export const CALENDARS: readonly [CalendarFile, ...string[]][] = [
  [XNYS, "NYSE", "XNAS", "NASDAQ", "XASE", "AMEX", "ARCX", "ARCA", "BATS"],
  [XLON, "LSE", "London"],
  [XTKS, "TSE", "JPX", "Tokyo"],
  [XHKG, "HKEX", "Hong Kong"],
  [XETR, "Xetra"],
  [XTSE, "TSX", "Toronto"],
  [XPAR, "Euronext Paris", "Paris"],
  [XASX, "ASX", "Sydney"],
  [XSHG, "SSE", "Shanghai"],
  [CME_GLOBEX_EQUITY, "CME", "Globex", "XCME"],
  [CMES],
  [ALWAYS, "24x7", "crypto"],
];

/** Source: pandas_market_calendars 5.5.0 (MIT), calendar NYSE. */
const EXTENDED: Record<string, ExtendedHours> = {
  XNYS: { from: "04:00", until: "20:00", halfDayClose: "14:00", halfDayUntil: "17:00" },
};

const EXPECTED = CALENDARS.map(([{ exchange }, alias]) =>
  alias === undefined ? exchange : `${exchange} (${alias})`,
).join(", ");

const files = new Map<string, CalendarFile>(
  CALENDARS.flatMap(([file, ...aliases]) => [file.exchange, ...aliases].map((name) => [folded(name), file])),
);
const calendars = new Map<string, Calendar>();

/**
 * @param name A MIC or what people call it, in any case: `XNYS`, `nasdaq`, `Euronext Paris`.
 * @throws CalendarError
 */
export function findCalendar(name: string, parameter = "calendar"): Calendar {
  const file = files.get(folded(name));
  if (file === undefined) throw new CalendarError(parameter, name, `one of ${EXPECTED}`);
  let calendar = calendars.get(file.exchange);
  if (calendar === undefined) {
    const corrections = CORRECTIONS as Record<string, unknown>;
    calendar = new Calendar(
      file,
      corrections[file.exchange] as Corrections | undefined,
      EXTENDED[file.exchange],
    );
    calendars.set(file.exchange, calendar);
  }
  return calendar;
}

/** Names are compared without case, spaces and signs. */
function folded(name: string): string {
  return name.toUpperCase().replace(/[ _/-]/g, "");
}
