/** Live updates, over lost connections and restarts of the server and of the program. */
import type { Connection } from "./connection.ts";
import type { Moment } from "./generated/api.ts";
import type { Asking } from "./question.ts";
import { type StateStorage } from "./state.ts";
import type { Update } from "./updates.ts";
import { type WebSocketClass } from "./web-socket.ts";
export interface StreamOptions extends Asking {
    /** `trade`, `quote`, `bar`, or others of the server. Default: all, or none beside `bars`. */
    types?: string | readonly string[];
    /** Bars that the server makes of trades: `["1Min"]`. */
    bars?: string | readonly string[];
    /** How often a bar that still runs is told, such as `1s`. Default: never. */
    partial?: string;
    /** Of bars: also those without a trade. */
    emptyBars?: boolean;
    /** Of bars: `quotes`, and which hours count. */
    source?: string;
    calendar?: string;
    session?: string;
    /** Where to begin, if `state` doesn't say it: a time, or positions by ticker. Default: now. */
    since?: Moment | Readonly<Record<string, Moment>>;
    /** The database in which positions of `since` count. */
    epoch?: string;
    /**
     * Where positions are kept between runs of the program: a file, in browsers an entry of
     * `localStorage`, or what reads and writes a text. Use one for each stream.
     */
    state?: string | StateStorage;
    /** How often the state is written at most; 0: after each update. Default: 1,000. */
    stateEveryMs?: number;
    /** Begin with what is newest of each ticker. */
    snapshot?: boolean;
    /** What the server does while the program reads too slowly: see docs/live-updates.md. */
    slow?: "disconnect" | "conflate" | "gap";
    /**
     * `events` (default) are server-sent events: up to 250 tickers. `websocket` is the default for
     * more of them, and for `*`.
     */
    transport?: "events" | "websocket";
    /** Default: that of the platform. Node 20 has none: give it that of the package `ws`. */
    webSocket?: WebSocketClass;
    /** A connection that brings nothing for so long is given up. Default: 45,000. */
    silenceMs?: number;
    /** Is told of connections as they begin and end. */
    onConnection?: (event: {
        isOpen: true;
    } | {
        isOpen: false;
        reason: string;
        retryInMs: number;
    }) => void;
}
/**
 * Iterate it, once. An update counts as seen when the next one is asked for: one at which the loop
 * is left comes again in the next run, unless `seen()` was called.
 */
export declare class Stream implements AsyncIterable<Update> {
    #private;
    /** Connections that were begun, and updates that came twice and were left aside. */
    readonly figures: {
        connections: number;
        updates: number;
        repeated: number;
    };
    constructor(server: Connection, symbols: string | readonly string[], options: StreamOptions);
    /** Up to where each ticker was seen. */
    get positions(): Record<string, number>;
    /** The database in which positions count; null: it isn't known yet. */
    get epoch(): string | null;
    /** The update that was given last is done with, also if none follows. */
    seen(): void;
    /** Ends the iteration, also while it waits. */
    close(): void;
    [Symbol.asyncIterator](): AsyncGenerator<Update, void, undefined>;
}
