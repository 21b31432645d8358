/** Waiting, and how long to wait before the next try. */
const FIRST_PAUSE_MS = 50;
const PAUSE_MS_MAX = 3_000;
/**
 * Doubles with each failure, from 50 ms to 3 s, and differs between clients.
 * @param failures from 1
 */
export function pauseAfter(failures) {
    return Math.min(PAUSE_MS_MAX, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10)) * (0.5 + Math.random() / 2);
}
/** @throws the signal's reason */
export function sleep(ms, signal) {
    return new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        const timer = setTimeout(done, ms);
        signal?.addEventListener("abort", done);
        function done() {
            clearTimeout(timer);
            signal?.removeEventListener("abort", done);
            if (signal?.aborted)
                reject(signal.reason);
            else
                resolve();
        }
    });
}
