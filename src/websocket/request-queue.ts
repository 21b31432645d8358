/** A client's messages that wait for earlier ones; bounded per client and for the whole worker. */

/** Limit per client, in bytes as counted by `cost`. A single message may be larger. */
const QUEUE_BYTES_MAX = 4 * 1024 * 1024;
/** Limit for all clients of a worker. */
const TOTAL_BYTES_MAX = 64 * 1024 * 1024;
/** A client with at most this much may add beyond TOTAL_BYTES_MAX too, as others filled it. */
const SMALL_BYTES = 8 * 1024;
/** Bytes for a message beside its text. */
const OVERHEAD_BYTES = 64;
/** One character outside Latin 1 makes the whole text take so much. */
const BYTES_PER_CHARACTER = 2;

/** Bytes that wait in all queues of a worker. */
export class QueuedBytes {
  bytes = 0;
}

export class RequestQueue {
  readonly #total: QueuedBytes;
  #texts: (string | null)[] = [];
  #next = 0;
  #bytes = 0;

  constructor(total: QueuedBytes) {
    this.#total = total;
  }

  get size(): number {
    return this.#texts.length - this.#next;
  }

  /** @param text null: a binary message. @returns why it can't wait, or null. */
  add(text: string | null): "own bound" | "bound of all" | null {
    const bytes = cost(text);
    if (this.size > 0 && this.#bytes + bytes > QUEUE_BYTES_MAX) return "own bound";
    const isSmall = this.#bytes + bytes <= SMALL_BYTES;
    if (!isSmall && this.#total.bytes + bytes > TOTAL_BYTES_MAX) return "bound of all";
    this.#texts.push(text);
    this.#count(bytes);
    return null;
  }

  /** The oldest; undefined when none waits. */
  take(): string | null | undefined {
    if (this.size === 0) return undefined;
    const text = this.#texts[this.#next]!;
    this.#texts[this.#next++] = null;
    this.#count(-cost(text));
    if (this.#next > this.#texts.length / 2) {
      this.#texts = this.#texts.slice(this.#next);
      this.#next = 0;
    }
    return text;
  }

  clear(): void {
    this.#texts = [];
    this.#next = 0;
    this.#count(-this.#bytes);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#total.bytes += bytes;
  }
}

function cost(text: string | null): number {
  return OVERHEAD_BYTES + BYTES_PER_CHARACTER * (text?.length ?? 0);
}
