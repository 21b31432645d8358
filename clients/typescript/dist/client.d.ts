import type { AsofParameters, Bar, BarsParameters, CorporateAction, CorporateActionsParameters, LatestParameters, OptionChainParameters, OptionSnapshot, Quote, QuotesParameters, SaveBarsParameters, SaveQuotesParameters, SaveTradesParameters, SnapshotsParameters, TickersParameters, Trade, TradesParameters } from "./generated/api.ts";
import { type HistoryOptions, type HistoryUpdate } from "./history-then-live.ts";
import { type ConnectOptions } from "./http.ts";
import { type Asking, Question } from "./question.ts";
import { type SaveAnswer, type Saving, type SentBar, type SentQuote, type SentTrade } from "./saves.ts";
import { type Snapshot } from "./snapshots.ts";
import { Stream, type StreamOptions } from "./stream.ts";
import type { Update } from "./updates.ts";
import { Writer, type WriterOptions } from "./writer.ts";
/** Tickers, or patterns such as `A*`; `*` are all. */
export type Symbols = string | readonly string[];
/** A row of `asof`: the columns of the left, and those of the right with a prefix. */
export type Joined = {
    symbol: string;
    timestamp: string;
} & Record<string, unknown>;
/** A row of bars with what `columns` and `indicators` have named. */
export type BarRow = Bar & {
    [figure: `${string}_${string}`]: unknown;
    end?: string;
    first?: string;
    last?: string;
};
export interface TickerRow {
    symbol: string;
    /** Of its rows: `daily`, `hourly`, `interval`, `ticks`, `options`, `financial`, `actions`. */
    kinds: string[];
    /** With `series`: each with its first and last stamp. */
    series?: {
        kind: string;
        series: string;
        first: string | null;
        last: string | null;
    }[];
}
type SentRows<Row> = Iterable<Row> | AsyncIterable<Row>;
/** @param url Such as `http://localhost:8080`. Nothing is sent before the first question. */
export declare function connect(url: string | URL, options?: ConnectOptions): Client;
export declare class Client {
    #private;
    constructor(url: string | URL, options?: ConnectOptions);
    /** Bars, oldest first within each ticker; stored ones, or made of smaller ones or of ticks. */
    bars(symbols: Symbols, options: BarsParameters & Asking): Question<BarRow>;
    trades(symbols: Symbols, options?: TradesParameters & Asking): Question<Trade>;
    quotes(symbols: Symbols, options?: QuotesParameters & Asking): Question<Quote>;
    /** Rows of one table, each with the newest row of another by then. */
    asof(symbols: Symbols, options: AsofParameters & Asking): Question<Joined>;
    /** The newest trade of each ticker, or with `of` its newest quote or bar. */
    latest(symbols: Symbols, options: LatestParameters & {
        of: "quotes";
    } & Asking): Question<Quote>;
    latest(symbols: Symbols, options: LatestParameters & {
        of: "bars";
    } & Asking): Question<Bar>;
    latest(symbols: Symbols, options?: LatestParameters & {
        of?: "trades";
    } & Asking): Question<Trade>;
    /** Newest trade and quote, minute bar, daily bar and the one before it, of each ticker. */
    snapshots(symbols: Symbols, options?: SnapshotsParameters & Asking): Question<Snapshot>;
    /** The newest snapshot of each contract that hasn't expired. */
    optionChain(underlying: string, options?: OptionChainParameters & Asking): Question<OptionSnapshot>;
    corporateActions(symbols: Symbols, options?: CorporateActionsParameters & Asking): Question<CorporateAction>;
    /** Which tickers there are, and the kinds of their rows. */
    tickers(symbols?: Symbols, options?: TickersParameters & Asking): Promise<TickerRow[]>;
    /**
     * The rows of one statement that reads. Whole numbers are exact: beyond 2^53 they are `bigint`.
     * @param params Of `?`, in order.
     */
    sql<Row = Record<string, unknown>>(sql: string, params?: readonly unknown[], { signal }?: Asking): Promise<Row[]>;
    /** @throws SaveError Says exactly which rows are stored. */
    saveBars(rows: SentRows<SentBar>, options: SaveBarsParameters & {
        timeframe: string;
    } & Saving): Promise<SaveAnswer>;
    /** Give each trade its `id`, where the feed has one: then no repetition is stored twice. */
    saveTrades(rows: SentRows<SentTrade>, options?: SaveTradesParameters & Saving): Promise<SaveAnswer>;
    saveQuotes(rows: SentRows<SentQuote>, options?: SaveQuotesParameters & Saving): Promise<SaveAnswer>;
    /** Collects rows of all tickers for some milliseconds, and saves them together. */
    writer(options?: WriterOptions): Writer;
    /** Every update of these tickers once and in order; `*` are all tickers. */
    stream(symbols: Symbols, options?: StreamOptions): Stream;
    /** The stored rows of each ticker, and then its updates from just behind them. */
    historyThenLive(symbols: Symbols, options: HistoryOptions): AsyncGenerator<HistoryUpdate | Update, void, undefined>;
}
export {};
