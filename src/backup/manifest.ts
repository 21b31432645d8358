/** What a backup says of itself, in JSON: `backup.json` in its folder. */
import { readFileSync } from "node:fs";
import { messageOf } from "../protocol/message-of.ts";

const FORMAT = 1;

export interface ManifestPart {
  /** What the restored file has behind the name of the database: "" for the database itself. */
  suffix: string;
  bytes: number;
  sha256: string;
}

export interface Manifest {
  /** One more than that of the backup before it: clocks may be set back. */
  number: number;
  /** The engine's first name, such as "sqlite". */
  engine: string;
  /** The database, as it was then. */
  database: string;
  /** All that was answered by then is in it. ISO 8601. */
  taken_at: string;
  finished_at: string;
  server_version: string;
  parts: ManifestPart[];
  /** The backups whose packs hold its chunks. */
  packs: string[];
  /** SHA-256 of the file that says where the chunks are. */
  index_sha256: string;
  /** Bytes of the database that the backup before didn't have, and what they take here. */
  new_bytes: number;
  stored_bytes: number;
  /** True: a copy made of it was opened and looked through. */
  opened: boolean;
}

/** A backup is damaged, or no backup. The message names the file. */
export class BackupError extends Error {
  override readonly name = "BackupError";
}

export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify({ format: FORMAT, ...manifest }, null, 2)}\n`;
}

/** @throws BackupError */
export function readManifest(path: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new BackupError(`${path}: ${messageOf(error)}`);
  }
  const { format, ...manifest } = (value ?? {}) as { format?: unknown } & Manifest;
  if (format !== FORMAT)
    throw new BackupError(`${path}: got format ${JSON.stringify(format)}, expected ${FORMAT}`);
  const isWhole =
    typeof manifest.engine === "string" &&
    Number.isSafeInteger(manifest.number) &&
    !Number.isNaN(Date.parse(manifest.taken_at)) &&
    isList(manifest.packs, (name) => typeof name === "string") &&
    isList(manifest.parts, isPart);
  if (!isWhole) throw new BackupError(`${path}: expected number, engine, taken_at, packs and parts`);
  return manifest;
}

function isList(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(isItem);
}

function isPart(value: unknown): boolean {
  const { suffix, bytes, sha256 } = (value ?? {}) as Partial<ManifestPart>;
  // It becomes a part of a path.
  const isSuffix = typeof suffix === "string" && /^(\.[a-z]+)?$/.test(suffix);
  return isSuffix && Number.isSafeInteger(bytes) && typeof sha256 === "string";
}
