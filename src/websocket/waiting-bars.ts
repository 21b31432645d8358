/**
 * Bars that wait for a slow client, bounded: of each bar the newest version. Bars that run aren't
 * kept, as the next one stands for them.
 */
import { type BarFrame, barsGapFrame } from "../live-bars/bar-listener.ts";

/** Bars that were dropped, of one ticker and spec. */
interface Dropped {
  frame: BarFrame;
  from: number;
  until: number;
}

export class WaitingBars {
  readonly #maxBytes: number;
  readonly #waiting = new Map<string, BarFrame>();
  readonly #dropped = new Map<string, Dropped>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** @returns false: it doesn't fit. */
  add(frame: BarFrame): boolean {
    if (frame.type === "partial_bars") return true;
    const { ticker, spec, bucket } = frame;
    const key = JSON.stringify([ticker, spec.key, bucket?.start ?? frame.text]);
    const before = this.#waiting.get(key);
    const waiting = before?.type === "bars" ? asNew(frame) : frame;
    const bytes = this.#bytes + waiting.text.length - (before?.text.length ?? 0);
    if (bytes > this.#maxBytes) return false;
    this.#waiting.delete(key);
    this.#waiting.set(key, waiting);
    this.#bytes = bytes;
    return true;
  }

  /** Drops all that wait, and this one: they are told as gaps. */
  drop(frame: BarFrame): void {
    for (const each of [...this.#waiting.values(), frame]) {
      const key = JSON.stringify([each.ticker, each.spec.key]);
      const before = this.#dropped.get(key);
      const from = each.bucket?.start ?? Number.NEGATIVE_INFINITY;
      const until = each.bucket?.end ?? Number.POSITIVE_INFINITY;
      this.#dropped.set(key, {
        frame: each,
        from: Math.min(from, before?.from ?? from),
        until: Math.max(until, before?.until ?? until),
      });
    }
    this.#waiting.clear();
    this.#bytes = 0;
  }

  /** The next frame to send; undefined when none waits. */
  take(epoch: string): string | undefined {
    for (const [key, { frame, from, until }] of this.#dropped) {
      this.#dropped.delete(key);
      return barsGapFrame({ ...frame, epoch }, from, until, "slow").text;
    }
    for (const [key, { text }] of this.#waiting) {
      this.#waiting.delete(key);
      this.#bytes -= text.length;
      return text;
    }
    return undefined;
  }

  dropTicker(ticker: string): void {
    for (const [key, frame] of this.#waiting) {
      if (frame.ticker !== ticker) continue;
      this.#waiting.delete(key);
      this.#bytes -= frame.text.length;
    }
    for (const [key, { frame }] of this.#dropped) if (frame.ticker === ticker) this.#dropped.delete(key);
  }

  clear(): void {
    this.#waiting.clear();
    this.#dropped.clear();
    this.#bytes = 0;
  }
}

/** The client has not been told of the bar yet. */
function asNew(frame: BarFrame): BarFrame {
  return { ...frame, type: "bars", text: frame.text.replace(`"type":"${frame.type}"`, '"type":"bars"') };
}
