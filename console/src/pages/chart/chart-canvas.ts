/** The chart as it is drawn: what the library wants, and nothing of where the data come from. */
import {
  CandlestickSeries,
  ColorType,
  CrosshairMode,
  createChart,
  createSeriesMarkers,
  HistogramSeries,
  type IChartApi,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  LineSeries,
  PriceScaleMode,
  type SeriesMarker,
  type UTCTimestamp,
} from "lightweight-charts";
import { colorOf } from "../../app/theme.ts";
import type { ChartBar } from "./bar-history.ts";

/** Bars that are shown at first, and room for those to come. */
const SHOWN_BARS = 160;
/** Also where there are fewer: a bar is no wall. */
const SHOWN_BARS_MIN = 60;
const ROOM_BARS = 4;
/** With fewer bars left of what is seen, older ones are read. */
const SPARE_BARS = 20;
const PRICE_PX = 72;
const VOLUME_SCALE = "volume";
const SERIES_COLORS = 6;

export interface CanvasOptions {
  symbols: number;
  averages: number;
  isDaily: boolean;
  onNeedOlder(): void;
  /** Null: the pointer is elsewhere. */
  onHover(time: number | null): void;
}

export type Mark = SeriesMarker<UTCTimestamp>;

export class ChartCanvas {
  readonly #chart: IChartApi;
  readonly #candles: ISeriesApi<"Candlestick">;
  readonly #volume: ISeriesApi<"Histogram">;
  readonly #averages: ISeriesApi<"Line">[];
  readonly #others: ISeriesApi<"Line">[];
  readonly #marks: ISeriesMarkersPluginApi<UTCTimestamp>;
  readonly #isAlone: boolean;
  #points = 0;
  #oldest = Number.POSITIVE_INFINITY;
  #upColor = "";
  #downColor = "";

  constructor(box: HTMLElement, options: CanvasOptions) {
    this.#isAlone = options.symbols === 1;
    const chart = createChart(box, {
      autoSize: true,
      // Its link would tell the address of this page; the page has a link of its own.
      layout: { attributionLogo: false, fontSize: 12, panes: { enableResize: false } },
      crosshair: { mode: CrosshairMode.Normal },
      timeScale: { timeVisible: !options.isDaily, secondsVisible: false, rightOffset: ROOM_BARS },
      rightPriceScale: {
        // Else other prices make it wider or narrower, and all bars move.
        minimumWidth: PRICE_PX,
        mode: this.#isAlone ? PriceScaleMode.Normal : PriceScaleMode.Percentage,
        scaleMargins: { top: 0.12, bottom: this.#isAlone ? 0.24 : 0.08 },
      },
    });
    this.#chart = chart;
    this.#volume = chart.addSeries(HistogramSeries, {
      priceScaleId: VOLUME_SCALE,
      priceFormat: { type: "volume" },
      priceLineVisible: false,
      lastValueVisible: false,
      visible: this.#isAlone,
    });
    chart.priceScale(VOLUME_SCALE).applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    this.#candles = chart.addSeries(CandlestickSeries, { borderVisible: false });
    const line = { lineWidth: 2, priceLineVisible: false, crosshairMarkerVisible: false } as const;
    this.#averages = Array.from({ length: options.averages }, () =>
      chart.addSeries(LineSeries, { ...line, lineWidth: 1, lastValueVisible: false }),
    );
    this.#others = Array.from({ length: options.symbols - 1 }, () => chart.addSeries(LineSeries, line));
    this.#marks = createSeriesMarkers(this.#candles) as ISeriesMarkersPluginApi<UTCTimestamp>;
    this.color();
    chart.subscribeCrosshairMove(({ time }) => options.onHover((time as number | undefined) ?? null));
    chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range !== null && range.from < SPARE_BARS) options.onNeedOlder();
    });
  }

  /** Takes the colors of light or dark, as it is now. */
  color(): void {
    const [up, down, text, border] = ["--up", "--down", "--muted", "--border"].map(colorOf);
    this.#upColor = faint(up!);
    this.#downColor = faint(down!);
    this.#chart.applyOptions({
      layout: { background: { type: ColorType.Solid, color: "transparent" }, textColor: text! },
      grid: { vertLines: { color: faint(border!) }, horzLines: { color: faint(border!) } },
      timeScale: { borderColor: border! },
      rightPriceScale: { borderColor: border! },
    });
    this.#candles.applyOptions({ upColor: up!, downColor: down!, wickUpColor: up!, wickDownColor: down! });
    for (const [i, series] of this.#averages.entries()) series.applyOptions({ color: seriesColor(i + 1) });
    for (const [i, series] of this.#others.entries()) series.applyOptions({ color: seriesColor(i + 1) });
  }

  /** Everything anew; what is seen stays where it was. @param all the bars of each ticker */
  setBars(all: readonly (readonly ChartBar[])[]): void {
    const scale = this.#chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    const [first = [], ...others] = all;
    this.#candles.setData([...first]);
    this.#volume.setData(first.map((bar) => this.#volumeOf(bar)));
    for (const [i, series] of this.#averages.entries()) series.setData(averageOf(first, i));
    for (const [i, series] of this.#others.entries())
      series.setData((others[i] ?? []).map(({ time, close }) => ({ time, value: close })));
    const times = timesOf(all);
    const oldest = this.#oldest;
    const isFirst = this.#points === 0;
    this.#note(times);
    if (isFirst || range === null) {
      this.showNewest();
      return;
    }
    // Bars that were put before those that are seen must not move them.
    const added = times.filter((time) => time < oldest).length;
    scale.setVisibleLogicalRange({ from: range.from + added, to: range.to + added });
  }

  showNewest(): void {
    const to = this.#points + ROOM_BARS;
    const shown = Math.max(Math.min(to, SHOWN_BARS), SHOWN_BARS_MIN);
    this.#chart.timeScale().setVisibleLogicalRange({ from: to - shown, to });
  }

  /** A bar as it is now. @throws Error it is older than the newest: then set all bars. */
  update(symbol: number, bar: ChartBar): void {
    if (symbol > 0) {
      this.#others[symbol - 1]?.update({ time: bar.time, value: bar.close });
      return;
    }
    this.#candles.update(bar);
    this.#volume.update(this.#volumeOf(bar));
    for (const [i, series] of this.#averages.entries()) {
      const value = bar.averages[i];
      if (typeof value === "number") series.update({ time: bar.time, value });
    }
  }

  /** Bars that begin later than all others may have been put there by `update`. */
  notePoints(all: readonly (readonly ChartBar[])[]): void {
    this.#note(timesOf(all));
  }

  setMarks(marks: Mark[]): void {
    this.#marks.setMarkers(marks);
  }

  remove(): void {
    this.#chart.remove();
  }

  #note(times: readonly number[]): void {
    this.#points = times.length;
    this.#oldest = times.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  }

  #volumeOf({ time, open, close, volume }: ChartBar) {
    if (volume === null) return { time };
    return { time, value: volume, color: close >= open ? this.#upColor : this.#downColor };
  }
}

export function seriesColor(index: number): string {
  return colorOf(`--series-${(index % SERIES_COLORS) + 1}`);
}

function averageOf(bars: readonly ChartBar[], index: number) {
  return bars.map(({ time, averages }) => {
    const value = averages[index];
    return typeof value === "number" ? { time, value } : { time };
  });
}

/** Each once, in no order. */
function timesOf(all: readonly (readonly ChartBar[])[]): number[] {
  const [first = [], ...others] = all;
  if (others.length === 0) return first.map(({ time }) => time);
  return [...new Set(all.flatMap((bars) => bars.map(({ time }) => time)))];
}

/** @param color `rgb(…)` as browsers compute it */
function faint(color: string): string {
  return color.replace(/^rgb\((.*)\)$/, "rgba($1, 0.45)");
}
