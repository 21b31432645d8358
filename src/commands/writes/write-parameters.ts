/** Parameters of a write: they stand in the URL, as the body has the rows. */
import { z } from "zod";
import { CalendarError } from "../../calendar/contract.ts";
import { parseTimeframe } from "../../calendar/timeframe.ts";
import { zoneOf } from "../../market/zone.ts";
import { badRequest } from "../../protocol/errors.ts";
import type { SaveTicks } from "../../storage/contract.ts";
import * as p from "../questions/parameters.ts";
import { readIdentity } from "../request-identity.ts";
import { readTickRule } from "../save-realtime-data.ts";
import { readOnDuplicate } from "../save-stock-data.ts";
import type { WrittenTable } from "./sent-names.ts";
import type { WriteRequest } from "./write-rows.ts";

const SHARED = {
  symbol: p
    .described(p.symbol, {
      description: "The ticker of rows that name none.",
      expected: "a ticker",
      example: "AAPL",
    })
    .optional(),
  tz: p
    .described(
      z.string().refine((zone) => zoneOf(zone) !== null),
      {
        description:
          "The time zone of timestamps that say none, and of the dates of daily bars whose timestamps are moments. Default: UTC.",
        expected: 'an IANA time zone such as "America/New_York"',
      },
    )
    .optional(),
  strict: p.flag("What would be a warning is an error, and nothing is stored.").optional(),
};

const WRITE_BARS = z.object({
  timeframe: p.text({
    description: "The length of the bars: 1Min, 5Min, 1Hour, 1Day, 1Week, 90s.",
    expected: "a length of bars such as 1Min, 1Hour or 1Day",
    example: "1Day",
  }),
  ...SHARED,
  on_duplicate: p
    .choice(
      ["replace", "ignore", "keep", "merge", "error"],
      "What becomes of a bar whose timestamp is stored: see save_stock_data. Default: replace.",
    )
    .optional(),
});

const WRITE_TICKS = z.object({
  ...SHARED,
  on_duplicate: p
    .choice(
      ["ignore", "append", "keep", "replace", "error"],
      "What becomes of a tick that is stored: see save_realtime_data. Default: ignore.",
    )
    .optional(),
});

export const WRITE_PARAMETERS = {
  bars: WRITE_BARS,
  trades: WRITE_TICKS,
  quotes: WRITE_TICKS,
} as const satisfies Record<WrittenTable, z.ZodObject>;

/** @throws RequestError 400 */
export function readWrite(
  table: WrittenTable,
  path: string,
  given: Record<string, unknown>,
  idempotencyKey: string | null,
): Omit<WriteRequest, "sender"> {
  const read = p.readParameters(`a write to ${path}`, WRITE_PARAMETERS[table] as z.ZodObject, given) as {
    timeframe?: string;
    symbol?: string;
    tz?: string;
    strict?: boolean;
    on_duplicate?: string;
  };
  const identity = readIdentity({ params: {}, idempotencyKey });
  const shared = {
    table,
    symbol: read.symbol ?? null,
    zone: read.tz ?? null,
    isStrict: read.strict ?? false,
    identity,
  };
  if (table === "bars")
    return { ...shared, ...seriesOf(read.timeframe!), onDuplicate: readOnDuplicate(read.on_duplicate) };
  const onDuplicate: SaveTicks["onDuplicate"] = readTickRule(read.on_duplicate, identity);
  return { ...shared, kind: "ticks", part: table === "trades" ? "trade" : "quote", onDuplicate };
}

function seriesOf(timeframe: string): Pick<WriteRequest, "kind" | "part"> {
  try {
    const { unit, name } = parseTimeframe(timeframe);
    if (unit === "month")
      throw badRequest(
        `timeframe: got ${JSON.stringify(timeframe)}, expected a length of up to weeks: bars of months are made of shorter ones`,
      );
    if (name === "daily" || name === "hourly") return { kind: name, part: null };
    return { kind: "interval", part: name };
  } catch (error) {
    if (error instanceof CalendarError) throw badRequest(error.message);
    throw error;
  }
}
