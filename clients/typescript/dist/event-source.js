/**
 * A connection to `/v1/stream`: server-sent events, read with `fetch`. So a key can be sent as a
 * header from everywhere, and what isn't asked for isn't read.
 */
import { RequestError } from "./errors.js";
const OPENING_MS = 30_000;
export async function openEvents(server, query, { silenceMs, signal }) {
    const abort = new AbortController();
    signal.addEventListener("abort", () => abort.abort(signal.reason), { signal: abort.signal });
    const within = (ms, promise) => {
        const timer = setTimeout(() => abort.abort(new Error(`the stream was silent for ${ms} ms`)), ms);
        return promise
            .catch((error) => {
            throw abort.signal.aborted ? abort.signal.reason : error;
        })
            .finally(() => clearTimeout(timer));
    };
    const { promise, done } = opened(server, query, abort);
    const reader = await within(OPENING_MS, promise);
    const decoder = new TextDecoder();
    let text = "";
    return {
        async next() {
            const piece = await within(silenceMs, reader.read());
            if (piece.done)
                return null;
            text += decoder.decode(piece.value, { stream: true });
            const end = text.lastIndexOf("\n\n");
            if (end < 0)
                return [];
            const events = text.slice(0, end).split("\n\n");
            text = text.slice(end + 2);
            return events.flatMap(framesOf);
        },
        close() {
            abort.abort();
            done();
        },
    };
}
/** The answer has no end, so its head is awaited alone. */
function opened(server, query, abort) {
    let done = () => undefined;
    const closed = new Promise((resolve) => {
        done = resolve;
    });
    const promise = new Promise((resolve, reject) => {
        const ask = { path: "/v1/stream", query, signal: abort.signal, isEndless: true };
        http
            .once(ask, async (answer) => {
            resolve(answer.body.getReader());
            await closed;
        })
            .catch(reject);
    });
    return { promise, done: () => done() };
}
function framesOf(event) {
    const data = [];
    for (const line of event.split("\n"))
        if (line.startsWith("data: "))
            data.push(line.slice("data: ".length));
    return data.length === 0 ? [] : [JSON.parse(data.join("\n"))];
}
/** Statuses that stay as they are, however often it is tried. */
export function isFinal(error) {
    return error instanceof RequestError && error.status >= 400 && error.status < 500 && error.status !== 429;
}
