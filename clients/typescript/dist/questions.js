import { parseExact, stringifyExact } from "./exact-json.js";
import { parametersOf, Question } from "./question.js";
import { shapeSnapshot } from "./snapshots.js";
/** What can be asked. A bundle that has no more of this client is a third of it. */
export class Questions {
    #server;
    constructor(server) {
        this.#server = server;
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
            this.#server.warn(warnings ?? []);
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
    #question(path, symbols, options, about = {}) {
        return new Question({
            server: this.#server,
            path,
            hasPages: true,
            ...parametersOf(symbols, options),
            ...about,
        });
    }
    #post(path, body, signal) {
        return this.#server.ask({ path, body, signal, headers: { "content-type": "application/json" } }, async (answer) => parseExact(await answer.text()));
    }
}
