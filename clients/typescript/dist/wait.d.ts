/** Waiting, and how long to wait before the next try. */
/**
 * Doubles with each failure, from 50 ms to 3 s, and differs between clients.
 * @param failures from 1
 */
export declare function pauseAfter(failures: number): number;
/** @throws the signal's reason */
export declare function sleep(ms: number, signal?: AbortSignal): Promise<void>;
