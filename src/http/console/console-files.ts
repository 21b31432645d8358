/**
 * The built files of the console, as `scripts/build-console.js` leaves them in `console/dist`. They
 * are read once, with the first request: a page then gets the files that it was built with, also
 * where another build takes their place on the disk.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { installedFile } from "../../installation/installed.ts";

/** The page itself. */
const PAGE = "index.html";
/** What its files are asked for under, and their folder beside the page. */
export const CONSOLE_PREFIX = "/console/";

/** What a packed file's name ends with, by its coding. */
const PACKED_ENDINGS = { br: ".br", gzip: ".gz" } as const;
type FileCoding = keyof typeof PACKED_ENDINGS;

export interface ConsoleFile {
  type: string;
  plain: Uint8Array<ArrayBuffer>;
  /** Packed when they were built, where that is worth it. */
  packed: Partial<Record<FileCoding, Uint8Array<ArrayBuffer>>>;
}

export interface ConsoleFiles {
  /** With `NONCE` where the nonce of an answer belongs. */
  page: string;
  /** By name. */
  files: ReadonlyMap<string, ConsoleFile>;
}

const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".md": "text/plain; charset=utf-8",
};

let read: ConsoleFiles | null = null;

/** @returns null: it isn't built. That is looked at again with each request. */
export function consoleFiles(): ConsoleFiles | null {
  read ??= readFiles(installedFile("console/dist"));
  return read;
}

function readFiles(folder: string): ConsoleFiles | null {
  const page = join(folder, PAGE);
  if (!existsSync(page)) return null;
  const assets = join(folder, CONSOLE_PREFIX);
  const files = new Map<string, ConsoleFile>();
  for (const name of readdirSync(assets)) {
    const type = TYPES[extname(name)];
    if (type !== undefined) files.set(name, { type, plain: bytesOf(join(assets, name)), packed: {} });
  }
  for (const [coding, ending] of Object.entries(PACKED_ENDINGS) as [FileCoding, string][]) {
    for (const [name, file] of files) {
      const path = join(assets, name + ending);
      if (existsSync(path)) file.packed[coding] = bytesOf(path);
    }
  }
  return { page: readFileSync(page, "utf8"), files };
}

function bytesOf(path: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(path));
}
