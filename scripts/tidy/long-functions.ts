/**
 * Functions longer than 60 lines, from first to last. Lines of a table, that is of an
 * object or array literal, count only for functions within the table.
 * The bodies of describe() and withEachDriver() are lists of tests, and don't count either.
 */
import type { Untidy } from "./baseline.ts";
import { children, lineAt, parse, type SyntaxNode } from "./syntax.ts";

const LINES_MAX = 60;
const FUNCTIONS = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);
const TABLES = new Set(["ObjectExpression", "ArrayExpression"]);

export function longFunctions(sources: ReadonlyMap<string, string>): Untidy[] {
  const findings: Untidy[] = [];
  for (const [path, text] of sources) {
    if (!/\.tsx?$/.test(path)) continue;
    const visit = (node: SyntaxNode, inDescribe: boolean): void => {
      const lines = FUNCTIONS.has(node.type) ? linesOf(node, text) : 0;
      if (lines > LINES_MAX && !inDescribe) {
        const line = lineAt(text, node.start);
        const head = text.split("\n")[line - 1]!.trim();
        findings.push({ kind: "long functions", path, line, text: `${lines} lines: ${head}` });
      }
      const isDescribe =
        node.type === "CallExpression" && /^(describe|withEachDriver)\b/.test(text.slice(node.start));
      for (const child of children(node)) visit(child, isDescribe);
    };
    visit(parse(path, text), false);
  }
  return findings;
}

function linesOf(node: SyntaxNode, text: string): number {
  const rows = (from: number, to: number) => text.slice(from, to).split("\n").length;
  let lines = rows(node.start, node.end);
  const takeTables = (inner: SyntaxNode): void => {
    // The lines within the table; its first and its last one are the function's.
    if (TABLES.has(inner.type)) lines -= Math.max(0, rows(inner.start, inner.end) - 2);
    else for (const child of children(inner)) takeTables(child);
  };
  for (const child of children(node)) takeTables(child);
  return lines;
}
