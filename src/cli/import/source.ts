/** Opens what an import reads: files, the members of zip archives, standard input; unpacks them. */
import { createReadStream, rmSync } from "node:fs";
import { mkdtemp, open, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { messageOf } from "../../protocol/message-of.ts";
import { zipMembers } from "./zip.ts";
import { ZstdFrames } from "./zstd-frames.ts";

export const STANDARD_INPUT = "-";

export interface Source {
  /** Shown in messages. */
  name: string;
  /** The name that may tell the ticker; null for standard input. */
  fileName: string | null;
  /** Counted before unpacking; null if unknown. */
  bytesTotal: number | null;
  /** Counted before unpacking. */
  bytesRead(): number;
  /** Of a file that is in no archive; it may be packed. */
  plainPath: string | null;
  /** Whether `bytes` may be called more than once. */
  repeatable: boolean;
  /** The unpacked bytes. @throws SourceError while they are read. */
  bytes(): AsyncGenerator<Uint8Array>;
  /** What tells one version of a file from another, to go on after an interruption. */
  version: string | null;
}

/** The source can't be read, or what packs it is damaged. */
export class SourceError extends Error {
  override name = "SourceError";
}

/** What was read so far is not to be trusted either. */
export class DamagedSourceError extends SourceError {
  override name = "DamagedSourceError";
}

const MAGIC_LENGTH = 6;
const PACKINGS: { name: string; magic: number[]; unpack?: () => Transform }[] = [
  { name: "gzip", magic: [0x1f, 0x8b], unpack: () => createGunzip() },
  { name: "zstd", magic: [0x28, 0xb5, 0x2f, 0xfd], unpack: () => createZstdDecompress() },
  // A frame to be passed over, as pzstd writes one in front of each.
  { name: "zstd", magic: [0x50, 0x2a, 0x4d, 0x18], unpack: () => createZstdDecompress() },
  { name: "bzip2", magic: [0x42, 0x5a, 0x68] },
  { name: "xz", magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a] },
  { name: "7-Zip", magic: [0x37, 0x7a, 0xbc, 0xaf, 0x27] },
];
const ZIP = [0x50, 0x4b, 0x03, 0x04];
const CHUNK_BYTES = 256 * 1024;

/**
 * @param path `-` is standard input.
 * @param input tests may give their own.
 * @returns more than one for a zip archive. @throws SourceError there is no such file.
 */
export async function openSources(
  path: string,
  input: AsyncIterable<Uint8Array> = process.stdin,
): Promise<Source[]> {
  if (path === STANDARD_INPUT) return await openInput(input);
  const found = await stat(path).catch((error: Error) => {
    throw new SourceError(`cannot read ${path}: ${error.message}`, { cause: error });
  });
  if (found.isDirectory()) throw new SourceError(`cannot read ${path}: it is a folder, expected a file`);
  const version = found.isFile() ? `${path}:${found.size}:${found.mtimeMs}` : null;
  if (found.isFile() && startsWith(await headOf(path), ZIP))
    return await openZip(path, path, found.size, version);
  const whole = found.isFile() ? found.size : null;
  const open = (): AsyncIterable<Uint8Array> => createReadStream(path, { highWaterMark: CHUNK_BYTES });
  return [
    sourceOf(
      {
        name: path,
        fileName: basename(path),
        bytesTotal: whole,
        plainPath: path,
        repeatable: found.isFile(),
        version,
      },
      open,
    ),
  ];
}

/** A single source, for those who read one file. */
export async function openSource(path: string, input?: AsyncIterable<Uint8Array>): Promise<Source> {
  const [first, ...others] = await openSources(path, input);
  if (first === undefined || others.length > 0)
    throw new SourceError(`cannot read ${path}: expected one file, got an archive of ${others.length + 1}`);
  return first;
}

/**
 * A zip archive has its list at its end, so one that comes through a pipe is kept in a file first.
 */
async function openInput(input: AsyncIterable<Uint8Array>): Promise<Source[]> {
  const name = "standard input";
  const chunks = input[Symbol.asyncIterator]();
  const head = await take(chunks, ZIP.length);
  const rest = prepend(head, chunks);
  if (!startsWith(head, ZIP)) {
    return [
      sourceOf(
        { name, fileName: null, bytesTotal: null, plainPath: null, repeatable: false, version: null },
        () => rest,
      ),
    ];
  }
  const path = await spool(rest);
  return await openZip(path, name, null, null);
}

async function openZip(
  path: string,
  name: string,
  size: number | null,
  version: string | null,
): Promise<Source[]> {
  const members = await zipMembers(path).catch((error: Error) => {
    throw new SourceError(`cannot unpack ${name}: ${error.message}`, { cause: error });
  });
  if (members.length === 0) throw new SourceError(`cannot read ${name}: the archive has no files`);
  return members.map((member) => {
    const described = {
      name: `${name}/${member.path}`,
      fileName: basename(member.path),
      bytesTotal: size === null ? null : member.packedBytes,
      plainPath: null,
      repeatable: true,
      version: version === null ? null : `${version}:${member.path}`,
    };
    return sourceOf(described, () => member.bytes());
  });
}

function sourceOf(
  described: Omit<Source, "bytesRead" | "bytes">,
  open: () => AsyncIterable<Uint8Array>,
): Source {
  const { name } = described;
  let bytesRead = 0;

  async function* counted(): AsyncGenerator<Uint8Array> {
    bytesRead = 0;
    for await (const chunk of open()) {
      bytesRead += chunk.length;
      yield chunk;
    }
  }

  async function* bytes(): AsyncGenerator<Uint8Array> {
    const chunks = counted();
    let doing = "read";
    try {
      const head = await take(chunks, MAGIC_LENGTH);
      const packing = PACKINGS.find(({ magic }) => startsWith(head, magic));
      if (packing === undefined) {
        yield* prepend(head, chunks);
        return;
      }
      doing = "unpack";
      if (packing.unpack === undefined) throw new Error(`it is ${packing.name}, expected gzip, zstd or zip`);
      const packed = prepend(head, chunks);
      yield* unpacked(packing.name === "zstd" ? wholeFrames(packed) : packed, packing.unpack());
    } catch (error) {
      throw new DamagedSourceError(`cannot ${doing} ${name}: ${messageOf(error)}`, { cause: error });
    } finally {
      await chunks.return(undefined);
    }
  }

  return { ...described, bytesRead: () => bytesRead, bytes };
}

async function* unpacked(chunks: AsyncIterable<Uint8Array>, engine: Transform): AsyncGenerator<Uint8Array> {
  const fed = pipeline(Readable.from(chunks, { objectMode: false }), engine).then(
    () => null,
    (error: Error) => error,
  );
  try {
    yield* engine as AsyncIterable<Uint8Array>;
    const failure = await fed;
    if (failure !== null) throw failure;
  } finally {
    engine.destroy();
  }
}

async function* wholeFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const frames = new ZstdFrames();
  for await (const chunk of chunks) {
    frames.push(chunk);
    yield chunk;
  }
  if (!frames.isComplete()) throw new Error("it ends too early");
}

/** At least so many bytes, less only at the end. Names may lie, and standard input has none. */
async function take(chunks: AsyncIterator<Uint8Array>, bytes: number): Promise<Uint8Array> {
  let head = new Uint8Array(0);
  while (head.length < bytes) {
    const next = await chunks.next();
    if (next.done) break;
    head = Buffer.concat([head, next.value]);
  }
  return head;
}

async function* prepend(head: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (head.length > 0) yield head;
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

function startsWith(head: Uint8Array, magic: number[]): boolean {
  return magic.every((byte, index) => head[index] === byte);
}

async function headOf(path: string): Promise<Uint8Array> {
  const file = await open(path).catch((error: Error) => {
    throw new SourceError(`cannot read ${path}: ${error.message}`, { cause: error });
  });
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAGIC_LENGTH), 0, MAGIC_LENGTH, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Folders that are to go. */
const spooled = new Set<string>();

/** @param path Of `spool`. */
export function removeSpooled(path: string): void {
  const dir = spooled.has(path) ? path : dirname(path);
  if (spooled.delete(dir)) rmSync(dir, { recursive: true, force: true });
}

/**
 * Writes bytes into a file of their own, which goes when the process ends: for formats that are not
 * read from their beginning to their end.
 */
export async function spool(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "stock-db-import-"));
  if (spooled.size === 0) process.once("exit", () => spooled.forEach(removeSpooled));
  spooled.add(dir);
  const path = join(dir, "input");
  const file = await open(path, "wx", 0o600);
  try {
    for await (const chunk of chunks) await file.writeFile(chunk);
  } catch (error) {
    removeSpooled(dir);
    throw error;
  } finally {
    await file.close();
  }
  return path;
}
