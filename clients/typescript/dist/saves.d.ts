/** Saves of many rows: split to what the server takes, each request sent until it is answered. */
import type { Connection } from "./connection.ts";
import { type SaveCounts } from "./errors.ts";
import type { Bar, Moment, Quote, Saved, Trade } from "./generated/api.ts";
/** A row to store: the columns of a stored one, of which only the stamp has to be there. */
type Sent<Row> = {
    symbol?: string;
    timestamp: Moment;
} & {
    [Name in Exclude<keyof Row, "symbol" | "timestamp">]?: Row[Name] | bigint | undefined;
};
export type SentBar = Sent<Bar>;
export type SentTrade = Sent<Omit<Trade, "id">> & {
    id?: string | number | bigint | null;
};
export type SentQuote = Sent<Omit<Quote, "id">> & {
    id?: string | number | bigint | null;
};
export interface Saving {
    /**
     * What save it is. The same rows under the same key, later or from another process, change
     * nothing. Default: another one each time.
     */
    key?: string;
    signal?: AbortSignal;
}
export interface SaveAnswer extends SaveCounts {
    /** The database in which positions count. */
    epoch: string | null;
    /** The newest position of each ticker that has changed. */
    positions: Record<string, number>;
    warnings: string[];
}
export declare function saveRows(server: Connection, path: string, rows: Iterable<object> | AsyncIterable<object>, options: Saving & object): Promise<SaveAnswer>;
/** One request, tried until it is answered: repetitions change nothing. */
export declare function postRows(server: Connection, request: {
    path: string;
    query: URLSearchParams;
    lines: readonly string[];
    key: string;
    signal?: AbortSignal | undefined;
    retryForMs?: number;
    onRetry?: (error: Error) => void;
}): Promise<Saved>;
export declare function queryOf(parameters: object): URLSearchParams;
export declare function add(total: SaveAnswer, saved: Saved): void;
/** Not of `crypto.randomUUID`, which pages without TLS lack. */
export declare function randomKey(): string;
export {};
