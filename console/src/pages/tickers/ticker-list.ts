/**
 * All tickers and their figures. The lines that are seen are live; all others are read anew from
 * time to time, a part of them after the other.
 */
import { type Signal, signal } from "@preact/signals";
import { LiveSocket } from "../../api/live-socket.ts";
import { getJson, postJson } from "../../api/request.ts";
import { isAbort } from "../../api/server-error.ts";
import { type DayFigures, readDayFigures } from "./day-figures.ts";
import { emptyRow, fillRow, type ShortSnapshot, type TickerRow, takeFrame } from "./ticker-row.ts";

/** Symbols of one request: as many as the server takes. */
const PART = 500;
/** Tickers of a page of their list, the same; and pages, as the browser's memory has a bound. */
const LIST_PAGE = 10_000;
const LIST_PAGES_MAX = 20;
const REFRESH_MS = 15_000;
/** So many refreshes, and the list of tickers itself is read again. */
const LIST_EVERY = 4;
/** A scroll has ended when nothing has moved for so long: then what is seen is subscribed to. */
const SETTLED_MS = 120;
const FIGURES_AT_ONCE = 4;
/** How long the figures of a day of ticks hold; those of daily closes change once a day. */
const FIGURES_MS = 60_000;

interface TickersPage {
  tickers: { symbol: string }[];
  next_page_token: string | null;
}

export class TickerList {
  /** Counts up when something that is shown has changed. */
  readonly version = signal(0);
  readonly rows = signal<readonly TickerRow[]>([]);
  readonly error: Signal<unknown> = signal(null);
  readonly isLoading = signal(true);
  /** There are more tickers than are listed. */
  readonly isCut = signal(false);
  readonly figures = new Map<string, DayFigures>();
  readonly #bySymbol = new Map<string, TickerRow>();
  readonly #socket: LiveSocket;
  readonly #stop = new AbortController();
  /** When, in ms of the page's clock. */
  readonly #asked = new Map<string, number>();
  #seen: readonly TickerRow[] = [];
  #settled: ReturnType<typeof setTimeout> | undefined;
  #refresh: ReturnType<typeof setTimeout> | undefined;
  #refreshes = 0;
  #frame = 0;

  constructor() {
    this.#socket = new LiveSocket({
      subscription: { types: ["trade", "quote", "bar"], snapshot: false },
      onFrame: (frame) => {
        const row = this.#bySymbol.get(frame.ticker);
        if (row === undefined) return;
        if (takeFrame(row, frame)) this.#changed();
        // Something is missing: what is stored says what it was.
        else if (frame.type === "gap" || frame.type === "recovery") void this.#fill([row]).catch(() => {});
      },
    });
    void this.load();
  }

  async load(): Promise<void> {
    clearTimeout(this.#refresh);
    this.error.value = null;
    this.isLoading.value = true;
    try {
      await this.#list();
      for (let from = 0; from < this.rows.value.length; from += PART) {
        await this.#fill(this.rows.value.slice(from, from + PART));
        this.isLoading.value = false;
      }
      void this.#markStale();
    } catch (error) {
      if (!isAbort(error)) this.error.value = error;
    }
    this.isLoading.value = false;
    if (!this.#stop.signal.aborted) this.#refreshLater();
  }

  /** What is in the page now. */
  see(rows: readonly TickerRow[]): void {
    this.#seen = rows;
    clearTimeout(this.#settled);
    this.#settled = setTimeout(() => {
      this.#socket.setSymbols(rows.map(({ symbol }) => symbol));
      void this.#readFigures();
    }, SETTLED_MS);
  }

  close(): void {
    this.#stop.abort();
    this.#socket.close();
    clearTimeout(this.#settled);
    clearTimeout(this.#refresh);
    cancelAnimationFrame(this.#frame);
  }

  async #list(): Promise<void> {
    const known = new Set<string>();
    let next: string | null | undefined;
    for (let page = 0; page < LIST_PAGES_MAX && next !== null; page++) {
      const params = { limit: LIST_PAGE, page_token: next };
      const answer = await getJson<TickersPage>("v1/tickers", params, this.#stop.signal);
      for (const { symbol } of answer.tickers) known.add(symbol);
      next = answer.next_page_token;
    }
    this.isCut.value = next !== null;
    const before = this.#bySymbol.size;
    const gone = [...this.#bySymbol.keys()].filter((symbol) => !known.has(symbol));
    for (const symbol of gone) this.#bySymbol.delete(symbol);
    for (const symbol of known) {
      if (!this.#bySymbol.has(symbol)) this.#bySymbol.set(symbol, emptyRow(symbol));
    }
    if (gone.length > 0 || this.#bySymbol.size !== before) this.rows.value = [...this.#bySymbol.values()];
  }

  async #fill(rows: readonly TickerRow[]): Promise<void> {
    if (rows.length === 0) return;
    const symbols = rows.map(({ symbol }) => symbol);
    const { snapshots } = await postJson<{ snapshots: Record<string, ShortSnapshot> }>(
      "v1/snapshots",
      { symbols },
      this.#stop.signal,
    );
    for (const row of rows) fillRow(row, snapshots[row.symbol] ?? {});
    this.#changed();
    void this.#readFigures();
  }

  /** What the server calls stale, if it was told how soon a feed is. */
  async #markStale(): Promise<void> {
    try {
      const params = { stale: true };
      const { feeds } = await getJson<{ feeds: { symbol: string }[] }>("v1/feeds", params, this.#stop.signal);
      for (const { symbol } of feeds) {
        const row = this.#bySymbol.get(symbol);
        if (row !== undefined) row.isStale = true;
      }
      if (feeds.length > 0) this.#changed();
    } catch {
      // The list is whole without it.
    }
  }

  async #readFigures(): Promise<void> {
    const now = performance.now();
    const wanted = this.#seen.filter(({ symbol, isLoaded, hasDailyBars }) => {
      const asked = this.#asked.get(symbol);
      return isLoaded && (asked === undefined || (!hasDailyBars && now - asked > FIGURES_MS));
    });
    for (const { symbol } of wanted) this.#asked.set(symbol, now);
    const next = async (): Promise<void> => {
      for (let row = wanted.shift(); row !== undefined; row = wanted.shift()) {
        try {
          this.figures.set(row.symbol, await readDayFigures(row, this.#stop.signal));
          this.#changed();
        } catch {
          // A line without a sparkline says all else. The next time it is seen, it is asked for.
          this.#asked.delete(row.symbol);
        }
      }
    };
    await Promise.all(Array.from({ length: FIGURES_AT_ONCE }, next));
  }

  #refreshLater(): void {
    this.#refresh = setTimeout(async () => {
      if (document.visibilityState === "visible") await this.#refreshPart();
      if (!this.#stop.signal.aborted) this.#refreshLater();
    }, REFRESH_MS);
  }

  async #refreshPart(): Promise<void> {
    const turn = this.#refreshes++;
    try {
      if (turn % LIST_EVERY === 0) await this.#list();
      const rows = this.rows.value;
      const from = (turn * PART) % Math.max(1, Math.ceil(rows.length / PART) * PART);
      await this.#fill(rows.slice(from, from + PART));
    } catch {
      // The next turn tries again; that the server is away is told by the socket.
    }
  }

  /** At most once for each picture of the screen. */
  #changed(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.version.value++;
    });
  }
}
