/** The ticks of a database, one stream per ticker and type. */
import { microsOfStamp } from "../../market/stamp-micros.ts";
import { type JsonRecord, parseWithDigits, rawNumber } from "../../protocol/json.ts";
import type { Count, RowRange, TickRow, TransferReader } from "../../storage/contract.ts";
import { extraAsMembers } from "../../storage/extra-json.ts";
import { ReplaySourceError, type ReplayTick } from "./tick.ts";

/** Streams read at once, each with a page of rows in memory. */
const SERIES_MAX = 200;
const TICKERS_PER_PAGE = 500;

export interface StoredTicksRequest {
  reader: TransferReader;
  /** null: all. */
  tickers: string[] | null;
  types: string[] | null;
  /** In stored form, inclusive; null is unbounded. */
  start: string | null;
  end: string | null;
}

/** @throws ReplaySourceError There is nothing to play, or too many series for one replay. */
export async function storedTicks(request: StoredTicksRequest): Promise<AsyncGenerator<ReplayTick[]>[]> {
  const { reader, types, start, end } = request;
  const series: RowRange[] = [];
  for await (const ticker of tickersOf(request)) {
    const stored = await reader.parts("ticks", ticker);
    if (request.tickers !== null && !stored.some((type) => types?.includes(type) ?? true))
      throw new ReplaySourceError(
        `${ticker}: the database has no ticks of it${types === null ? "" : ` of these types`}`,
      );
    for (const type of stored) {
      if (types === null || types.includes(type))
        series.push({ kind: "ticks", ticker, part: type, from: start, to: end });
    }
    if (series.length > SERIES_MAX) {
      throw new ReplaySourceError(
        `more than ${SERIES_MAX} tickers and types, which is what one replay plays: choose with --tickers and --types`,
      );
    }
  }
  if (series.length === 0) throw new ReplaySourceError("the database has no such ticks");
  return series.map((range) => ticksOf(reader, range));
}

async function* tickersOf({ reader, tickers }: StoredTicksRequest): AsyncGenerator<string> {
  if (tickers !== null) {
    yield* tickers;
    return;
  }
  for (let after: string | null = null; ; ) {
    const page: string[] = await reader.tickers("ticks", after, TICKERS_PER_PAGE);
    yield* page;
    if (page.length < TICKERS_PER_PAGE) return;
    after = page.at(-1)!;
  }
}

async function* ticksOf(reader: TransferReader, range: RowRange): AsyncGenerator<ReplayTick[]> {
  const { ticker, part } = range;
  for await (const rows of reader.rows(range)) {
    yield rows.map((row) => ({
      atMicros: microsOfStamp(row[0]),
      ticker,
      type: part!,
      record: recordOf(row as TickRow),
    }));
  }
}

function recordOf([timestamp, price, size, askPrice, askSize, id, extra]: TickRow): JsonRecord {
  const record: JsonRecord = { timestamp, price, size: exact(size) };
  if (askPrice !== null) record.ask_price = askPrice;
  if (askSize !== null) record.ask_size = exact(askSize);
  if (id !== null) record.id = id;
  return extra === null ? record : { ...record, ...extraAsMembers("ticks", membersOf(extra)) };
}

function membersOf(extra: string): JsonRecord {
  return parseWithDigits(extra) as JsonRecord;
}

/** Keeps digits that a double can't hold. */
function exact(count: Count | null): unknown {
  return typeof count === "string" ? rawNumber(count) : count;
}
