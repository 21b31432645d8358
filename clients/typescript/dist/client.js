/** `connect()` and what it gives: the questions, saves and streams of one server. */
import { Connection } from "./connection.js";
import { historyThenLive } from "./history-then-live.js";
import { Questions } from "./questions.js";
import { saveRows, } from "./saves.js";
import { Stream } from "./stream.js";
import { Writer } from "./writer.js";
/** @param url Such as `http://localhost:8080`. Nothing is sent before the first question. */
export function connect(url, options = {}) {
    return new Client(new Connection(url, options));
}
export class Client extends Questions {
    #server;
    constructor(server) {
        super(server);
        this.#server = server;
    }
    /** @throws SaveError Says exactly which rows are stored. */
    saveBars(rows, options) {
        return saveRows(this.#server, "/v1/bars", rows, options);
    }
    /** Give each trade its `id`, where the feed has one: then no repetition is stored twice. */
    saveTrades(rows, options = {}) {
        return saveRows(this.#server, "/v1/trades", rows, options);
    }
    saveQuotes(rows, options = {}) {
        return saveRows(this.#server, "/v1/quotes", rows, options);
    }
    /** Collects rows of all tickers for some milliseconds, and saves them together. */
    writer(options = {}) {
        return new Writer(this.#server, options);
    }
    /** Every update of these tickers once and in order; `*` are all tickers. */
    stream(symbols, options = {}) {
        return new Stream(this.#server, symbols, options);
    }
    /** The stored rows of each ticker, and then its updates from just behind them. */
    historyThenLive(symbols, options) {
        return historyThenLive(this.#server, symbols, options);
    }
}
