/** Opens a file or standard input for an import; unpacks gzip. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline, Readable, type Writable } from "node:stream";
import { createGunzip } from "node:zlib";

export const STANDARD_INPUT = "-";

export interface Source {
  /** Shown in messages. */
  name: string;
  /** Counted before unpacking; null if unknown. */
  bytesTotal: number | null;
  /** Counted before unpacking. */
  bytesRead(): number;
  /** Writes the unpacked text into `sink` and ends it. An error destroys it. Call once. */
  pipeInto(sink: Writable): Promise<void>;
}

/** The source can't be read, or its gzip is damaged. */
export class SourceError extends Error {
  override name = "SourceError";
}

/**
 * @param path `-` is standard input.
 * @param input tests may give their own.
 * @throws SourceError there is no such file.
 */
export async function openSource(
  path: string,
  input: AsyncIterable<Uint8Array> = process.stdin,
): Promise<Source> {
  if (path === STANDARD_INPUT) return sourceOf("standard input", null, () => input);
  const found = await stat(path).catch((error: Error) => {
    throw new SourceError(`cannot read ${path}: ${error.message}`, { cause: error });
  });
  if (found.isDirectory()) throw new SourceError(`cannot read ${path}: it is a folder, expected a CSV file`);
  const bytesTotal = found.isFile() ? found.size : null;
  return sourceOf(path, bytesTotal, () => createReadStream(path));
}

function sourceOf(name: string, bytesTotal: number | null, open: () => AsyncIterable<Uint8Array>): Source {
  let bytesRead = 0;

  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of open()) {
      bytesRead += chunk.length;
      yield chunk;
    }
  }

  return {
    name,
    bytesTotal,
    bytesRead: () => bytesRead,
    async pipeInto(sink) {
      const chunks = counted();
      const { head, packed } = await peekGzip(chunks).catch((error: Error) => {
        const failure = new SourceError(`cannot read ${name}: ${error.message}`, { cause: error });
        sink.destroy(failure);
        throw failure;
      });
      const bytes = Readable.from(prepend(head, chunks), { objectMode: false });
      await new Promise<void>((resolve, reject) => {
        const done = (error?: Error | null) => {
          if (!error) return resolve();
          const doing = packed ? "unpack" : "read";
          reject(new SourceError(`cannot ${doing} ${name}: ${error.message}`, { cause: error }));
        };
        if (packed) pipeline(bytes, createGunzip(), sink, done);
        else pipeline(bytes, sink, done);
      });
    },
  };
}

/** The first two bytes tell gzip: names may lie, and standard input has none. */
async function peekGzip(chunks: AsyncGenerator<Uint8Array>): Promise<{ head: Uint8Array; packed: boolean }> {
  let head = new Uint8Array(0);
  while (head.length < 2) {
    const next = await chunks.next();
    if (next.done) break;
    head = Buffer.concat([head, next.value]);
  }
  return { head, packed: head[0] === 0x1f && head[1] === 0x8b };
}

async function* prepend(head: Uint8Array, rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head;
  yield* rest;
}
