/** A connection to `/ws`, for all tickers at once and for more than a stream of events takes. */
import { StreamError } from "./errors.js";
/** What a program hasn't read yet, in characters. Beyond it the connection ends, and comes back. */
const QUEUE_CHARACTERS_MAX = 16_000_000;
const OPENING_MS = 30_000;
const GOING_AWAY = 1000;
/** What closes them would close the next one too. */
export const FINAL_CLOSES = new Set([1008, 4010, 4401]);
export async function openWebSocket(about) {
    const { server, Socket, tickers, parameters, slow, place, silenceMs } = about;
    const query = new URLSearchParams({ symbols: "", frames: "normalized", batch: "true" });
    if (slow !== undefined)
        query.set("slow", slow);
    const url = server.address("/ws", query);
    url.protocol = url.protocol.replace("http", "ws");
    const key = await server.key();
    const socket = new Socket(url.href, key === null ? undefined : ["stock-db", `bearer.${key}`]);
    const queue = new Queue(() => socket.close(GOING_AWAY));
    let timer = setTimeout(() => queue.fail(new Error(`${url.origin}: no WebSocket within ${OPENING_MS} ms`)), OPENING_MS);
    const beat = () => {
        clearTimeout(timer);
        timer = setTimeout(() => queue.fail(new Error(`the stream was silent for ${silenceMs} ms`)), silenceMs);
    };
    socket.onopen = () => {
        beat();
        socket.send(JSON.stringify({
            ...{ action: "subscribe", symbols: tickers ?? "*", ...parameters },
            ...(place.since === null ? {} : { since: place.since, epoch: place.epoch ?? undefined }),
        }));
    };
    socket.onmessage = ({ data }) => {
        beat();
        queue.push(String(data));
    };
    socket.onerror = () => queue.fail(new Error(`${url.origin}: the WebSocket failed`));
    socket.onclose = ({ code, reason }) => {
        clearTimeout(timer);
        const why = `the server closed the WebSocket${reason === "" ? "" : `: ${reason}`}`;
        queue.fail(FINAL_CLOSES.has(code) ? new StreamError(String(code), why) : new Error(`${why} (${code})`));
    };
    return {
        next: () => queue.next(),
        close() {
            clearTimeout(timer);
            queue.fail(new Error("closed"));
            socket.close(GOING_AWAY);
        },
    };
}
/** Frames that wait for the program. A browser can't tell a server to send more slowly. */
class Queue {
    #texts = [];
    #characters = 0;
    #isFull = false;
    #error = null;
    #wake = () => undefined;
    #onFull;
    constructor(onFull) {
        this.#onFull = onFull;
    }
    push(text) {
        if (this.#isFull || this.#error !== null)
            return;
        if (this.#texts.length > 0 && this.#characters + text.length > QUEUE_CHARACTERS_MAX) {
            // What is dropped from here on comes again behind what is read.
            this.#isFull = true;
            this.#onFull();
            this.#wake();
            return;
        }
        this.#texts.push(text);
        this.#characters += text.length;
        this.#wake();
    }
    /** The first reason counts; what came before is read first. */
    fail(error) {
        this.#error ??= error;
        this.#wake();
    }
    async next() {
        while (this.#texts.length === 0) {
            if (this.#isFull)
                return null;
            if (this.#error !== null)
                throw this.#error;
            await new Promise((resolve) => {
                this.#wake = resolve;
            });
        }
        const texts = this.#texts;
        this.#texts = [];
        this.#characters = 0;
        return texts.flatMap((text) => {
            const frame = JSON.parse(text);
            return frame.type === "batch" ? frame.updates : [frame];
        });
    }
}
