/** Turns what was measured into tables, or into JSON. */
import type { Machine } from "./machine.ts";
import { PYTHON_FIGURES, type PythonFigure, type PythonMatch } from "./python-baseline.ts";
import type { Comparison, Fact, LatencyFigures, LatencyRow, Sample, ScenarioReport } from "./scenario.ts";

/** A load generator busier than this may be what was measured. */
const CLIENT_LIMIT = 0.95;

/** `markdown` is for docs/benchmarks.md. */
export type Style = "plain" | "markdown";

export function formatReport(machine: Machine, reports: ScenarioReport[], style: Style): string {
  const comparisons = reports.flatMap((report) => report.comparisons);
  const facts = reports.flatMap((report) => report.facts);
  const python = reports.flatMap((report) => report.python);
  const latencies = reports.flatMap((report) => report.latencies ?? []);
  const invalid = reports.flatMap((report) => report.invalid);
  const formatTable = style === "markdown" ? formatMarkdownTable : formatPlainTable;
  const section = (title: string, head: string[], rows: string[][]) =>
    rows.length === 0 ? [] : ["", style === "markdown" ? `### ${title}\n` : title, formatTable(head, rows)];
  return [
    formatMachine(machine),
    ...section("Against the floor", COMPARISON_HEAD, comparisons.map(comparisonRow)),
    ...(comparisons.some(isClientBound)
      ? ["", "`*`: the load generator had a core for itself and no more; the target may be faster than this."]
      : []),
    ...section("Latency, p50 / p99 / p99.9 in ms", LATENCY_HEAD, latencies.map(latencyRow)),
    ...section("Against the Python server", PYTHON_HEAD, pythonRows(python)),
    ...section("Without a floor", FACT_HEAD, facts.map(factRow)),
    ...reports.flatMap((report) => report.leftOut ?? []).flatMap((reason) => ["", `Left out: ${reason}`]),
    ...(invalid.length === 0
      ? []
      : ["", "INVALID: these figures must not be used", ...invalid.map((i) => `  ${i}`)]),
  ].join("\n");
}

/** Everything, run by run. Ratios are derived here so that readers of the JSON have them too. */
export function toJson(machine: Machine, reports: ScenarioReport[]): string {
  const comparisons = reports.flatMap((r) => r.comparisons).map((c) => ({ ...c, ratios: ratiosOf(c) }));
  const facts = reports.flatMap((report) => report.facts);
  const python = matchPython(reports.flatMap((report) => report.python));
  const invalid = reports.flatMap((report) => report.invalid);
  const leftOut = reports.flatMap((report) => report.leftOut ?? []);
  const latencies = reports.flatMap((report) => report.latencies ?? []);
  return JSON.stringify({ machine, comparisons, latencies, python, facts, invalid, leftOut }, null, 2);
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const COMPARISON_HEAD = [
  "what",
  "floor",
  "ours",
  "ratio",
  "min..max",
  "target",
  "",
  "p99 floor/ours",
  "client CPU",
];
const PYTHON_HEAD = ["what", "Python server", "ours", "min..max", "times better", "asked", ""];
const LATENCY_HEAD = ["what", "saves", "save sent to frame", "save answered to frame", "client CPU"];
const FACT_HEAD = ["what", "median", "min..max", "at most", ""];

function comparisonRow(comparison: Comparison): string[] {
  const { base, ours, target, unit } = comparison;
  const rate = (samples: Sample[]) =>
    `${wholeNumber(median(samples.map((sample) => sample.perSecond)))}${unit}`;
  const p99 = (samples: Sample[]) =>
    median(samples.flatMap((sample) => (sample.p99Ms === null ? [] : [sample.p99Ms]))).toFixed(1);
  const hasP99 = base.samples.some((sample) => sample.p99Ms !== null);
  const cpu = (samples: Sample[]) =>
    `${Math.round(100 * median(samples.map((sample) => sample.clientCpu)))}%`;
  const mark = isClientBound(comparison) ? "*" : "";
  if (ours.length === 0) {
    return [
      comparison.name,
      rate(base.samples),
      "-",
      "-",
      "-",
      target === null ? "" : `${target}`,
      "",
      hasP99 ? `${p99(base.samples)} ms` : "",
      cpu(base.samples) + mark,
    ];
  }
  const ratios = ratiosOf(comparison);
  const ratio = median(ratios);
  return [
    comparison.name,
    rate(base.samples),
    rate(ours),
    ratio.toFixed(2),
    `${Math.min(...ratios).toFixed(2)}..${Math.max(...ratios).toFixed(2)}`,
    target === null ? "" : `>= ${target}`,
    target === null ? "" : verdict(ratio >= target),
    hasP99 ? `${p99(base.samples)}/${p99(ours)} ms` : "",
    `${cpu(base.samples)}/${cpu(ours)}${mark}`,
  ];
}

function latencyRow({ name, perSecond, fromSent, fromAnswered, clientCpu }: LatencyRow): string[] {
  const show = (values: number[]) => (values.length === 0 ? "–" : median(values).toFixed(2));
  const figures = ({ p50, p99, p999 }: LatencyFigures) => [p50, p99, p999].map(show).join(" / ");
  return [
    name,
    `${wholeNumber(median(perSecond))}/s`,
    figures(fromSent),
    figures(fromAnswered),
    `${Math.round(100 * median(clientCpu))}%`,
  ];
}

interface PythonResult extends PythonFigure {
  values: number[];
  /** Of the median; more than 1 is better than the Python server. */
  times: number;
}

function matchPython(matches: PythonMatch[]): PythonResult[] {
  return PYTHON_FIGURES.flatMap((figure) => {
    const values = matches.filter((match) => match.key === figure.key).flatMap((match) => match.values);
    if (values.length === 0) return [];
    const ours = median(values);
    return [
      { ...figure, values, times: figure.better === "more" ? ours / figure.value : figure.value / ours },
    ];
  });
}

function pythonRows(matches: PythonMatch[]): string[][] {
  return matchPython(matches).map(({ what, value, unit, values, times, asked }) => {
    const show = (amount: number) => (amount < 10 ? amount.toFixed(1) : wholeNumber(amount));
    return [
      what,
      `${show(value)}${unit}`,
      `${show(median(values))}${unit}`,
      values.length === 1 ? "" : `${show(Math.min(...values))}..${show(Math.max(...values))}`,
      times.toFixed(1),
      asked === 1 ? "better" : `${asked}`,
      // "Better" means more than as good.
      verdict(asked === 1 ? times > 1 : times >= asked),
    ];
  });
}

function verdict(isGood: boolean): string {
  return isGood ? "ok" : "short";
}

function factRow(fact: Fact): string[] {
  const middle = median(fact.values);
  const show = (value: number) => (value < 10 ? value.toFixed(2) : value.toFixed(fact.unit === "/s" ? 0 : 1));
  return [
    fact.name,
    `${show(middle)} ${fact.unit}`,
    fact.values.length === 1 ? "" : `${show(Math.min(...fact.values))}..${show(Math.max(...fact.values))}`,
    fact.max === null ? "" : `${fact.max} ${fact.unit}`,
    fact.max === null ? "" : verdict(middle <= fact.max),
  ];
}

/** Of the two measurements of each run. */
function ratiosOf({ base, ours }: Comparison): number[] {
  return ours.map((sample, run) => sample.perSecond / base.samples[run]!.perSecond);
}

function isClientBound({ base, ours }: Comparison): boolean {
  return [base.samples, ours].some(
    (samples) => samples.length > 0 && median(samples.map((sample) => sample.clientCpu)) > CLIENT_LIMIT,
  );
}

function formatMachine(machine: Machine): string {
  return (
    `${machine.cpu}, ${machine.cpus} CPUs, ${machine.memoryGb.toFixed(0)} GB; Linux ${machine.kernel}; Bun ${machine.bun}; ` +
    `4 KiB append and sync: ${machine.syncMs.toFixed(2)} ms` +
    (machine.inMemory ? "\nThe databases are in memory: figures of saves mean nothing here; use --dir." : "")
  );
}

function formatPlainTable(head: string[], rows: string[][]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]!.length)),
  );
  const line = (cells: string[]) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd();
  return [line(head), widths.map((width) => "-".repeat(width)).join("  "), ...rows.map(line)].join("\n");
}

function formatMarkdownTable(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? "---" : "--:"))), ...rows.map(line)].join(
    "\n",
  );
}

function wholeNumber(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
