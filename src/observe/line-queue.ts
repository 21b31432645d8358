/** Standard output or a file. Each has one queue at most. */
export interface LineTarget {
  /** Named so in error messages. */
  readonly name: string;
  /** The largest chunk for `write`, except for a longer single line. */
  readonly chunkBytesMax: number;
  /** No later write can succeed; the queue drops all further lines. */
  readonly closed: boolean;
  /** Resolves when the system has the chunk; rejects when it is lost. Calls don't overlap. */
  write(chunk: Buffer): Promise<void>;
  /** Writes at once, at exit. `unfinished` is the chunk of a `write` that hasn't resolved. */
  writeSync(chunk: Buffer, unfinished: Buffer | null): void;
  close(): Promise<void>;
}

interface Notices {
  /** @returns a line for the target about the lines that it lost. */
  lost(lines: number): string;
  /** Called at the first failure, and again only after a successful write. */
  failed(error: unknown): void;
}

/** Lines gather for this long, to share a write. */
const GATHER_MS = 100;
/** This many waiting bytes are written at once. */
const GATHER_BYTES = 64 * 1024;
/** Memory for lines that the target hasn't taken. Further lines are dropped and counted. */
const PENDING_BYTES_MAX = 4 * 1024 * 1024;
/** Written lines are cut off the array in steps of this, as each cut copies the rest. */
const WRITTEN_LINES_MAX = 4096;

/** Lines for one target, in order. Memory is bounded, writes don't overlap, callers never wait. */
export class LineQueue {
  readonly #target: LineTarget;
  readonly #notices: Notices;
  #lines: string[] = [];
  /** Index in #lines of the first line that no chunk has yet. */
  #next = 0;
  #pendingBytes = 0;
  #lost = 0;
  #failing = false;
  #unfinished: Buffer | null = null;
  #timer: Timer | null = null;
  #writing: Promise<void> | null = null;

  constructor(target: LineTarget, notices: Notices) {
    this.#target = target;
    this.#notices = notices;
  }

  /** @param promptly Write without waiting for more lines. */
  push(line: string, promptly: boolean): void {
    if (this.#target.closed) return;
    const bytes = Buffer.byteLength(line);
    if (this.#pendingBytes + bytes > PENDING_BYTES_MAX) {
      this.#lost++;
      return;
    }
    this.#lines.push(line);
    this.#pendingBytes += bytes;
    if (this.#writing !== null) return;
    if (promptly || this.#pendingBytes >= GATHER_BYTES) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), GATHER_MS).unref();
  }

  /** Resolves when the lines so far are written or lost. Never, if the target is stuck. */
  async flush(): Promise<void> {
    if (this.#writing !== null || this.#lines.length > 0) await this.#start();
  }

  flushSync(): void {
    for (let chunk = this.#takeChunk(); chunk !== null; chunk = this.#takeChunk()) {
      this.#target.writeSync(chunk, this.#unfinished);
    }
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#target.close();
  }

  #start(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    // The microtask keeps even a synchronous write out of the logging request's time.
    this.#writing ??= Promise.resolve().then(() => this.#writeAll());
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    for (let chunk = this.#takeChunk(); chunk !== null; chunk = this.#takeChunk()) {
      this.#unfinished = chunk;
      try {
        await this.#target.write(chunk);
        this.#failing = false;
      } catch (error) {
        this.#lost += countLines(chunk);
        if (!this.#failing) this.#notices.failed(error);
        this.#failing = true;
      }
      this.#unfinished = null;
      if (this.#target.closed) this.#discard();
      else if (this.#lost > 0 && !this.#failing) this.#reportLost();
    }
    // No `await` since the last look at the lines: a later push must start a new round.
    this.#writing = null;
  }

  #reportLost(): void {
    const line = this.#notices.lost(this.#lost);
    this.#lines.push(line);
    this.#pendingBytes += Buffer.byteLength(line);
    this.#lost = 0;
  }

  #discard(): void {
    this.#lines = [];
    this.#next = 0;
    this.#pendingBytes = 0;
  }

  #takeChunk(): Buffer | null {
    let bytes = 0;
    let end = this.#next;
    for (; end < this.#lines.length; end++) {
      const more = Buffer.byteLength(this.#lines[end]!);
      if (bytes > 0 && bytes + more > this.#target.chunkBytesMax) break;
      bytes += more;
    }
    if (bytes === 0) return null;
    const chunk = Buffer.from(this.#lines.slice(this.#next, end).join(""));
    this.#pendingBytes -= bytes;
    this.#next = end;
    if (this.#next === this.#lines.length || this.#next >= WRITTEN_LINES_MAX) {
      this.#lines.splice(0, this.#next);
      this.#next = 0;
    }
    return chunk;
  }
}

function countLines(chunk: Buffer): number {
  let lines = 0;
  for (const byte of chunk) if (byte === 0x0a) lines++;
  return lines;
}
