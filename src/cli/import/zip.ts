/** The files in a zip archive. */
import { crc32 } from "node:zlib";
import type { Entry, ZipFile } from "yauzl";

interface ZipMember {
  path: string;
  packedBytes: number;
  bytes(): AsyncGenerator<Uint8Array>;
}

const MEMBERS_MAX = 100_000;
/** What archives hold beside their files: folders, and what macOS adds. */
const NO_FILE = /\/$|(?:^|\/)(?:__MACOSX\/|\.)/;

/** @returns in the order of their names. @throws Error The archive is damaged. */
export async function zipMembers(path: string): Promise<ZipMember[]> {
  const entries = await withArchive(path, async (archive) => {
    const found: Entry[] = [];
    for await (const entry of archive.eachEntry()) {
      if (found.length === MEMBERS_MAX)
        throw new Error(`expected at most ${MEMBERS_MAX} files in an archive`);
      if (!NO_FILE.test(entry.fileName)) found.push(entry);
    }
    return found;
  });
  entries.sort((a, b) => (a.fileName < b.fileName ? -1 : 1));
  return entries.map((entry) => ({
    path: entry.fileName,
    packedBytes: entry.compressedSize,
    bytes: () => bytesOf(path, entry),
  }));
}

async function* bytesOf(path: string, entry: Entry): AsyncGenerator<Uint8Array> {
  const archive = await openArchive(path);
  try {
    if (entry.isEncrypted()) throw new Error(`${entry.fileName} is encrypted`);
    let sum = 0;
    for await (const chunk of (await archive.openReadStreamPromise(entry)) as AsyncIterable<Uint8Array>) {
      sum = crc32(chunk, sum);
      yield chunk;
    }
    if (sum !== entry.crc32) throw new Error(`${entry.fileName} is damaged: its checksum is wrong`);
  } finally {
    archive.close();
  }
}

async function withArchive<T>(path: string, use: (archive: ZipFile) => Promise<T>): Promise<T> {
  const archive = await openArchive(path);
  try {
    return await use(archive);
  } finally {
    archive.close();
  }
}

async function openArchive(path: string): Promise<ZipFile> {
  const { openPromise } = await import("yauzl");
  return await openPromise(path, { autoClose: false });
}
