import type { Moment } from "./generated/api.ts";
import { ToldBars } from "./told-bars.ts";
import { type Frame, type Update } from "./updates.ts";
/** Where a subscription begins. */
export interface Place {
    since: Record<string, number | string> | string | null;
    epoch: string | null;
}
/** What is kept from one run of a program to the next. */
export interface Kept {
    epoch: string | null;
    positions: Record<string, number>;
    /** Tickers that begin anew, with the reason of the gap that has to be told. */
    anew?: Record<string, string>;
    bars?: Record<string, string[]>;
}
export interface Wish {
    /** All updates are asked for, so that their numbers have no holes. */
    isWhole: boolean;
    isOfAll: boolean;
    wantsSnapshots: boolean;
    /** Where tickers without a position begin. */
    since: Moment | Readonly<Record<string, Moment>> | null;
}
export declare class Tracker {
    #private;
    epoch: string | null;
    /** Of what the program has seen. */
    readonly positions: Map<string, number>;
    readonly bars: ToldBars;
    /** Updates that came again and were left aside. */
    repeated: number;
    constructor(kept: Kept | null, wish: Wish);
    kept(): Kept;
    /** @param tickers null: all. */
    place(tickers: readonly string[] | null): Place;
    /**
     * What a frame tells the program; null: nothing.
     * @throws Missed
     */
    take(frame: Frame): Update | null;
    /** The program has seen it, as it asks for the next one. */
    seen(update: Update): void;
    /** A connection has ended: snapshots that were still to come don't. */
    ended(): void;
}
