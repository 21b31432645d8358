/**
 * Fails when a folder of src/ imports from a folder below it, or files import each other in a
 * circle. The order is that of ARCHITECTURE.md.
 */

import { existsSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { Glob } from "bun";

const ORDER = [
  "time",
  "market",
  "calendar",
  "protocol",
  "access",
  "config",
  "installation",
  "observe",
  "memory",
  "connections",
  "metrics",
  "storage",
  "feeds",
  "backup",
  "analysis",
  "formats",
  "market-data",
  "stream",
  "bus",
  "hub",
  "sql",
  "replay",
  "rollups",
  "retention",
  "commands",
  "live-bars",
  "websocket",
  "alpaca",
  "polygon",
  "udf",
  "http",
  "worker",
  "supervisor",
  "cli",
  "roles",
];
/** Files whose types need each other. Every other circle of imports is an error. */
const CIRCLES = ["stream/channel.ts", "stream/subscriber.ts", "stream/subscription.ts"];

const src = join(import.meta.dir, "..", "src");
/** A folder of storage with an engine of its own. */
const isEngine = (part: string): boolean => existsSync(join(src, "storage", part, "engine.ts"));

const wrong: string[] = [];
/** The files that each file imports. */
const imports = new Map<string, string[]>();
for (const path of new Glob("**/*.ts").scanSync(src)) {
  const folder = path.split(sep)[0]!;
  if (!path.includes(sep)) continue; // main.ts picks a role
  imports.set(path, []);
  const rank = ORDER.indexOf(folder);
  if (rank < 0) wrong.push(`${path}: folder ${folder} is not in the order`);
  const text = await Bun.file(join(src, path)).text();
  for (const match of text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)) {
    const imported = relative(src, join(src, dirname(path), match[1]!));
    imports.get(path)!.push(imported);
    const target = imported.split(sep)[0]!;
    const targetRank = ORDER.indexOf(target);
    const part = /\/storage\/([^/]+)\//.exec(match[1]!)?.[1];
    const engine = part !== undefined && folder !== "storage" && isEngine(part);
    if (targetRank > rank) wrong.push(`${path} imports ${match[1]}`);
    if (engine && !path.endsWith(".test.ts")) wrong.push(`${path} names an engine: ${match[1]}`);
  }
}
for (const path of imports.keys())
  if (!CIRCLES.includes(path) && isReached(path, path)) wrong.push(`${path} is part of a circle of imports`);
for (const line of wrong) console.error(line);
console.log(
  wrong.length === 0 ? "imports: every folder imports only from above" : `imports: ${wrong.length} wrong`,
);
process.exit(wrong.length === 0 ? 0 : 1);

function isReached(goal: string, from: string, seen = new Set<string>()): boolean {
  for (const next of imports.get(from) ?? []) {
    if (next === goal) return true;
    if (seen.has(next)) continue;
    seen.add(next);
    if (isReached(goal, next, seen)) return true;
  }
  return false;
}
