export interface ConnectOptions {
    /** A key of `stock-db-server keys`, or what gives the one that is valid now. */
    key?: string | (() => string | Promise<string>);
    /** How long a question or a save is tried while the server is away or busy. Default: 30,000. */
    retryForMs?: number;
    /** A request of which nothing has come for so long has failed. Default: 60,000. */
    timeoutMs?: number;
    /** Gets what the server warns of, such as a ticker without rows. Default: it is left aside. */
    onWarning?: (warning: string) => void;
    /** Default: that of the platform. */
    fetch?: typeof fetch;
}
export interface Ask {
    path: string;
    query?: URLSearchParams;
    /** Sent by POST. */
    body?: string;
    headers?: Record<string, string>;
    signal?: AbortSignal | undefined;
    /** Default: that of the connection. */
    retryForMs?: number;
    /** Statuses beside 429, 502 and 503 that are worth another try. */
    retried?: readonly number[];
    onRetry?: (error: Error) => void;
    /** Only the head of the answer has a time limit. */
    isEndless?: boolean;
}
/** @param alive To be called when something has come. */
export type ReadAnswer<T> = (answer: Response, alive: () => void) => Promise<T>;
export declare class Connection {
    #private;
    readonly url: URL;
    readonly options: ConnectOptions;
    constructor(url: string | URL, options: ConnectOptions);
    address(path: string, query?: URLSearchParams): URL;
    key(): Promise<string | null>;
    /**
     * Tries until an answer was read to its end.
     * @throws RequestError The server has refused. @throws UnreachableError No answer in time.
     */
    ask<T>(ask: Ask, read: ReadAnswer<T>): Promise<T>;
    /** One try. What breaks on the way is thrown as it is. */
    once<T>(ask: Ask, read: ReadAnswer<T>): Promise<T>;
    warn(warnings: readonly string[]): void;
}
