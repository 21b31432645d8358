/** The plots of how late updates arrive, and of how soon a killed worker's subscribers are back. */
import { LATENCY_SHARES } from "./load-plan.ts";
import { type Axis, drawPlot, type Point } from "./plot.ts";

/** One load against one target: latencies of LATENCY_SHARES, in ms, from save sent to frame. */
export interface LatencyCurve {
  target: string;
  subscribers: number;
  /** Null: back to back. */
  perSecond: number | null;
  ms: number[];
}

const SHOWN_SHARES = [0.5, 0.99, 0.999];
const MS_TICKS = [0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000];

/** @param names of the targets, in the order of their colours. */
export function plotBySubscribers(curves: LatencyCurve[], names: string[], title: string): string {
  const counts = [...new Set(curves.map(({ subscribers }) => subscribers))];
  return drawPlot({
    title,
    names,
    y: msAxis(curves),
    panels: SHOWN_SHARES.map((share) => ({
      title: `p${share * 100}`,
      x: {
        label: "subscribers",
        scale: "log",
        ticks: counts.map((at) => ({ at, text: at.toLocaleString("en-US") })),
      },
      lines: names.map((name) =>
        curves
          .filter(({ target }) => target === name)
          .map(({ subscribers, ms }): Point => [subscribers, ms[LATENCY_SHARES.indexOf(share)]!]),
      ),
    })),
  });
}

/**
 * Shares of latencies that are lower, the rare ones spread out.
 *
 * @param panels of some workers, with and without a stalled reader.
 */
export function plotByShare(
  panels: { title: string; targets: string[] }[],
  curves: LatencyCurve[],
  { names, title }: { names: string[]; title: string },
): string {
  const rarity = (share: number): number => 1 / (1 - share);
  return drawPlot({
    title,
    names,
    y: msAxis(curves),
    panels: panels.map((panel) => ({
      title: panel.title,
      x: {
        label: "percentile",
        scale: "log",
        ticks: [0.5, 0.9, 0.99, 0.999].map((at) => ({ at: rarity(at), text: `${at * 100}` })),
      },
      lines: panel.targets.map((name) => {
        const curve = curves.find(({ target }) => target === name);
        return curve === undefined
          ? null
          : LATENCY_SHARES.map((share, i): Point => [rarity(share), curve.ms[i]!]);
      }),
    })),
  });
}

/** @param ms of each subscriber of the killed workers, from the kill to its first missed update. */
export function plotRecovery(ms: number[], title: string): string {
  const sorted = [...ms].sort((a, b) => a - b);
  const longest = sorted.at(-1) ?? 1;
  const step = niceStep(longest / 5);
  const ticks = Array.from({ length: Math.ceil(longest / step) + 1 }, (_, i) => ({
    at: i * step,
    text: String(Math.round(i * step)),
  }));
  // Up at each that is back.
  const points = sorted.flatMap((at, i): Point[] => [
    [at, (100 * i) / sorted.length],
    [at, (100 * (i + 1)) / sorted.length],
  ]);
  return drawPlot({
    title,
    names: ["subscribers of the killed worker"],
    y: {
      label: "% that have gone on",
      scale: "linear",
      ticks: [0, 25, 50, 75, 100].map((at) => ({ at, text: String(at) })),
    },
    panels: [
      { title: "", x: { label: "ms since the kill", scale: "linear", ticks }, lines: [[[0, 0], ...points]] },
    ],
  });
}

function msAxis(curves: LatencyCurve[]): Axis {
  const all = curves.flatMap(({ ms }) => ms);
  const from = MS_TICKS.findLastIndex((tick) => tick <= Math.min(...all));
  const to = MS_TICKS.findIndex((tick) => tick >= Math.max(...all));
  const ticks = MS_TICKS.slice(Math.max(0, from), to < 0 ? undefined : to + 1);
  return {
    label: "ms, save sent to frame received",
    scale: "log",
    ticks: ticks.map((at) => ({ at, text: String(at) })),
  };
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((factor) => factor * power >= least) ?? 10);
}
