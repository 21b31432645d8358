/**
 * Libraries that the system has to load from files of their own. The server's one file has them
 * packed; they are unpacked into a folder that belongs to this user alone, and looked at before
 * each use, so that neither half a file nor somebody else's is ever loaded.
 */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isOpenToAll } from "../config/file-mode.ts";
import { messageOf } from "../protocol/message-of.ts";
import { installedFile } from "./installed.ts";

/** As `scripts/release/` writes them into `files.json`: what each file is once it is unpacked. */
export interface PackedFile {
  name: string;
  bytes: number;
  sha256: string;
}

/** Where they are in the one file, each with `.zst` behind its name. */
export const PACKED_FOLDER = "packed";

/** Not that of the runtime folders, which are removed when no server has them any more. */
const PREFIX = "stock-db-files";
/** Ends the name of a file that is being written, behind a random part, as pids repeat. */
const UNFINISHED = ".new";
/** What another version has unpacked, or a killed process left, goes when something new comes. */
const STALE_AFTER_MS = 24 * 3_600_000;
const CHUNK_BYTES = 2 ** 20;

/**
 * Unpacks the files if they aren't yet, and uses them.
 *
 * @param name the folder of the files, such as `duckdb`.
 * @param use gets the folder that has them. If it throws, the next place is tried.
 * @throws Error no place will do. The message names each with its reason.
 */
export function withPackedFiles<T>(name: string, use: (folder: string) => T): T {
  const packed = join(PACKED_FOLDER, name);
  const files: PackedFile[] = JSON.parse(readFileSync(installedFile(join(packed, "files.json")), "utf8"));
  const problems: string[] = [];
  for (const base of cacheFolders(process.env)) {
    try {
      const folder = privateFolder(base, name, files);
      for (const file of files) {
        if (!isWhole(join(folder, file.name), file)) unpack(join(packed, `${file.name}.zst`), folder, file);
      }
      return use(folder);
    } catch (error) {
      problems.push(`${base}: ${messageOf(error)}`);
    }
  }
  throw new Error(
    `no folder for the library of ${name}; tried ${problems.join("; ")}; XDG_CACHE_HOME may name one that is writable and not mounted noexec`,
  );
}

/** The best one first. CACHE_DIRECTORY is systemd's, and may have several, separated by colons. */
function cacheFolders(env: Record<string, string | undefined>): string[] {
  const { CACHE_DIRECTORY, XDG_CACHE_HOME, HOME } = env;
  const given = [CACHE_DIRECTORY?.split(":")[0], XDG_CACHE_HOME, HOME && join(HOME, ".cache"), tmpdir()];
  return [...new Set(given.filter((folder): folder is string => folder !== undefined && folder !== ""))];
}

/** @throws Error others could put files of their own there. */
function privateFolder(base: string, name: string, files: PackedFile[]): string {
  mkdirSync(base, { recursive: true, mode: 0o700 });
  if (isOpenToAll(base))
    throw new Error("anybody may rename or remove what is in it, as it has no sticky bit");
  const uid = process.getuid!();
  const siblings = `${PREFIX}-${uid}-${name}-`;
  const content = new Bun.CryptoHasher("sha256").update(JSON.stringify(files)).digest("hex");
  const folder = join(base, siblings + content.slice(0, 16));
  if (lstatSync(folder, { throwIfNoEntry: false }) === undefined) {
    removeStale(base, siblings);
    mkdirSync(folder, { recursive: true, mode: 0o700 }); // another process may be quicker
  }
  const found = lstatSync(folder);
  const mode = found.mode & 0o777;
  if (!found.isDirectory() || found.uid !== uid || mode !== 0o700)
    throw new Error(
      `${folder}: expected a folder of mode 0700 of user ${uid}, got mode 0${mode.toString(8)} of user ${found.uid}`,
    );
  return folder;
}

function isWhole(path: string, { bytes, sha256 }: PackedFile): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined || !found.isFile() || found.uid !== process.getuid!()) return false;
  const descriptor = openSync(path, "r");
  try {
    if (fstatSync(descriptor).size !== bytes) return false;
    const hasher = new Bun.CryptoHasher("sha256");
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (;;) {
      const got = readSync(descriptor, chunk);
      if (got === 0) return hasher.digest("hex") === sha256;
      hasher.update(chunk.subarray(0, got));
    }
  } finally {
    closeSync(descriptor);
  }
}

function unpack(packed: string, folder: string, { name }: PackedFile): void {
  removeStale(folder, "");
  const unfinished = join(folder, `${name}.${randomBytes(4).toString("hex")}${UNFINISHED}`);
  try {
    writeFileSync(unfinished, Bun.zstdDecompressSync(readFileSync(installedFile(packed))), { flag: "wx" });
    chmodSync(unfinished, 0o700);
    renameSync(unfinished, join(folder, name));
  } finally {
    rmSync(unfinished, { force: true });
  }
}

/** Of other versions, or unfinished. */
function removeStale(folder: string, prefix: string): void {
  for (const entry of readdirSync(folder)) {
    if (!entry.startsWith(prefix) || !(prefix !== "" || entry.endsWith(UNFINISHED))) continue;
    const path = join(folder, entry);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined || found.uid !== process.getuid!()) continue;
    if (Date.now() - found.mtimeMs > STALE_AFTER_MS) rmSync(path, { recursive: true, force: true });
  }
}
