/** A question to `/v1`: asked when its answer is awaited or iterated. */
import { stringifyExact } from "./exact-json.js";
import { readRows } from "./ndjson.js";
const PAGE_ROWS = 10_000;
const PAGE_ROWS_MAX = 100_000;
const NDJSON = "ndjson";
/**
 * - `await question` gives all rows, of one snapshot of the database. An answer that breaks off is
 *   asked for again as a whole.
 * - `for await (const row of question)` and `question.pages()` hold one page in memory. Each page
 *   is of a snapshot of its own.
 */
export class Question {
    #about;
    #rows = null;
    constructor(about) {
        this.#about = about;
    }
    // biome-ignore lint/suspicious/noThenProperty: it is awaited.
    then(done, failed) {
        return this.rows().then(done, failed);
    }
    /** All rows; asked for once, however often it is called. */
    rows() {
        this.#rows ??= this.#page({}).then(asRows);
        return this.#rows;
    }
    /** All values by column. At most 500,000 rows. */
    async columns() {
        const { columns } = await this.#columns();
        return columns;
    }
    /**
     * All rows as a table of an Arrow library, which reads the bytes:
     * `question.arrow(tableFromIPC)` with that of `apache-arrow`.
     */
    async arrow(read) {
        return read(await this.bytes("arrow"));
    }
    /** The answer as a file of this format. */
    bytes(format) {
        const { server } = this.#about;
        return server.ask(this.#ask(format, {}), async (answer) => {
            server.warn(toldBy(answer.headers).warnings);
            return new Uint8Array(await answer.arrayBuffer());
        });
    }
    /** @param rows Of a page, at most; up to 100,000. */
    async *pages(rows = PAGE_ROWS) {
        const { hasPages, parameters } = this.#about;
        if (!hasPages) {
            yield await this.rows();
            return;
        }
        let left = parameters.limit ?? Number.POSITIVE_INFINITY;
        for (let token = null;;) {
            const limit = Math.min(left, rows, PAGE_ROWS_MAX);
            const page = await this.#page({ limit, ...(token === null ? {} : { page_token: token }) });
            left -= page.rows.length;
            token = page.nextPageToken;
            if (page.rows.length > 0)
                yield asRows(page);
            if (token === null || left <= 0)
                return;
        }
    }
    async *[Symbol.asyncIterator]() {
        for await (const page of this.pages())
            yield* page;
    }
    /**
     * Positions of many tickers are beside rows in JSON alone. Of one they are in the header, and a
     * long answer fits.
     */
    #page(more) {
        const { server, parameters, shape } = this.#about;
        if (parameters.with_position === true && !isOfOneTicker(parameters))
            return this.#columns(more);
        return server.ask(this.#ask(NDJSON, more), async (answer, alive) => {
            const rows = await readRows(answer, alive);
            const told = toldBy(answer.headers);
            server.warn(told.warnings);
            return { rows: shape === undefined ? rows : rows.map(shape), ...told };
        });
    }
    #columns(more = {}) {
        const { server, shape } = this.#about;
        return server.ask(this.#ask("columns", more), async (answer) => {
            const { columns, next_page_token, epoch, positions, warnings } = await answer.json();
            const names = Object.keys(columns);
            const rows = Array.from(columns[names[0]] ?? [], (_, row) => Object.fromEntries(names.map((name) => [name, columns[name][row]])));
            const told = {
                warnings: warnings ?? [],
                nextPageToken: next_page_token ?? null,
                epoch: epoch ?? null,
                positions: positions ?? null,
            };
            server.warn(told.warnings);
            return { columns, rows: shape === undefined ? rows : rows.map(shape), ...told };
        });
    }
    #ask(format, more) {
        const { path, parameters, signal } = this.#about;
        return {
            ...{ path, signal, body: stringifyExact({ ...parameters, ...more, format }) },
            headers: { "content-type": "application/json" },
        };
    }
}
/**
 * The parameters of the server, of those of a program.
 * @param symbols one ticker or pattern, or several; none is left out.
 */
export function parametersOf(symbols, options) {
    const { signal, ...rest } = options;
    const parameters = {};
    if (symbols !== null && symbols.length > 0)
        parameters.symbols = symbols;
    for (const [name, value] of Object.entries(rest))
        if (value !== undefined)
            parameters[snakeCase(name)] = isList(name, value) ? value.join(",") : value;
    return { parameters, signal };
}
export function snakeCase(name) {
    return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
/** Lists that the server takes as a text alone. */
function isList(name, value) {
    return Array.isArray(value) && (name === "indicators" || name === "rightColumns");
}
function isOfOneTicker({ symbols, symbol }) {
    if (symbol !== undefined)
        return true;
    const list = typeof symbols === "string" ? symbols.split(",") : symbols;
    return list.length === 1 && !list[0].includes("*");
}
function asRows({ rows, ...told }) {
    const { warnings, nextPageToken, epoch, positions } = told;
    return Object.assign(rows, { warnings, nextPageToken, epoch, positions });
}
function toldBy(headers) {
    const json = (name) => JSON.parse(headers.get(name) ?? "null");
    return {
        warnings: json("warnings") ?? [],
        nextPageToken: headers.get("next-page-token"),
        epoch: headers.get("epoch"),
        positions: json("positions"),
    };
}
