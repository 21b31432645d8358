/** What separates the fields of a text file: seen from its first lines. */

/** The likelier one first: a decimal comma stands between semicolons and tabs. */
const SEPARATORS = ["\t", ";", "|", ","];
const LINES_MAX = 50;

export const SEPARATOR_NAMES: Record<string, string> = {
  "\t": "tab",
  ";": "semicolon",
  "|": "bar",
  ",": "comma",
};

/** @param head Text from the beginning of the file. */
export function separatorOf(head: string): string {
  const lines = head.split(/\r\n|\n|\r/).filter((line) => line.trim() !== "");
  // The last line may be cut off.
  const whole = lines.length > 1 ? lines.slice(0, Math.min(LINES_MAX, lines.length - 1)) : lines;
  const candidates = SEPARATORS.map((separator) => ({ separator, ...consistency(whole, separator) }));
  const consistent = candidates.find(({ share, count }) => count > 0 && share >= 0.8);
  if (consistent !== undefined) return consistent.separator;
  return candidates.reduce(
    (best, each) => (each.count * each.share > best.count * best.share ? each : best),
    {
      separator: ",",
      count: 0,
      share: 0,
    },
  ).separator;
}

/** How many separators most lines have, and the share of lines that have so many. */
function consistency(lines: string[], separator: string): { count: number; share: number } {
  const byCount = new Map<number, number>();
  for (const line of lines) {
    const bare = line.replace(/"(?:[^"]|"")*"/g, "");
    const count = bare.split(separator).length - 1;
    byCount.set(count, (byCount.get(count) ?? 0) + 1);
  }
  let best = { count: 0, share: 0 };
  for (const [count, times] of byCount) {
    const share = times / lines.length;
    if (count > 0 && share > best.share) best = { count, share };
  }
  return best;
}
