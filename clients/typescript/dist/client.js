/** `connect()` and what it gives: the questions, saves and streams of one server. */
import { parseExact, stringifyExact } from "./exact-json.js";
import { historyThenLive } from "./history-then-live.js";
import { Http } from "./http.js";
import { parametersOf, Question } from "./question.js";
import { saveRows, } from "./saves.js";
import { shapeSnapshot } from "./snapshots.js";
import { Stream } from "./stream.js";
import { Writer } from "./writer.js";
/** @param url Such as `http://localhost:8080`. Nothing is sent before the first question. */
export function connect(url, options = {}) {
    return new Client(url, options);
}
export class Client {
    #http;
    constructor(url, options = {}) {
        this.#http = new Http(url, options);
    }
    /** Bars, oldest first within each ticker; stored ones, or made of smaller ones or of ticks. */
    bars(symbols, options) {
        return this.#question("/v1/bars", symbols, options, { hasPages: options.layout !== "wide" });
    }
    trades(symbols, options = {}) {
        return this.#question("/v1/trades", symbols, options);
    }
    quotes(symbols, options = {}) {
        return this.#question("/v1/quotes", symbols, options);
    }
    /** Rows of one table, each with the newest row of another by then. */
    asof(symbols, options) {
        return this.#question("/v1/asof", symbols, options);
    }
    latest(symbols, options = {}) {
        return this.#question("/v1/latest", symbols, options, { hasPages: false });
    }
    /** Newest trade and quote, minute bar, daily bar and the one before it, of each ticker. */
    snapshots(symbols, options = {}) {
        return this.#question("/v1/snapshots", symbols, options, { hasPages: false, shape: shapeSnapshot });
    }
    /** The newest snapshot of each contract that hasn't expired. */
    optionChain(underlying, options = {}) {
        return this.#question("/v1/options", null, { ...options, underlying }, { hasPages: false });
    }
    corporateActions(symbols, options = {}) {
        return this.#question("/v1/corporate-actions", symbols, options);
    }
    /** Which tickers there are, and the kinds of their rows. */
    async tickers(symbols = "*", options = {}) {
        const { parameters, signal } = parametersOf(symbols, options);
        const found = [];
        for (let token = null;;) {
            const body = stringifyExact({ ...parameters, ...(token === null ? {} : { page_token: token }) });
            const answer = await this.#post("/v1/tickers", body, signal);
            const { tickers, next_page_token, warnings } = answer;
            this.#http.warn(warnings ?? []);
            found.push(...tickers);
            token = next_page_token;
            if (token === null || options.limit !== undefined)
                return found;
        }
    }
    /**
     * The rows of one statement that reads. Whole numbers are exact: beyond 2^53 they are `bigint`.
     * @param params Of `?`, in order.
     */
    async sql(sql, params = [], { signal } = {}) {
        const answer = await this.#post("/v1/sql", stringifyExact({ sql, params }), signal);
        return answer.data;
    }
    /** @throws SaveError Says exactly which rows are stored. */
    saveBars(rows, options) {
        return saveRows(this.#http, "/v1/bars", rows, options);
    }
    /** Give each trade its `id`, where the feed has one: then no repetition is stored twice. */
    saveTrades(rows, options = {}) {
        return saveRows(this.#http, "/v1/trades", rows, options);
    }
    saveQuotes(rows, options = {}) {
        return saveRows(this.#http, "/v1/quotes", rows, options);
    }
    /** Collects rows of all tickers for some milliseconds, and saves them together. */
    writer(options = {}) {
        return new Writer(this.#http, options);
    }
    /** Every update of these tickers once and in order; `*` are all tickers. */
    stream(symbols, options = {}) {
        return new Stream(this.#http, symbols, options);
    }
    /** The stored rows of each ticker, and then its updates from just behind them. */
    historyThenLive(symbols, options) {
        return historyThenLive(this, symbols, options);
    }
    #question(path, symbols, options, about = {}) {
        return new Question({
            http: this.#http,
            path,
            hasPages: true,
            ...parametersOf(symbols, options),
            ...about,
        });
    }
    #post(path, body, signal) {
        return this.#http.ask({ path, body, signal, headers: { "content-type": "application/json" } }, async (answer) => parseExact(await answer.text()));
    }
}
