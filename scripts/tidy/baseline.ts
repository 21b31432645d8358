/** What is over the line already, by kind and file; it may only become less. */

export interface Untidy {
  kind: "long functions" | "wide lines" | "twin types" | "unused code";
  path: string;
  line: number;
  text: string;
}

export type Counts = Record<string, Record<string, number>>;

const sorted = <T>(record: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));

export function count(findings: readonly Untidy[]): Counts {
  const counts: Counts = {};
  for (const { kind, path } of findings) {
    counts[kind] ??= {};
    counts[kind][path] = (counts[kind][path] ?? 0) + 1;
  }
  return counts;
}

/** The baseline with what has become less; what has become more stays as it was. */
export function lower(baseline: Counts, counts: Counts): Counts {
  const lowered: Counts = {};
  for (const [kind, files] of Object.entries(baseline)) {
    const kept = Object.entries(files)
      .map(([path, before]): [string, number] => [path, Math.min(before, counts[kind]?.[path] ?? 0)])
      .filter(([, left]) => left > 0);
    lowered[kind] = sorted(Object.fromEntries(kept));
  }
  return sorted(lowered);
}

/** What to say about each file that differs from the baseline. */
export function worse(baseline: Counts, counts: Counts, findings: readonly Untidy[]): string[] {
  const lines: string[] = [];
  for (const kind of new Set([...Object.keys(baseline), ...Object.keys(counts)])) {
    const before = baseline[kind] ?? {};
    const now = counts[kind] ?? {};
    for (const path of new Set([...Object.keys(before), ...Object.keys(now)])) {
      const allowed = before[path] ?? 0;
      const found = now[path] ?? 0;
      if (found < allowed)
        lines.push(`${path}: ${kind}: ${found}, fewer than ${allowed}: run npm run tidy -- --write`);
      if (found <= allowed) continue;
      lines.push(`${path}: ${kind}: ${found}, more than ${allowed}:`);
      for (const finding of findings)
        if (finding.kind === kind && finding.path === path)
          lines.push(`  ${path}:${finding.line}: ${finding.text}`);
    }
  }
  return lines;
}
