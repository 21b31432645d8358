/**
 * Interfaces and types that two files declare under one name. Tests may have their own, and so may
 * the console, which is a program of its own.
 */
import type { Untidy } from "./baseline.ts";
import { children, lineAt, parse, type SyntaxNode } from "./syntax.ts";

const TYPES = new Set(["TSInterfaceDeclaration", "TSTypeAliasDeclaration"]);

export function twins(sources: ReadonlyMap<string, string>): Untidy[] {
  const places = new Map<string, { path: string; line: number }[]>();
  for (const [path, text] of sources) {
    if (!/\.tsx?$/.test(path) || path.endsWith(".test.ts")) continue;
    const topLevel = children(parse(path, text)).flatMap((node) =>
      node.type === "ExportNamedDeclaration" ? children(node) : [node],
    );
    for (const node of topLevel.filter(({ type }) => TYPES.has(type))) {
      const { name: own } = node.id as SyntaxNode & { name: string };
      const name = path.startsWith("console/") ? `${own} of the console` : own;
      places.set(name, [...(places.get(name) ?? []), { path, line: lineAt(text, node.start) }]);
    }
  }
  return [...places].flatMap(([name, found]) =>
    new Set(found.map(({ path }) => path)).size < 2
      ? []
      : found.map(({ path, line }) => ({
          kind: "twin types" as const,
          path,
          line,
          text: `${name}, as in ${found.map((other) => other.path).filter((other) => other !== path)}`,
        })),
  );
}
