/** The questions of `/v1`, as methods. */
import type { Connection } from "./connection.ts";
import type { AsofParameters, Bar, BarsParameters, CorporateAction, CorporateActionsParameters, LatestParameters, OptionChainParameters, OptionSnapshot, Quote, QuotesParameters, SnapshotsParameters, TickersParameters, Trade, TradesParameters } from "./generated/api.ts";
import { type Asking, Question } from "./question.ts";
import { type Snapshot } from "./snapshots.ts";
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
/** What can be asked. A bundle that has no more of this client is a third of it. */
export declare class Questions {
    #private;
    constructor(server: Connection);
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
}
