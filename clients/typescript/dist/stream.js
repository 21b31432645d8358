/** Live updates, over lost connections and restarts of the server and of the program. */
import { RequestError, StockDBError, StreamError } from "./errors.js";
import { isFinal, openEvents } from "./event-source.js";
import { readKept, StateKeeper, storageOf } from "./state.js";
import { Tracker } from "./tracker.js";
import { pauseAfter, sleep } from "./wait.js";
import { FINAL_CLOSES, openWebSocket } from "./web-socket.js";
const EVENT_TICKERS_MAX = 250;
/** The server takes 16 KB of a request's head. */
const EVENT_QUERY_MAX = 14_000;
const SILENCE_MS = 45_000;
const STATE_EVERY_MS = 1_000;
/** What the server says it can't do now, as by an error event. */
const REFUSED_MS = 5_000;
const NEVER = new Set([
    ...["bad_json", "bad_message", "unknown_action", "too_many_symbols", "not_allowed", "key_not_valid"],
    ...Array.from(FINAL_CLOSES, String),
]);
/**
 * Iterate it, once. An update counts as seen when the next one is asked for: one at which the loop
 * is left comes again in the next run, unless `seen()` was called.
 */
export class Stream {
    #server;
    /** null: all. */
    #tickers;
    #options;
    #abort = new AbortController();
    #tracker = null;
    #current = null;
    #isIterated = false;
    /** Connections that were begun, and updates that came twice and were left aside. */
    figures = { connections: 0, updates: 0, repeated: 0 };
    constructor(server, symbols, options) {
        const list = [...new Set(typeof symbols === "string" ? symbols.split(",") : symbols)];
        if (list.length === 0)
            throw new StockDBError("stream: got no ticker, expected some, or *");
        this.#server = server;
        this.#tickers = list.includes("*") ? null : list;
        this.#options = options;
        const { signal } = options;
        const stop = () => this.#abort.abort(signal?.reason);
        if (signal?.aborted)
            stop();
        else
            signal?.addEventListener("abort", stop, { once: true, signal: this.#abort.signal });
    }
    /** Up to where each ticker was seen. */
    get positions() {
        return Object.fromEntries(this.#tracker?.positions ?? []);
    }
    /** The database in which positions count; null: it isn't known yet. */
    get epoch() {
        return this.#tracker?.epoch ?? null;
    }
    /** The update that was given last is done with, also if none follows. */
    seen() {
        const update = this.#current;
        this.#current = null;
        if (update !== null)
            this.#tracker.seen(update);
    }
    /** Ends the iteration, also while it waits. */
    close() {
        this.#abort.abort();
    }
    [Symbol.asyncIterator]() {
        if (this.#isIterated)
            throw new StockDBError("stream: it is iterated already; make one for each loop");
        this.#isIterated = true;
        return this.#run();
    }
    async *#run() {
        const { signal } = this.#options;
        const { tracker, keeper } = await this.#begin();
        this.#tracker = tracker;
        try {
            for (let failures = 0; !this.#abort.signal.aborted;) {
                let pauseMs = 0;
                let reason = "the server ended it";
                try {
                    for await (const update of this.#connection(tracker)) {
                        failures = 0;
                        this.#current = update;
                        yield update;
                        this.seen();
                        await keeper?.changed();
                    }
                }
                catch (error) {
                    if (isForGood(error))
                        throw error;
                    reason = error instanceof Error ? error.message : String(error);
                    if (error instanceof StockDBError)
                        pauseMs = REFUSED_MS;
                }
                if (this.#abort.signal.aborted)
                    break;
                tracker.ended();
                failures++;
                pauseMs = Math.max(pauseMs, pauseAfter(failures));
                this.#options.onConnection?.({ isOpen: false, reason, retryInMs: pauseMs });
                await sleep(pauseMs, this.#abort.signal).catch(() => undefined);
            }
            signal?.throwIfAborted();
        }
        finally {
            this.#current = null;
            await keeper?.changed();
            await keeper?.flush();
            this.#abort.abort();
        }
    }
    async #begin() {
        const { state, stateEveryMs = STATE_EVERY_MS, since = null, epoch, types, bars, slow, snapshot, } = this.#options;
        const storage = state === undefined ? null : storageOf(state);
        const kept = storage === null ? null : await readKept(storage, typeof state === "string" ? state : "");
        const tracker = new Tracker(kept ?? { epoch: epoch ?? null, positions: {} }, {
            isWhole: types === undefined && bars === undefined && (slow ?? "disconnect") !== "conflate",
            isOfAll: this.#tickers === null,
            wantsSnapshots: snapshot ?? false,
            since,
        });
        const keeper = storage === null ? null : new StateKeeper(storage, stateEveryMs, () => tracker.kept());
        return { tracker, keeper };
    }
    /** The updates of one connection. What was seen is what was asked behind. */
    async *#connection(tracker) {
        this.figures.connections++;
        const { signal } = this.#abort;
        let source = null;
        const stop = () => source?.close();
        signal.addEventListener("abort", stop);
        try {
            source = await this.#open(tracker.place(this.#tickers));
            let isFirst = true;
            for (;;) {
                if (signal.aborted)
                    return;
                const frames = await source.next();
                if (frames === null)
                    return;
                for (const frame of frames) {
                    if (isFirst && frame.type !== "error")
                        this.#options.onConnection?.({ isOpen: true });
                    isFirst = false;
                    const update = tracker.take(frame);
                    this.figures.repeated = tracker.repeated;
                    if (update === null)
                        continue;
                    this.figures.updates++;
                    yield update;
                    if (signal.aborted)
                        return;
                }
            }
        }
        finally {
            signal.removeEventListener("abort", stop);
            source?.close();
        }
    }
    #open(place) {
        const { webSocket, slow, silenceMs = SILENCE_MS, transport } = this.#options;
        const parameters = this.#parameters();
        const query = this.#query(parameters, place);
        const fits = query !== null && query.toString().length <= EVENT_QUERY_MAX;
        if (transport === "events" && !fits)
            throw new StockDBError(`stream: expected at most ${EVENT_TICKERS_MAX} tickers without commas for events, and no *`);
        if (fits && transport !== "websocket") {
            const { signal } = this.#abort;
            return openEvents(this.#server, query, { silenceMs, signal });
        }
        const Socket = webSocket ?? globalThis.WebSocket;
        if (Socket === undefined)
            throw new StockDBError("stream: this many tickers, or *, need a WebSocket, which this platform lacks: give one as webSocket, such as that of the package ws");
        const about = { server: this.#server, Socket, tickers: this.#tickers, slow, place, silenceMs };
        return openWebSocket({ ...about, parameters });
    }
    #parameters() {
        const { types, bars, partial, source, calendar, session, emptyBars } = this.#options;
        const list = (value) => typeof value === "string" ? value.split(",") : value;
        const given = {
            types: list(types),
            bars: list(bars),
            partial,
            source,
            calendar,
            session,
            empty_bars: emptyBars,
        };
        // A snapshot tells where each ticker begins, so that nothing is missed from there on.
        return { ...given, snapshot: true };
    }
    /** null: only a WebSocket can ask for it. */
    #query(parameters, { since, epoch }) {
        const tickers = this.#tickers;
        if (tickers === null ||
            tickers.length > EVENT_TICKERS_MAX ||
            tickers.some((ticker) => /[,\s]/.test(ticker)))
            return null;
        const query = new URLSearchParams({ symbols: tickers.join(",") });
        for (const [name, value] of Object.entries({ ...parameters, slow: this.#options.slow }))
            if (value !== undefined)
                query.set(name, String(value));
        if (since === null)
            return query;
        const text = typeof since === "string" ? since : sinceText(since);
        if (text === null)
            return null;
        query.set("since", text);
        if (epoch !== null)
            query.set("epoch", epoch);
        return query;
    }
}
/**
 * A query has positions, or one time for all. With the time, those that have a position begin too
 * early, and what was seen is left aside. null: there are several times.
 */
function sinceText(since) {
    const times = new Set(Object.values(since).filter((moment) => !/^\d+$/.test(String(moment))));
    if (times.size > 1)
        return null;
    for (const time of times)
        return String(time);
    return Object.entries(since)
        .map(([ticker, position]) => `${ticker}:${position}`)
        .join(",");
}
/** What is thrown to the program; all else is a reason to connect again. */
function isForGood(error) {
    if (error instanceof RequestError)
        return isFinal(error);
    if (error instanceof StreamError)
        return NEVER.has(error.code);
    return error instanceof StockDBError;
}
