/**
 * Collects rows of all tickers for some milliseconds, and saves them together. Each batch is sent
 * until it is answered, under one key, so that a repetition changes nothing.
 */
import type { Connection } from "./connection.ts";
import { RequestError, StockDBError } from "./errors.ts";
import type { SaveQuotesParameters, SaveTradesParameters } from "./generated/api.ts";
import { type SaveAnswer, type SentBar, type SentQuote, type SentTrade } from "./saves.ts";
import type { Spool } from "./spool-contract.ts";
export interface WriterOptions {
    /** How long rows wait for others, at most. Default: 20. */
    intervalMs?: number;
    /** Rows of a batch, at most; up to 15,000. Default: 5,000. */
    batchRows?: number;
    /** Rows in memory. Then `trade()`, `quote()` and `bar()` wait. Default: 50,000. */
    queueRows?: number;
    /** The same in characters. Default: 64,000,000. */
    queueCharacters?: number;
    /** What becomes of a tick that is stored already; see docs/commands.md. Default: `ignore`. */
    onDuplicate?: SaveTradesParameters["onDuplicate"] & SaveQuotesParameters["onDuplicate"];
    /** Batches wait on the disk for their answers: `fileSpool(…)` of `stock-db-client/spool`. */
    spool?: Spool;
    /** Is told of each row that the server refuses. Without it, `flush()` and `close()` throw. */
    onRefused?: (refused: Refused) => void;
    /** Is told of each answer. */
    onSaved?: (answer: SaveAnswer) => void;
    /** How long `close()` waits for the last answers. Default: 60,000. */
    closeMs?: number;
}
export interface Refused {
    /** As it was sent, with its `symbol`. */
    row: Record<string, unknown>;
    error: RequestError;
}
export interface WriterFigures {
    /** Taken from the program in this run. */
    rows: number;
    /** What has become of them, as the server counts. */
    stored: number;
    replaced: number;
    repeated: number;
    skipped: number;
    refused: number;
    requests: number;
    retries: number;
    /** Waiting in memory, and on the disk, for an answer. */
    queuedRows: number;
    spooledRows: number;
    /** Why the last try failed; null: it didn't. */
    lastError: string | null;
}
export declare class Writer implements AsyncDisposable {
    #private;
    readonly figures: WriterFigures;
    constructor(server: Connection, options: WriterOptions);
    /** Resolves when there is room for the next row; the row itself is taken at once. */
    trade(symbol: string, row: SentTrade): Promise<void>;
    quote(symbol: string, row: SentQuote): Promise<void>;
    bar(symbol: string, timeframe: string, row: SentBar): Promise<void>;
    /**
     * Resolves when all rows that were taken before are answered.
     * @throws RefusedError Rows were refused, and nobody listens.
     * @throws StockDBError It can't go on.
     */
    flush(): Promise<void>;
    /** Sends what is left. With a spool, what isn't answered in time stays in it for the next run. */
    close(): Promise<void>;
    [Symbol.asyncDispose](): Promise<void>;
}
/** Rows that the server has refused; all others are stored. */
export declare class RefusedError extends StockDBError {
    name: string;
    /** The first 100. */
    readonly refused: readonly Refused[];
    constructor(refused: readonly Refused[]);
}
