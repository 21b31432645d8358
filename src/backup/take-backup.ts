/** Takes a backup of a database file, which a server may be writing. */
import { createHash } from "node:crypto";
import { realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "../../package.json" with { type: "json" };
import type { Engine } from "../storage/engine.ts";
import { type FileImage, ImageSpoiltError } from "../storage/file-image.ts";
import { turn } from "../time/pauses.ts";
import {
  type Backup,
  type BackupFolder,
  backupName,
  INDEX_FILE,
  PACK_FILE,
  syncPath,
} from "./backup-folder.ts";
import { CHUNK_BYTES, type Chunk, ChunkIndex, chunksOf, hashOf } from "./chunk-index.ts";
import { BackupError, type Manifest, type ManifestPart, manifestText } from "./manifest.ts";
import { PackWriter } from "./pack-writer.ts";
import { rebuild } from "./rebuild.ts";
import { verifyByOpening } from "./verify.ts";

/** The file changed under so many readings. */
const READINGS_MAX = 5;
/** Later backups leave a pack alone of which less is in use, so that it can go with the older. */
const USED_SHARE_MIN = 1 / 2;
/** A backup needs no more packs of those before: what is in the smallest is stored anew. */
const PACKS_MAX = 200;

export interface BackupRequest {
  engine: Engine;
  dbFile: string;
  folder: BackupFolder;
  /** A copy is made of it and opened. Otherwise its new chunks are read back and compared. */
  opens: boolean;
  signal: AbortSignal;
}

/**
 * The caller has locked the folder. What was begun is removed after an error.
 * @throws Error The database can't be read, there is no room, or what was written is not right.
 */
export async function takeBackup(request: BackupRequest): Promise<Backup> {
  let usesBefore = true;
  for (let reading = 1; ; reading++) {
    const path = request.folder.begin();
    try {
      return await take(request, path, usesBefore);
    } catch (error) {
      rmSync(path, { recursive: true, force: true });
      const isSpoilt = error instanceof ImageSpoiltError;
      // A backup before it may be damaged: then the next tries without it.
      if (!(isSpoilt || (error instanceof BackupError && usesBefore)) || reading === READINGS_MAX)
        throw error;
      usesBefore &&= isSpoilt;
    }
  }
}

async function take(
  { engine, dbFile, folder, opens, signal }: BackupRequest,
  path: string,
  usesBefore: boolean,
): Promise<Backup> {
  const image = await engine.openImage!(dbFile, path);
  let packed: Packed;
  try {
    packed = await packImage(image, {
      path,
      before: usesBefore ? chunksBefore(folder, nameOf(engine)) : NONE,
      signal,
    });
    image.confirm();
  } finally {
    image.close();
  }
  const { index, parts, packs, newBytes, storedBytes } = packed;
  const name = backupName(image.takenAtMs);
  const manifest: Manifest = {
    number: (folder.list().at(-1)?.number ?? 0) + 1,
    engine: nameOf(engine),
    database: realpathSync(dbFile),
    taken_at: new Date(image.takenAtMs).toISOString(),
    finished_at: new Date().toISOString(),
    server_version: version,
    parts,
    packs: packs.map((pack) => pack ?? name),
    index_sha256: createHash("sha256").update(index.bytes).digest("hex"),
    new_bytes: newBytes,
    stored_bytes: storedBytes,
    opened: opens,
  };
  writeFileSync(join(path, INDEX_FILE), index.bytes, { mode: 0o600 });
  syncPath(join(path, INDEX_FILE));
  // It is no backup before it has a manifest.
  folder.publish(path, name);
  const backup = { name, ...manifest };
  try {
    await verify(backup, { engine, folder, opens, signal });
    folder.declare(name, manifestText(manifest));
  } catch (error) {
    folder.remove(name);
    throw error;
  }
  return backup;
}

interface Packed {
  index: ChunkIndex;
  parts: ManifestPart[];
  /** The backups whose chunks it has; null: itself. */
  packs: (string | null)[];
  newBytes: number;
  storedBytes: number;
}

interface PackRequest {
  path: string;
  before: ChunksBefore;
  signal: AbortSignal;
}

async function packImage(image: FileImage, { path, before, signal }: PackRequest): Promise<Packed> {
  const packs: (string | null)[] = [...before.packs, null];
  const index = ChunkIndex.ofChunks(image.parts.reduce((all, { bytes }) => all + chunksOf(bytes), 0));
  const pack = new PackWriter(join(path, PACK_FILE));
  let newBytes = 0;
  let place = 0;
  const parts: ManifestPart[] = [];
  try {
    for (const part of image.parts) {
      const sum = createHash("sha256");
      for (let chunk = 0; chunk < chunksOf(part.bytes); chunk++, place++) {
        signal.throwIfAborted();
        const at = chunk * CHUNK_BYTES;
        const bytes = new Uint8Array(Math.min(CHUNK_BYTES, part.bytes - at));
        part.read(bytes, at);
        sum.update(bytes);
        const hash = hashOf(bytes);
        const known = before.find(part.suffix, chunk, hash);
        if (known === null) newBytes += bytes.length;
        index.set(place, known ?? { hash, pack: packs.length - 1, ...pack.add(bytes) });
        await turn();
      }
      parts.push({ suffix: part.suffix, bytes: part.bytes, sha256: sum.digest("hex") });
    }
    pack.sync();
  } finally {
    pack.close();
  }
  const used = index.bytesByPack(packs.length);
  return { ...withoutUnused(index, packs, used), parts, newBytes, storedBytes: pack.bytes };
}

/** Packs that the index needs nothing of would never go. */
function withoutUnused(
  index: ChunkIndex,
  packs: (string | null)[],
  used: number[],
): { index: ChunkIndex; packs: (string | null)[] } {
  const left = packs.filter((_, place) => used[place]! > 0);
  const moved = packs.map((pack) => left.indexOf(pack));
  for (let place = 0; place < index.length; place++) {
    const chunk = index.at(place);
    index.set(place, { ...chunk, pack: moved[chunk.pack]! });
  }
  return { index, packs: left };
}

interface ChunksBefore {
  packs: string[];
  find(suffix: string, chunk: number, hash: Uint8Array): Chunk | null;
}

const NONE: ChunksBefore = { packs: [], find: () => null };

/** Those of the newest backup, where it is of the same engine and not damaged. */
function chunksBefore(folder: BackupFolder, engine: string): ChunksBefore {
  const newest = folder.list().at(-1);
  if (newest === undefined || newest.engine !== engine) return NONE;
  let index: ChunkIndex;
  try {
    index = folder.indexOf(newest);
  } catch (error) {
    if (error instanceof BackupError) return NONE;
    throw error;
  }
  const used = index.bytesByPack(newest.packs.length);
  const enough = used.toSorted((a, b) => b - a)[PACKS_MAX] ?? 0;
  const bytes = newest.packs.map((name) => folder.packBytes(name));
  const isWorth = used.map((needed, at) => needed > enough && needed >= bytes[at]! * USED_SHARE_MIN);
  const firsts = new Map<string, { first: number; count: number }>();
  let first = 0;
  for (const { suffix, bytes } of newest.parts) {
    firsts.set(suffix, { first, count: chunksOf(bytes) });
    first += chunksOf(bytes);
  }
  return {
    packs: newest.packs,
    find(suffix, chunk, hash) {
      const part = firsts.get(suffix);
      if (part === undefined || chunk >= part.count) return null;
      const place = part.first + chunk;
      if (!index.hasHash(place, hash)) return null;
      const known = index.at(place);
      const isThere = known.place + known.length <= bytes[known.pack]!;
      return isThere && isWorth[known.pack] ? known : null;
    },
  };
}

/** With the chunks of the backups before it: what is damaged there would be missing here. */
async function verify(
  backup: Backup,
  { engine, folder, opens, signal }: Pick<BackupRequest, "engine" | "folder" | "opens" | "signal">,
): Promise<void> {
  if (opens) await verifyByOpening(backup, { engine, folder, signal });
  else await rebuild(folder, backup, null, signal);
}

function nameOf(engine: Engine): string {
  return Object.keys(engine.names)[0]!;
}
