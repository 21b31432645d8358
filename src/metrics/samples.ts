/** Samples of one process, and those of several put together as Prometheus reads them. */
import { FAMILIES, type FamilyName, familyOf } from "./families.ts";

/** By the family, then by its labels and, of a histogram, its ending: `_bucket{le="0.1"}`. */
export type Samples = Partial<Record<FamilyName, Record<string, number>>>;

/** `{a="1",b="2"}`; empty without labels. */
export function labelsText(labels: Record<string, string>): string {
  const shown = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return shown.length === 0 ? "" : `{${shown.join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

/** @param isOver the process has ended: what it has counted still counts. */
export function addSamples(all: Samples, samples: Samples, isOver: boolean): void {
  for (const [name, values] of Object.entries(samples)) {
    const family = familyOf(name);
    // Of another version of the server.
    if (family === undefined || (isOver && family.type === "gauge")) continue;
    const known = all[name as FamilyName] ?? {};
    all[name as FamilyName] = known;
    for (const [key, value] of Object.entries(values)) {
      const before = known[key];
      if (before === undefined) known[key] = value;
      else known[key] = family.together === "sum" ? before + value : Math.max(before, value);
    }
  }
}

/** The text format of Prometheus, version 0.0.4. */
export function exposition(samples: Samples): string {
  const lines: string[] = [];
  for (const [name, { help, type }] of Object.entries(FAMILIES)) {
    const values = samples[name as FamilyName];
    if (values === undefined) continue;
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [key, value] of Object.entries(values)) lines.push(`${name}${key} ${value}`);
  }
  return `${lines.join("\n")}\n`;
}
