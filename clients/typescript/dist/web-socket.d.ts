/** A connection to `/ws`, for all tickers at once and for more than a stream of events takes. */
import type { Connection } from "./connection.ts";
import type { FrameSource } from "./event-source.ts";
import type { Place } from "./tracker.ts";
/** A class like that of browsers, Bun, Deno and Node 22; that of the package `ws` is one. */
export type WebSocketClass = new (url: string, protocols?: string[]) => WebSocket;
/** What closes them would close the next one too. */
export declare const FINAL_CLOSES: ReadonlySet<number>;
interface SocketWish {
    server: Connection;
    Socket: WebSocketClass;
    tickers: readonly string[] | null;
    parameters: Record<string, unknown>;
    slow: string | undefined;
    place: Place;
    silenceMs: number;
}
export declare function openWebSocket(about: SocketWish): Promise<FrameSource>;
export {};
