import type { Http } from "./http.ts";
import type { Frame } from "./updates.ts";
/** Where frames come from. One `next` at a time. */
export interface FrameSource {
    /** null: the connection has ended. Throws where it broke, or was refused. */
    next(): Promise<Frame[] | null>;
    close(): void;
}
export declare function openEvents(http: Http, query: URLSearchParams, { silenceMs, signal }: {
    silenceMs: number;
    signal: AbortSignal;
}): Promise<FrameSource>;
/** Statuses that stay as they are, however often it is tried. */
export declare function isFinal(error: unknown): boolean;
