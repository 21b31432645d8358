/**
 * Lines wider than 100 columns: of comments, and of prose in Markdown. Code has the width of
 * the formatter, which joins again what is broken before it (lineWidth in biome.json). A sentence
 * that the server says stays on one line, so that it is found by its words.
 */
import { join } from "node:path";
import type { Untidy } from "./baseline.ts";

const COLUMNS_MAX = 100;
const biome = await Bun.file(join(import.meta.dir, "..", "..", "biome.json")).json();
const CODE_COLUMNS_MAX: number = biome.formatter.lineWidth;

const ONE_TEXT = /^\s*(?:test\(|throw \w+\(|\w+: )?["'`].*["'`](?:,|\)?;?|, async \(\) => \{|, \(\) => \{)?$/;

export function wideLines(sources: ReadonlyMap<string, string>): Untidy[] {
  const findings: Untidy[] = [];
  for (const [path, text] of sources) {
    const isPage = path.endsWith(".md");
    let inCode = false;
    for (const [index, line] of text.split("\n").entries()) {
      if (isPage) {
        if (/^\s*```/.test(line)) inCode = !inCode;
        if (inCode || /^\s*\|/.test(line)) continue;
      }
      // A link can't be broken: what counts is the text that a reader sees.
      const seen = isPage ? line.replace(/\]\([^)]*\)/g, "]") : line;
      const isProse = isPage || /^\s*(\/\/|\/?\*)|\s\/\/ /.test(line);
      const most = isProse ? COLUMNS_MAX : CODE_COLUMNS_MAX;
      if (seen.length <= most || /^\W*https?:\S+$/.test(line)) continue;
      if (!isProse && ONE_TEXT.test(line)) continue;
      findings.push({ kind: "wide lines", path, line: index + 1, text: `${seen.length} columns` });
    }
  }
  return findings;
}
