/**
 * A connection to `/v1/stream`: server-sent events, read with `fetch`. So a key can be sent as a
 * header from everywhere, and what isn't asked for isn't read.
 */
import type { Connection } from "./connection.ts";
import type { Frame } from "./updates.ts";
/** Where frames come from. One `next` at a time. */
export interface FrameSource {
    /** null: the connection has ended. Throws where it broke, or was refused. */
    next(): Promise<Frame[] | null>;
    close(): void;
}
export declare function openEvents(server: Connection, query: URLSearchParams, { silenceMs, signal }: {
    silenceMs: number;
    signal: AbortSignal;
}): Promise<FrameSource>;
/** Statuses that stay as they are, however often it is tried. */
export declare function isFinal(error: unknown): boolean;
