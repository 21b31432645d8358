/** Where lines go: standard output or a file. Several queues never share a target. */
export interface LineTarget {
  /** As an error message names it. */
  readonly name: string;
  /** Largest chunk that `write` gets, except for a single line that is longer. */
  readonly chunkBytesMax: number;
  /** True when no later write can succeed; lines are thrown away from then on. */
  readonly closed: boolean;
  /**
   * Resolves when the system has taken the chunk; rejects when it is lost. Never called again
   * before that.
   */
  write(chunk: Buffer): Promise<void>;
  /**
   * Writes at once, for the exit of the process. `unfinished` is the chunk of a `write` that has
   * not resolved.
   */
  writeSync(chunk: Buffer, unfinished: Buffer | null): void;
  close(): Promise<void>;
}

interface Notices {
  /** A line that tells of lines that never reached the target; it goes to that target. */
  lost(lines: number): string;
  /** Called at the first failure, and again only after a write has succeeded. */
  failed(error: unknown): void;
}

/** Lines wait this long for company: one write for many lines. */
const GATHER_MS = 100;
/** So many waiting bytes are written without waiting for more. */
const GATHER_BYTES = 64 * 1024;
/** Memory for lines that the target hasn't taken. What comes beyond is dropped and counted. */
const PENDING_BYTES_MAX = 4 * 1024 * 1024;
/**
 * Written lines are cut off the front of the array in steps of this, since each cut copies the
 * rest.
 */
const WRITTEN_LINES_MAX = 4096;

/**
 * Lines on their way to one target, in order: bounded in memory, one write at a time, never in the
 * caller's time.
 */
export class LineQueue {
  readonly #target: LineTarget;
  readonly #notices: Notices;
  #lines: string[] = [];
  /** Index in #lines of the first one that isn't in a chunk yet. */
  #next = 0;
  #pendingBytes = 0;
  #lost = 0;
  #failing = false;
  #unfinished: Buffer | null = null;
  #timer: Timer | null = null;
  #pumping: Promise<void> | null = null;

  constructor(target: LineTarget, notices: Notices) {
    this.#target = target;
    this.#notices = notices;
  }

  /** @param promptly Write it without waiting for more lines. */
  push(line: string, promptly: boolean): void {
    if (this.#target.closed) return;
    const bytes = Buffer.byteLength(line);
    if (this.#pendingBytes + bytes > PENDING_BYTES_MAX) {
      this.#lost++;
      return;
    }
    this.#lines.push(line);
    this.#pendingBytes += bytes;
    if (this.#pumping !== null) return;
    if (promptly || this.#pendingBytes >= GATHER_BYTES) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), GATHER_MS).unref();
  }

  /**
   * Resolves when the lines pushed so far have been written or lost: with a stuck target, never.
   */
  async flush(): Promise<void> {
    if (this.#pumping !== null || this.#lines.length > 0) await this.#start();
  }

  /** For the exit of the process. */
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
    // The microtask keeps even a synchronous write out of the time of the request that logs.
    this.#pumping ??= Promise.resolve().then(() => this.#pump());
    return this.#pumping;
  }

  async #pump(): Promise<void> {
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
      else if (this.#lost > 0 && !this.#failing) this.#tellLost();
    }
    // In the same turn as the look that found nothing left: a line pushed after it must start the
    // next round.
    this.#pumping = null;
  }

  #tellLost(): void {
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
