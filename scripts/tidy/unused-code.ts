/** Files that nothing starts or imports, and exports that no other file names: knip finds them. */
import { join } from "node:path";
import type { Untidy } from "./baseline.ts";

interface KnipIssue {
  file: string;
  [kind: string]: unknown;
}

export async function unusedCode(root: string): Promise<Untidy[]> {
  const knip = Bun.spawn(
    [join(root, "node_modules/.bin/knip"), "--reporter=json", "--no-progress", "--no-exit-code"],
    { cwd: root, stdout: "pipe", stderr: "pipe" },
  );
  const [said, complaint, status] = await Promise.all([
    new Response(knip.stdout).text(),
    new Response(knip.stderr).text(),
    knip.exited,
  ]);
  if (status !== 0) throw new Error(`knip ended with ${status}: ${complaint}`);
  const findings: Untidy[] = [];
  for (const { file, ...kinds } of (JSON.parse(said) as { issues: KnipIssue[] }).issues) {
    for (const [kind, found] of Object.entries(kinds)) {
      if (!Array.isArray(found)) continue;
      for (const { name, line } of found)
        findings.push({ kind: "unused code", path: file, line: line ?? 1, text: `${kind}: ${name}` });
    }
  }
  return findings;
}
