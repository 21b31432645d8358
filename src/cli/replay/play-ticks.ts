import { stampOfMicros } from "../../market/stamp-micros.ts";
import { toWire } from "../../market/timestamp.ts";
import type { JsonRecord } from "../../protocol/json.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { Pacer } from "../../replay/pacer.ts";
import { unlessAborted } from "../../time/within.ts";
import type { ImportTarget } from "../import/target.ts";
import { INTERRUPTED } from "../interruption.ts";
import type { Progress } from "../progress.ts";
import type { ReplayTick } from "./tick.ts";
import { TickerLanes } from "./ticker-lanes.ts";

export interface PlayRequest {
  /** In order of time. */
  ticks: AsyncIterable<ReplayTick>;
  target: ImportTarget;
  speed: number;
  gapMicrosMax: number;
  /** In stored form, inclusive; null is unbounded. */
  start: string | null;
  end: string | null;
  restamp: boolean;
  batchRows: number;
  progress: Progress;
  /** Ends the replay: it sends nothing more. */
  signal: AbortSignal;
}

export interface PlayResult {
  /** Saved for certain. */
  ticks: number;
  requests: number;
  /** Read and played, by type. If some were not saved, `stoppedBy` says why. */
  types: Record<string, number>;
  tickers: number;
  /** Stamps of the first and last tick played, from the source; null when there was none. */
  first: string | null;
  last: string | null;
  /** The longest that a tick was late. */
  behindMaxMs: number;
  /** Why it stopped early; null when all is done. */
  stoppedBy: string | null;
}

/** Doesn't throw for errors of the source or the target: these are in the result. */
export async function playTicks(request: PlayRequest): Promise<PlayResult> {
  const { signal } = request;
  const player = new Player(request);
  const played = player.play().then(() => null, messageOf);
  // A source such as a pipe may never give another tick, which an interrupted replay must not wait
  // for.
  const stoppedBy = await unlessAborted(played, signal, () => INTERRUPTED);
  await player.end();
  request.progress.end();
  return { ...player.result, stoppedBy: signal.aborted ? INTERRUPTED : stoppedBy };
}

class Player {
  readonly result: PlayResult = {
    ticks: 0,
    requests: 0,
    types: {},
    tickers: 0,
    first: null,
    last: null,
    behindMaxMs: 0,
    stoppedBy: null,
  };
  readonly #request: PlayRequest;
  readonly #pacer: Pacer;
  readonly #lanes: TickerLanes;
  readonly #numbers = new TickNumbers();
  readonly #tickers = new Set<string>();
  /** Wall clock minus the pacer's clock. */
  readonly #wallOffsetMs = Date.now() - performance.now();

  constructor(request: PlayRequest) {
    this.#request = request;
    this.#pacer = new Pacer(request);
    const { target, batchRows } = request;
    this.#lanes = new TickerLanes({ target, batchRows, behindMs: (dueMs) => this.#behindMs(dueMs) });
  }

  async play(): Promise<void> {
    const { ticks, signal, start, end } = this.#request;
    for await (const tick of ticks) {
      if (signal.aborted) break;
      const stamp = String(tick.record.timestamp);
      if (start !== null && stamp < start) continue;
      if (end !== null && stamp > end) break;
      const dueMs = this.#pacer.schedule(tick.atMicros);
      if (this.#pacer.behindMs(dueMs) === 0) await this.#pacer.until(dueMs, signal);
      if (signal.aborted) break;
      this.#count(tick, stamp);
      await this.#lanes.add({ ...tick, dueMs, record: this.#stamped(tick, stamp, dueMs) });
      this.#showProgress();
    }
    if (!signal.aborted) await this.#lanes.flush();
  }

  /** Waits for requests under way, so that the counts are true. */
  async end(): Promise<void> {
    await this.#lanes.abandon();
    this.result.ticks = this.#lanes.ticksSaved;
    this.result.requests = this.#lanes.requests;
    this.result.behindMaxMs = Math.round(this.#lanes.behindMaxMs);
    this.result.tickers = this.#tickers.size;
  }

  #count({ ticker, type }: ReplayTick, stamp: string): void {
    this.result.types[type] = (this.result.types[type] ?? 0) + 1;
    this.#tickers.add(ticker);
    this.result.first ??= toWire(stamp);
    this.result.last = toWire(stamp);
  }

  /** A tick keeps its `seq`, if it has one, while it keeps its stamp. */
  #stamped({ ticker, type, record }: ReplayTick, stamp: string, dueMs: number): JsonRecord {
    if (!this.#request.restamp) {
      const counted = this.#numbers.next(ticker, type, stamp);
      return { ...record, timestamp: toWire(stamp), seq: record.seq ?? counted };
    }
    const now = stampOfMicros(Math.round((dueMs + this.#wallOffsetMs) * 1_000));
    return { ...record, timestamp: toWire(now), seq: this.#numbers.next(ticker, type, now) };
  }

  #behindMs(dueMs: number): number {
    return this.#request.speed === Number.POSITIVE_INFINITY ? 0 : this.#pacer.behindMs(dueMs);
  }

  #showProgress(): void {
    this.#request.progress.update({
      rows: this.#lanes.ticksSaved,
      at: this.result.last ?? "",
      behindMs: this.#lanes.behindMs,
    });
  }
}

/**
 * Numbers ticks of a series with the same stamp 0, 1, 2 …, as an import does: a tick saved twice
 * gets the same number. Stamps never descend here, so the last one of each series is enough.
 */
class TickNumbers {
  readonly #last = new Map<string, { stamp: string; next: number }>();

  next(ticker: string, type: string, stamp: string): number {
    const series = `${type}\0${ticker}`;
    const last = this.#last.get(series);
    if (last?.stamp === stamp) return last.next++;
    this.#last.set(series, { stamp, next: 1 });
    return 0;
  }
}
