/** Rows of one kind: they are sent in their order, one batch at a time. */
import type { Batch, LeftBatch } from "./spool-contract.ts";
interface LaneWork {
    intervalMs: number;
    batchRows: number;
    /** Also while a batch is under way; else rows gather for the next one. */
    cutsAlways: boolean;
    make(lines: string[]): Batch;
    keep(batch: Batch): Promise<void>;
    send(batch: Batch): Promise<void>;
    settled(): void;
    failed(error: Error): void;
}
export declare class Lane {
    #private;
    /** Rows taken, and rows of which it is known what has become of them. */
    taken: number;
    settled: number;
    constructor(work: LaneWork);
    add(line: string): void;
    /** Of an earlier run. */
    addKept(left: LeftBatch): void;
    /** What has gathered is a batch. */
    cut(): void;
}
export {};
