/**
 * Fails when a file differs, in four kinds of untidiness, from scripts/tidy-baseline.json.
 * The baseline may only shrink: `npm run tidy -- --write` lowers it, and raises nothing.
 */
import { join } from "node:path";
import { Glob } from "bun";
import { count, lower, worse } from "./tidy/baseline.ts";
import { longFunctions } from "./tidy/long-functions.ts";
import { twins } from "./tidy/twin-types.ts";
import { unusedCode } from "./tidy/unused-code.ts";
import { wideLines } from "./tidy/wide-lines.ts";

const ROOT = join(import.meta.dir, "..");
const BASELINE = join(import.meta.dir, "tidy-baseline.json");

const sources = new Map<string, string>();
const patterns = [
  "console/src/**/*.{ts,tsx}",
  "{src,test,bench,soak,torture,scripts}/**/*.ts",
  "clients/typescript/{src,soak}/**/*.ts",
  "examples/**/*.ts",
  "*.md",
  "{docs,examples,sample,test,src}/**/*.md",
  "clients/*/*.md",
];
/** Sentences of the description of the API. */
const GENERATED = "clients/typescript/src/generated/";
for (const pattern of patterns) {
  const paths = [...new Glob(pattern).scanSync(ROOT)].filter((path) => !path.startsWith(GENERATED));
  // Bun's Glob matches nothing where it doesn't understand a pattern.
  if (paths.length === 0) throw new Error(`tidy: no file matches ${pattern}`);
  for (const path of paths) sources.set(path, await Bun.file(join(ROOT, path)).text());
}

const findings = [
  ...longFunctions(sources),
  ...wideLines(sources),
  // A client is a program of its own: it may have names that the server has too.
  ...twins(ofClient(false)),
  ...twins(ofClient(true)),
  ...(await unusedCode(ROOT)),
];
const counts = count(findings);
const baseline = await Bun.file(BASELINE).json();
if (process.argv.includes("--write")) {
  await Bun.write(BASELINE, `${JSON.stringify(lower(baseline, counts), null, 2)}\n`);
}
if (process.argv.includes("--list")) {
  for (const { kind, path, line, text } of findings) console.log(`${path}:${line}: ${kind}: ${text}`);
}
const wrong = worse(process.argv.includes("--write") ? lower(baseline, counts) : baseline, counts, findings);
for (const line of wrong) console.error(line);
console.log(wrong.length === 0 ? "tidy: nothing beyond the baseline" : `tidy: ${wrong.length} wrong`);
process.exit(wrong.length === 0 ? 0 : 1);

function ofClient(isWanted: boolean): Map<string, string> {
  return new Map([...sources].filter(([path]) => path.startsWith("clients/typescript/src/") === isWanted));
}
