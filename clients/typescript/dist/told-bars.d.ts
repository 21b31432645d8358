/**
 * Live bars that a program has been told: after a lost connection, those of the minute before may
 * come again.
 */
import type { Frame } from "./updates.ts";
export declare class ToldBars {
    #private;
    constructor(kept: Record<string, string[]>);
    kept(): Record<string, string[]>;
    /** The frame without bars that were told just so; null: it has no others. */
    news(frame: Frame): Frame | null;
    told(frame: Frame): void;
}
