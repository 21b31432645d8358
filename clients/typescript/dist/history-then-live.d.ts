/** A read and a stream, joined by position: nothing is missed between them, nothing comes twice. */
import type { Connection } from "./connection.ts";
import type { Bar, BarsParameters, Quote, Trade, TradesParameters } from "./generated/api.ts";
import type { Rows } from "./question.ts";
import { type Symbols } from "./questions.ts";
import { type StreamOptions } from "./stream.ts";
import type { Update } from "./updates.ts";
type Live = Pick<StreamOptions, "transport" | "webSocket" | "silenceMs" | "onConnection" | "slow" | "signal">;
/** Ticks, or with `timeframe` bars that the server makes of trades. */
export type HistoryOptions = Live & (HistoryOfTicks | HistoryOfBars);
interface HistoryOfTicks extends Pick<TradesParameters, "start" | "columns"> {
    of: "trades" | "quotes";
}
interface HistoryOfBars extends Pick<BarsParameters, "start" | "columns" | "timeframe" | "calendar" | "session"> {
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
export declare function historyThenLive(server: Connection, symbols: Symbols, options: HistoryOptions): AsyncGenerator<HistoryUpdate | Update, void, undefined>;
export {};
