/** Messages that wait until a client of a stream has read those before them; bounded. */
import type { EventGroup } from "./event-group.ts";
import { CODECS, type CodecName, type Encoded } from "./stream-codec.ts";

/** One update counts for at most this part of the bound, so that some large ones always fit. */
const UPDATE_PARTS = 16;
/** With so much in a frame, the next messages begin another one. */
const FRAME_BYTES = 32 * 1024;

interface WaitingGroup {
  group: EventGroup;
  cost: number;
  /** By `performance.now()`: since when it waits. */
  sinceMs: number;
}

export class WaitingGroups {
  readonly #codec: CodecName;
  readonly #maxBytes: number;
  #waiting: WaitingGroup[] = [];
  #next = 0;
  #bytes = 0;

  constructor(codec: CodecName, maxBytes: number) {
    this.#codec = codec;
    this.#maxBytes = maxBytes;
  }

  get isEmpty(): boolean {
    return this.#next === this.#waiting.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Roughly: an update that several channels tell is several here. */
  get updates(): number {
    return this.#waiting.length - this.#next;
  }

  /** By `performance.now()`: since when the next one waits; null: none does. */
  get nextSinceMs(): number | null {
    return this.#waiting[this.#next]?.sinceMs ?? null;
  }

  /** @param groups of one update. @returns false when they don't fit. */
  add(groups: readonly EventGroup[]): boolean {
    let bytes = 0;
    for (const group of groups) bytes += group.in(this.#codec).length;
    const share = Math.min(1, this.#maxBytes / UPDATE_PARTS / bytes);
    if (!this.isEmpty && this.#bytes + bytes * share > this.#maxBytes) return false;
    const sinceMs = performance.now();
    for (const group of groups) {
      const cost = group.in(this.#codec).length * share;
      this.#waiting.push({ group, cost, sinceMs });
      this.#bytes += cost;
    }
    return true;
  }

  /** The next frame, and how many messages it has; null when nothing waits. */
  takeFrame(): { frame: Encoded; messages: number } | null {
    if (this.isEmpty) return null;
    const parts: Encoded[] = [];
    let messages = 0;
    let bytes = 0;
    while (!this.isEmpty && bytes < FRAME_BYTES) {
      const { group, cost } = this.#waiting[this.#next++]!;
      const part = group.in(this.#codec);
      parts.push(part);
      messages += group.size;
      bytes += part.length;
      this.#bytes -= cost;
    }
    if (this.isEmpty) this.clear();
    else if (this.#next > this.#waiting.length / 2) {
      this.#waiting = this.#waiting.slice(this.#next);
      this.#next = 0;
    }
    return { frame: CODECS[this.#codec].frame(parts, messages), messages };
  }

  clear(): void {
    this.#waiting = [];
    this.#next = 0;
    this.#bytes = 0;
  }
}
