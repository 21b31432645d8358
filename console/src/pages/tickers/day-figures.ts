/** What a line shows of the days before, and of the day itself where no daily bars are stored. */
import { getColumns } from "../../api/columns.ts";
import type { TickerRow } from "./ticker-row.ts";

const DAYS = 30;
const DAY_MS = 24 * 3_600_000;
/** Of a ticker with one bar for each trading day, `DAYS` of them lie within so many. */
const CALENDAR_DAYS = Math.ceil(DAYS * 1.6);

export interface DayFigures {
  /** Closes, the oldest first. */
  closes: number[];
  /** What they are of. */
  what: string;
}

/** Reads them of one ticker. Of one with ticks alone, the day's volume and first price, too. */
export async function readDayFigures(row: TickerRow, signal: AbortSignal): Promise<DayFigures> {
  return row.hasDailyBars ? await dailyCloses(row, signal) : await dayOfTicks(row, signal);
}

async function dailyCloses({ symbol, newestMs }: TickerRow, signal: AbortSignal): Promise<DayFigures> {
  const start = new Date((newestMs ?? Date.now()) - CALENDAR_DAYS * DAY_MS).toISOString().slice(0, 10);
  const params = { symbol, timeframe: "1Day", source: "stored", start, columns: "close" };
  const { columns } = await getColumns("v1/bars", params, signal);
  return { closes: numbersOf(columns.close).slice(-DAYS), what: "the last daily closes" };
}

/** Never more than the ticks of one day. */
async function dayOfTicks(row: TickerRow, signal: AbortSignal): Promise<DayFigures> {
  const start = new Date(row.newestMs ?? Date.now()).toISOString().slice(0, 10);
  const params = { symbol: row.symbol, timeframe: "5Min", start, columns: "open,close,volume" };
  const { columns } = await getColumns("v1/bars", params, signal);
  const volumes = numbersOf(columns.volume);
  row.day = start;
  row.reference = numbersOf(columns.open)[0] ?? null;
  row.volume = volumes.length === 0 ? null : volumes.reduce((sum, volume) => sum + volume, 0);
  return { closes: numbersOf(columns.close), what: `5 minutes each of ${start}` };
}

function numbersOf(cells: unknown[] | undefined): number[] {
  return (cells ?? []).filter((cell): cell is number => typeof cell === "number");
}
