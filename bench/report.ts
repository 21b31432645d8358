/** Turns what was measured into a table, or into JSON. */
import type { Machine } from "./machine.ts";
import type { Comparison, Fact, Sample, ScenarioReport } from "./scenario.ts";

/** A load generator busier than this may be what was measured. */
const CLIENT_LIMIT = 0.95;

export function formatReport(machine: Machine, reports: ScenarioReport[]): string {
  const comparisons = reports.flatMap((report) => report.comparisons);
  const facts = reports.flatMap((report) => report.facts);
  const invalid = reports.flatMap((report) => report.invalid);
  return [
    formatMachine(machine),
    ...(comparisons.length === 0 ? [] : ["", formatTable(COMPARISON_HEAD, comparisons.map(comparisonRow))]),
    ...(comparisons.some(isClientBound)
      ? ["client*: the load generator had a core for itself and no more; the target may be faster than this."]
      : []),
    ...(facts.length === 0 ? [] : ["", formatTable(FACT_HEAD, facts.map(factRow))]),
    ...(invalid.length === 0
      ? []
      : ["", "INVALID: these figures must not be used", ...invalid.map((i) => `  ${i}`)]),
  ].join("\n");
}

/** Everything, run by run. Ratios are derived here so that readers of the JSON have them too. */
export function toJson(machine: Machine, reports: ScenarioReport[]): string {
  const comparisons = reports.flatMap((r) => r.comparisons).map((c) => ({ ...c, ratios: ratiosOf(c) }));
  const facts = reports.flatMap((report) => report.facts);
  const invalid = reports.flatMap((report) => report.invalid);
  return JSON.stringify({ machine, comparisons, facts, invalid }, null, 2);
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
const FACT_HEAD = ["what", "median", "min..max", "at most", ""];

function comparisonRow(comparison: Comparison): string[] {
  const { base, ours, target, unit } = comparison;
  const rate = (samples: Sample[]) =>
    `${wholeNumber(median(samples.map((sample) => sample.perSecond)))}${unit}`;
  const p99 = (samples: Sample[]) => `${median(samples.map((sample) => sample.p99Ms)).toFixed(1)}`;
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
      `${target}`,
      "",
      `${p99(base.samples)} ms`,
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
    `>= ${target}`,
    ratio >= target ? "ok" : "short",
    `${p99(base.samples)}/${p99(ours)} ms`,
    `${cpu(base.samples)}/${cpu(ours)}${mark}`,
  ];
}

function factRow(fact: Fact): string[] {
  const middle = median(fact.values);
  const show = (value: number) => (value < 10 ? value.toFixed(2) : value.toFixed(fact.unit === "/s" ? 0 : 1));
  return [
    fact.name,
    `${show(middle)} ${fact.unit}`,
    fact.values.length === 1 ? "" : `${show(Math.min(...fact.values))}..${show(Math.max(...fact.values))}`,
    fact.max === null ? "" : `${fact.max} ${fact.unit}`,
    fact.max === null ? "" : middle <= fact.max ? "ok" : "short",
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

function formatTable(head: string[], rows: string[][]): string {
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

function wholeNumber(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
