import type { Spool } from "./spool-contract.ts";
export interface SpoolOptions {
    /** On the disk, at most; then the writer waits. Default: 1,000,000,000. */
    bytesMax?: number;
}
/**
 * @param folder Is made where it isn't there. It belongs to one writer at a time.
 * What is written survives the end of the program; for a power failure it isn't synced.
 */
export declare function fileSpool(folder: string, { bytesMax }?: SpoolOptions): Spool;
