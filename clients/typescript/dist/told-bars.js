/** Longer than what may come again. */
const REMEMBERED_MS = 120_000;
export class ToldBars {
    /** Of a ticker and timeframe, by stamp: the bar as it was told. */
    #told = new Map();
    constructor(kept) {
        for (const [series, bars] of Object.entries(kept))
            this.#told.set(series, new Map(bars.map((text) => [JSON.parse(text).timestamp, text])));
    }
    kept() {
        return Object.fromEntries([...this.#told].map(([series, bars]) => [series, [...bars.values()]]));
    }
    /** The frame without bars that were told just so; null: it has no others. */
    news(frame) {
        if (frame.type !== "bars" && frame.type !== "updated_bars")
            return frame;
        const told = this.#told.get(seriesOf(frame));
        if (told === undefined)
            return frame;
        const records = frame.records.filter((bar) => told.get(bar.timestamp) !== JSON.stringify(bar));
        return records.length === 0 ? null : { ...frame, records };
    }
    told(frame) {
        if (frame.type !== "bars" && frame.type !== "updated_bars")
            return;
        const series = seriesOf(frame);
        const told = this.#told.get(series) ?? new Map();
        this.#told.set(series, told);
        let newest = 0;
        for (const bar of frame.records) {
            told.set(bar.timestamp, JSON.stringify(bar));
            newest = Math.max(newest, Date.parse(bar.end));
        }
        for (const [stamp, text] of told)
            if (Date.parse(JSON.parse(text).end) < newest - REMEMBERED_MS)
                told.delete(stamp);
    }
}
function seriesOf(frame) {
    return `${frame.timeframe} ${frame.ticker}`;
}
