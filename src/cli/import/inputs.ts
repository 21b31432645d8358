/** Finds the files of an import: paths, folders with all that is in them, patterns. */
import { existsSync, statSync } from "node:fs";
import { join, sep } from "node:path";
import { Glob } from "bun";
import { SourceError, STANDARD_INPUT } from "./source.ts";

const FILES_MAX = 100_000;
const PATTERN = /[*?[\]{}]/;
/** What a folder's files are read for; a file that is named itself may be called anything. */
const READ_FROM_FOLDERS =
  /\.(?:csv|tsv|txt|tab|psv|json|jsonl|ndjson|parquet|pq|arrow|arrows|feather|ipc|zip)$/i;
const PACKED = /\.(?:gz|gzip|zst|zstd)$/i;
const HIDDEN = /(?:^|\/)[._]/;

/** @returns in the order given, those of a folder or pattern by name. @throws SourceError */
export function findInputs(given: readonly string[]): string[] {
  const found = given.flatMap((path) => {
    if (path === STANDARD_INPUT) return [path];
    if (existsSync(path)) return statSync(path).isDirectory() ? filesIn(path) : [path];
    return PATTERN.test(path) ? matching(path) : [path];
  });
  if (found.length > FILES_MAX)
    throw new SourceError(`expected at most ${FILES_MAX} files, got ${found.length}`);
  return [...new Set(found)];
}

function filesIn(folder: string): string[] {
  const paths = [...new Glob("**/*").scanSync({ cwd: folder, onlyFiles: true })].filter(
    (path) => !HIDDEN.test(path) && READ_FROM_FOLDERS.test(path.replace(PACKED, "")),
  );
  if (paths.length === 0)
    throw new SourceError(
      `${folder} has no file to import: expected .csv, .tsv, .txt, .json, .ndjson, .parquet, .arrow or .zip`,
    );
  return paths.sort().map((path) => join(folder, path));
}

function matching(pattern: string): string[] {
  const parts = pattern.split(sep);
  const first = parts.findIndex((part) => PATTERN.test(part));
  const folder = parts.slice(0, first).join(sep) || (pattern.startsWith(sep) ? sep : ".");
  const paths = existsSync(folder)
    ? [...new Glob(parts.slice(first).join(sep)).scanSync({ cwd: folder, onlyFiles: true })]
    : [];
  if (paths.length === 0) throw new SourceError(`no file matches ${pattern}`);
  return paths.sort().map((path) => (folder === "." && !pattern.startsWith(".") ? path : join(folder, path)));
}
