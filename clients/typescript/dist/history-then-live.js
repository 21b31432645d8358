import { StockDBError } from "./errors.js";
import { Questions } from "./questions.js";
import { Stream } from "./stream.js";
/**
 * First the history of each ticker, one after the other and in memory as a whole; then updates. The
 * last bar of a history may still run: its newest version, by `timestamp`, is the one that counts.
 */
export async function* historyThenLive(server, symbols, options) {
    const tickers = typeof symbols === "string" ? symbols.split(",") : symbols;
    const pattern = tickers.find((ticker) => ticker.includes("*"));
    if (tickers.length === 0 || pattern !== undefined)
        throw new StockDBError(`historyThenLive: got ${pattern ?? "no ticker"}, expected the names of tickers`);
    const { transport, webSocket, silenceMs, onConnection, slow, signal, of, ...question } = options;
    const db = new Questions(server);
    const since = {};
    let epoch = null;
    for (const ticker of new Set(tickers)) {
        const rows = await readHistory(db, ticker, options, {
            ...question,
            ...(signal && { signal }),
            withPosition: true,
        });
        epoch ??= rows.epoch;
        if (rows.epoch !== epoch)
            throw new StockDBError("historyThenLive: the database became another one meanwhile; begin anew");
        since[ticker] = rows.positions?.[ticker] ?? 0;
        yield { type: "history", ticker, rows, position: since[ticker], epoch: epoch };
    }
    const live = { transport, webSocket, silenceMs, onConnection, slow, signal };
    const given = Object.fromEntries(Object.entries(live).filter(([, value]) => value !== undefined));
    yield* new Stream(server, [...tickers], {
        ...given,
        ...wishOf(options),
        since,
        ...(epoch !== null && { epoch }),
    });
}
function readHistory(db, ticker, options, question) {
    if (options.of === "trades")
        return db.trades(ticker, question).rows();
    if (options.of === "quotes")
        return db.quotes(ticker, question).rows();
    const { partial: _, ...bars } = question;
    return db.bars(ticker, { ...bars, source: "trades" }).rows();
}
/** Deletions of what is watched come with its type. */
function wishOf(options) {
    if (options.of !== "bars")
        return { types: [options.of === "trades" ? "trade" : "quote"] };
    const { timeframe, partial, calendar, session } = options;
    const given = Object.entries({ partial, calendar, session }).filter(([, value]) => value !== undefined);
    return { bars: [timeframe], ...Object.fromEntries(given) };
}
