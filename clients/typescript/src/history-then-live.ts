/** A read and a stream, joined by position: nothing is missed between them, nothing comes twice. */
import type { Connection } from "./connection.ts";
import { StockDBError } from "./errors.ts";
import type { Bar, BarsParameters, Quote, Trade, TradesParameters } from "./generated/api.ts";
import type { Rows } from "./question.ts";
import { Questions, type Symbols } from "./questions.ts";
import { Stream, type StreamOptions } from "./stream.ts";
import type { Update } from "./updates.ts";

type Live = Pick<StreamOptions, "transport" | "webSocket" | "silenceMs" | "onConnection" | "slow" | "signal">;

/** Ticks, or with `timeframe` bars that the server makes of trades. */
export type HistoryOptions = Live & (HistoryOfTicks | HistoryOfBars);

interface HistoryOfTicks extends Pick<TradesParameters, "start" | "columns"> {
  of: "trades" | "quotes";
}

interface HistoryOfBars
  extends Pick<BarsParameters, "start" | "columns" | "timeframe" | "calendar" | "session"> {
  of: "bars";
  /** How often the bar that still runs is told. */
  partial?: string;
}

/** The stored rows of a ticker, all that there are from `start` up to `position`. */
export interface HistoryUpdate {
  type: "history";
  ticker: string;
  rows: Rows<Trade> | Rows<Quote> | Rows<Bar>;
  position: number;
  epoch: string;
}

/**
 * First the history of each ticker, one after the other and in memory as a whole; then updates. The
 * last bar of a history may still run: its newest version, by `timestamp`, is the one that counts.
 */
export async function* historyThenLive(
  server: Connection,
  symbols: Symbols,
  options: HistoryOptions,
): AsyncGenerator<HistoryUpdate | Update, void, undefined> {
  const tickers = typeof symbols === "string" ? symbols.split(",") : symbols;
  const pattern = tickers.find((ticker) => ticker.includes("*"));
  if (tickers.length === 0 || pattern !== undefined)
    throw new StockDBError(`historyThenLive: got ${pattern ?? "no ticker"}, expected the names of tickers`);
  const { transport, webSocket, silenceMs, onConnection, slow, signal, of, ...question } = options;
  const db = new Questions(server);
  const since: Record<string, number> = {};
  let epoch: string | null = null;
  for (const ticker of new Set(tickers)) {
    const rows = await readHistory(db, ticker, options, {
      ...question,
      ...(signal && { signal }),
      withPosition: true,
    });
    epoch ??= rows.epoch;
    if (rows.epoch !== epoch)
      throw new StockDBError("historyThenLive: the database became another one meanwhile; begin anew");
    since[ticker] = rows.positions?.[ticker] ?? 0;
    yield { type: "history", ticker, rows, position: since[ticker], epoch: epoch! };
  }
  const live = { transport, webSocket, silenceMs, onConnection, slow, signal };
  const given = Object.fromEntries(Object.entries(live).filter(([, value]) => value !== undefined)) as Live;
  yield* new Stream(server, [...tickers], {
    ...given,
    ...wishOf(options),
    since,
    ...(epoch !== null && { epoch }),
  });
}

function readHistory(
  db: Questions,
  ticker: string,
  options: HistoryOptions,
  question: object,
): Promise<HistoryUpdate["rows"]> {
  if (options.of === "trades") return db.trades(ticker, question).rows();
  if (options.of === "quotes") return db.quotes(ticker, question).rows();
  const { partial: _, ...bars } = question as BarsParameters & { partial?: string };
  return db.bars(ticker, { ...bars, source: "trades" }).rows();
}

/** Deletions of what is watched come with its type. */
function wishOf(options: HistoryOptions): StreamOptions {
  if (options.of !== "bars") return { types: [options.of === "trades" ? "trade" : "quote"] };
  const { timeframe, partial, calendar, session } = options;
  const given = Object.entries({ partial, calendar, session }).filter(([, value]) => value !== undefined);
  return { bars: [timeframe], ...Object.fromEntries(given) };
}
