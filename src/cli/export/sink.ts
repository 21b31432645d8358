/** Where the bytes of an export go: a file, packed or not, or standard output. */
import { once } from "node:events";
import { type FileHandle, open } from "node:fs/promises";
import type { Transform } from "node:stream";
import { constants, createGzip, createZstdCompress } from "node:zlib";

export const PACKINGS = ["gz", "zst"] as const;
export type Packing = (typeof PACKINGS)[number];

export interface Sink {
  write(bytes: Uint8Array): Promise<void>;
  /** Returns once all is on disk. */
  end(): Promise<void>;
  /** What was written isn't needed. */
  abandon(): Promise<void>;
}

const GZIP_LEVEL = 6;
const ZSTD_LEVEL = 3;

/** @param path of a file that isn't there yet. */
export async function openFile(path: string, packing: Packing | null): Promise<Sink> {
  const file = new FileSink(await open(path, "wx"));
  return packing === null ? file : new PackedSink(file, packing);
}

/** @param signal ends the wait for a reader that takes nothing. */
export function standardOutput(packing: Packing | null, signal: AbortSignal): Sink {
  const output = new OutputSink(signal);
  return packing === null ? output : new PackedSink(output, packing);
}

class FileSink implements Sink {
  readonly #file: FileHandle;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, at);
      at += bytesWritten;
    }
  }

  async end(): Promise<void> {
    await this.#file.sync();
    await this.#file.close();
  }

  async abandon(): Promise<void> {
    await this.#file.close();
  }
}

/** A reader that has gone ends the process: see closed-output.ts. */
class OutputSink implements Sink {
  readonly #signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (!process.stdout.write(bytes)) await once(process.stdout, "drain", { signal: this.#signal });
  }

  async end(): Promise<void> {}

  async abandon(): Promise<void> {}
}

class PackedSink implements Sink {
  readonly #sink: Sink;
  readonly #packer: Transform;
  readonly #packed: Promise<void>;

  constructor(sink: Sink, packing: Packing) {
    this.#sink = sink;
    this.#packer =
      packing === "gz"
        ? createGzip({ level: GZIP_LEVEL })
        : createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } });
    this.#packed = this.#passOn();
    this.#packed.catch(() => {}); // told by the write or end that waits for it
  }

  async #passOn(): Promise<void> {
    for await (const bytes of this.#packer) await this.#sink.write(bytes);
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#packer.write(bytes)) return;
    await Promise.race([once(this.#packer, "drain"), this.#packed]);
  }

  async end(): Promise<void> {
    this.#packer.end();
    await this.#packed;
    await this.#sink.end();
  }

  async abandon(): Promise<void> {
    this.#packer.destroy();
    await this.#packed.catch(() => {});
    await this.#sink.abandon();
  }
}
