/** Snapshots: the parts of a flat row, each as a row of its table. */
import type { Bar, Quote, Trade } from "./generated/api.ts";
type Part<Row> = Omit<Row, "symbol"> | null;
export interface Snapshot {
    symbol: string;
    latestTrade: Part<Trade>;
    latestQuote: Part<Quote>;
    minuteBar: Part<Bar>;
    dailyBar: Part<Bar>;
    prevDailyBar: Part<Bar>;
}
export declare function shapeSnapshot(row: Record<string, unknown>): Snapshot;
export {};
