/** Makes the files of a database out of a backup. */
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import { turn } from "../time/pauses.ts";
import type { Backup, BackupFolder } from "./backup-folder.ts";
import { chunksOf } from "./chunk-index.ts";
import { BackupError } from "./manifest.ts";
import { ChunkReader } from "./read-chunks.ts";

/**
 * @param path of the database to be, whose files aren't there. Null: the chunks are only checked.
 * @throws BackupError The backup is damaged: nothing of the files is left.
 */
export async function rebuild(
  folder: BackupFolder,
  backup: Backup,
  path: string | null,
  signal: AbortSignal,
): Promise<void> {
  const index = folder.indexOf(backup);
  const count = backup.parts.reduce((all, { bytes }) => all + chunksOf(bytes), 0);
  if (index.length !== count)
    throw new BackupError(`${backup.name}: its index has ${index.length} chunks, expected ${count}`);
  using chunks = new ChunkReader(folder, backup.packs);
  let first = 0;
  try {
    for (const part of backup.parts) {
      const fd = path === null ? null : openSync(path + part.suffix, "wx", 0o600);
      try {
        const sum = createHash("sha256");
        let bytes = 0;
        for (let at = first; at < first + chunksOf(part.bytes); at++) {
          signal.throwIfAborted();
          const chunk = chunks.read(index.at(at));
          sum.update(chunk);
          bytes += chunk.length;
          if (fd !== null) writeAll(fd, chunk);
          await turn();
        }
        if (bytes !== part.bytes || sum.digest("hex") !== part.sha256)
          throw new BackupError(`${backup.name}: the checksum of the database${part.suffix} is another`);
        if (fd !== null) fsyncSync(fd);
      } finally {
        if (fd !== null) closeSync(fd);
      }
      first += chunksOf(part.bytes);
    }
  } catch (error) {
    if (path !== null) for (const { suffix } of backup.parts) rmSync(path + suffix, { force: true });
    throw error;
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done);
}
