/**
 * What a chart shows and how it gets there: history from /v1/bars, then what is live, or a replay.
 * One is made for each set of settings, and closed when they change.
 */
import { type Signal, signal } from "@preact/signals";
import type { Bar, LiveFrame } from "../../api/live-frames.ts";
import { LiveSocket } from "../../api/live-socket.ts";
import { isAbort } from "../../api/server-error.ts";
import { type CorporateAction, marksOf, readActions } from "./action-marks.ts";
import { BarHistory, type ChartBar } from "./bar-history.ts";
import { BarsOfTrades } from "./bars-of-trades.ts";
import { ChartCanvas } from "./chart-canvas.ts";
import { type ChartSettings, timeframeSeconds, zoneOf } from "./chart-settings.ts";
import { openReplay, type ReplayWish } from "./replay-socket.ts";
import { Tape } from "./tape-rows.ts";
import { zonedSeconds } from "./wall-clock.ts";

const DAY_S = 86_400;
/** How often the running bar is told. */
const PARTIAL = "500ms";
/** After a bar has closed, its averages are read once no other closes for so long. */
const CLOSED_MS = 400;
const STORED_LENGTHS: Readonly<Record<string, string>> = { daily: "1day", hourly: "1hour" };

export interface ReplayState {
  /** What time it is in the replay, as a stamp. */
  clock: string;
  /** It came to its end, or was lost: `over`. Somebody has stopped it: `stopped`. */
  is: "playing" | "stopped" | "over";
}

export class ChartModel {
  readonly settings: ChartSettings;
  readonly isDaily: boolean;
  readonly histories: readonly BarHistory[];
  readonly tape = new Tape();
  readonly error: Signal<unknown> = signal(null);
  readonly isLoading = signal(true);
  /** Counts up when bars have changed. */
  readonly version = signal(0);
  /** The time whose bar the pointer is on; null: the newest counts. */
  readonly hovered: Signal<number | null> = signal(null);
  readonly replay: Signal<ReplayState | null> = signal(null);
  actions: readonly CorporateAction[] = [];
  readonly #canvas: ChartCanvas;
  readonly #zone: string;
  readonly #stop = new AbortController();
  readonly #wish: ReplayWish | null;
  #socket: LiveSocket | null = null;
  /** Of the replay. */
  #clock = "";
  #endReplay: (() => void) | null = null;
  #isReadingOlder = false;
  #closedTimer: ReturnType<typeof setTimeout> | undefined;
  #frame = 0;
  #lacksTicks = false;
  /** Bars to be drawn with the next picture of the screen, by ticker and time. */
  readonly #changed = new Map<string, { symbol: number; bar: ChartBar }>();

  /** @param wish a replay in place of what is live; null: none. */
  constructor(box: HTMLElement, settings: ChartSettings, wish: ReplayWish | null) {
    this.settings = settings;
    this.#wish = wish;
    this.#zone = zoneOf(settings);
    this.isDaily = (timeframeSeconds(settings.timeframe) ?? 0) >= DAY_S;
    const end = wish === null ? undefined : justBefore(wish.start);
    this.histories = settings.symbols.map((symbol) => new BarHistory(symbol, settings, end));
    this.#canvas = new ChartCanvas(box, {
      symbols: settings.symbols.length,
      averages: settings.averages.length,
      isDaily: this.isDaily,
      onNeedOlder: () => void this.#readOlder(),
      onHover: (time) => {
        this.hovered.value = time;
      },
    });
    void this.#begin();
  }

  /** Of light or dark, as it is now. */
  color(): void {
    this.#canvas.color();
    this.#draw();
  }

  showNewest(): void {
    this.#canvas.showNewest();
  }

  /** What was played stays. */
  stopReplay(): void {
    this.#endReplay?.();
    this.#tellReplay("stopped");
  }

  close(): void {
    this.#stop.abort();
    this.#endReplay?.();
    this.#socket?.close();
    clearTimeout(this.#closedTimer);
    cancelAnimationFrame(this.#frame);
    this.tape.clear();
    this.#canvas.remove();
  }

  get warnings(): string[] {
    return [...new Set(this.histories.flatMap(({ warnings }) => [...warnings]))];
  }

  async #begin(): Promise<void> {
    const { signal } = this.#stop;
    // First, so that nothing falls between the history and what is live.
    if (this.#wish === null) this.#listen();
    await this.#try(async () => {
      await Promise.all(this.histories.map((history) => history.readOlder(signal)));
      this.#draw();
    });
    this.isLoading.value = false;
    if (signal.aborted) return;
    if (this.#wish !== null) this.#play(this.#wish);
    else await this.#readTape();
    await this.#try(async () => {
      this.actions = await readActions(this.settings.symbols[0]!, signal);
      this.#mark();
    });
  }

  async #readTape(): Promise<void> {
    this.tape.isLoading.value = true;
    this.#lacksTicks = false;
    await this.#try(async () => {
      for (const { symbol } of this.histories) await this.tape.read(symbol, this.#stop.signal);
    });
    this.tape.isLoading.value = false;
  }

  async #try(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!isAbort(error) && !this.#stop.signal.aborted) this.error.value = error;
    }
  }

  async #readOlder(): Promise<void> {
    if (this.#isReadingOlder || this.isLoading.value || this.histories.every(({ isWhole }) => isWhole))
      return;
    this.#isReadingOlder = true;
    await this.#try(async () => {
      const oldest = Math.max(...this.histories.map(({ bars }) => bars[0]?.time ?? Number.NEGATIVE_INFINITY));
      // Each ticker back to about the same time.
      const behind = this.histories.filter(
        (history) => !history.isWhole && (history.bars[0]?.time ?? 0) >= oldest,
      );
      const wanted = behind.length > 0 ? behind : this.histories.filter(({ isWhole }) => !isWhole);
      await Promise.all(wanted.map((history) => history.readOlder(this.#stop.signal)));
      this.#draw();
    });
    this.#isReadingOlder = false;
  }

  #listen(): void {
    const { timeframe, calendar, session, symbols } = this.settings;
    this.#socket = new LiveSocket({
      subscription: {
        types: ["trade", "quote", "bar"],
        bars: [timeframe],
        partial: PARTIAL,
        snapshot: false,
        ...(calendar === "" ? {} : { calendar, session }),
      },
      onFrame: (frame) => this.#take(frame),
    });
    this.#socket.setSymbols(symbols);
  }

  #take(frame: LiveFrame): void {
    this.tape.take(frame);
    // Others were folded into it, as the page was too slow.
    if (frame.conflated !== undefined) {
      this.#lacksTicks = true;
      this.#readNewestLater();
    }
    switch (frame.type) {
      case "partial_bars":
        for (const bar of frame.records) this.#put(frame.ticker, bar);
        return;
      case "bars":
      case "updated_bars":
        for (const bar of frame.records) this.#put(frame.ticker, bar);
        this.#readNewestLater();
        return;
      case "bar":
        if (this.#isShown(frame.interval)) for (const bar of frame.records) this.#put(frame.ticker, bar);
        return;
      case "gap":
      case "recovery":
      case "bars_gap":
        if (frame.type === "recovery" && frame.recovered) return;
        if (frame.type !== "bars_gap") this.#lacksTicks = true;
        this.#readNewestLater();
        return;
    }
  }

  /** Stored bars of the length that is shown; hours of a session are no hours of the clock. */
  #isShown(interval: string): boolean {
    const length = STORED_LENGTHS[interval] ?? interval;
    if (!this.isDaily && this.settings.calendar !== "") return false;
    return length.toLowerCase() === this.settings.timeframe.toLowerCase();
  }

  #put(ticker: string, bar: Bar): void {
    const symbol = this.settings.symbols.indexOf(ticker);
    const history = this.histories[symbol];
    if (history === undefined || this.isLoading.value) return;
    const taken = history.take(zonedSeconds(bar.timestamp, this.#zone), bar);
    if (taken === null) return;
    this.#changed.set(`${symbol} ${taken.time}`, { symbol, bar: taken });
    this.#drawLater();
  }

  #readNewestLater(): void {
    clearTimeout(this.#closedTimer);
    this.#closedTimer = setTimeout(() => {
      void this.#try(async () => {
        await Promise.all(this.histories.map((history) => history.readNewest(this.#stop.signal)));
        this.#draw();
      });
      if (this.#lacksTicks) void this.#readTape();
    }, CLOSED_MS);
  }

  #play(wish: ReplayWish): void {
    const running = new BarsOfTrades(timeframeSeconds(this.settings.timeframe) ?? DAY_S);
    const isOfTrades = new Set<string>();
    this.#clock = wish.start;
    this.#tellReplay("playing");
    this.#endReplay = openReplay(wish, {
      onFrame: (frame) => {
        this.tape.take(frame);
        if (frame.type === "trade" || frame.type === "quote" || frame.type === "bar")
          this.#clock = frame.records.at(-1)?.timestamp ?? this.#clock;
        if (frame.type === "trade") {
          isOfTrades.add(frame.ticker);
          for (const trade of frame.records) {
            const bar = running.add(frame.ticker, trade);
            if (bar !== null) this.#put(frame.ticker, bar);
          }
        } else if (frame.type === "bar" && !isOfTrades.has(frame.ticker) && this.#isShown(frame.interval))
          for (const bar of frame.records) this.#put(frame.ticker, bar);
      },
      onClock: (clock) => {
        this.#clock = clock;
        this.#tellReplay("playing");
      },
      onEnd: (problem) => {
        this.#tellReplay("over");
        if (problem !== null) this.error.value = new Error(problem);
      },
    });
  }

  #tellReplay(is: ReplayState["is"]): void {
    this.replay.value = { clock: this.#clock, is };
  }

  #drawLater(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      const changed = [...this.#changed.values()];
      this.#changed.clear();
      try {
        for (const { symbol, bar } of changed) this.#canvas.update(symbol, bar);
        this.#canvas.notePoints(this.histories.map(({ bars }) => bars));
      } catch {
        // One that is older than the newest: the chart wants all of them then.
        this.#draw();
      }
      this.version.value++;
    });
  }

  #draw(): void {
    this.#changed.clear();
    this.#canvas.setBars(this.histories.map(({ bars }) => bars));
    this.#mark();
    this.version.value++;
  }

  #mark(): void {
    const [first] = this.histories;
    if (first !== undefined) this.#canvas.setMarks(marksOf(this.actions, first));
  }
}

/** The bars before a replay end there. @param start in any form that the server takes */
function justBefore(start: string): string {
  const ms = Date.parse(/Z|[+-]\d\d:?\d\d$/.test(start) || !start.includes("T") ? start : `${start}Z`);
  return Number.isNaN(ms) ? start : new Date(ms - 1).toISOString();
}
