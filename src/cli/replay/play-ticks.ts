import { stampOfMicros } from "../../market/stamp-micros.ts";
import { toWire } from "../../market/timestamp.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { Pacer } from "../../replay/pacer.ts";
import { unlessAborted } from "../../time/within.ts";
import type { ImportTarget } from "../import/target.ts";
import { INTERRUPTED } from "../interruption.ts";
import type { Progress } from "../progress.ts";
import type { ReplayTick } from "./tick.ts";
import { type DueTick, TickerLanes } from "./ticker-lanes.ts";

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
  readonly #equals = new EqualTicks();
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
      await this.#lanes.add(this.#due(tick, stamp, dueMs));
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

  #due({ ticker, type, record, atMicros }: ReplayTick, stamp: string, dueMs: number): DueTick {
    const played = this.#request.restamp
      ? stampOfMicros(Math.round((dueMs + this.#wallOffsetMs) * 1_000))
      : stamp;
    const occurrence = this.#equals.before({ ticker, type, stamp: played, record });
    return { ticker, type, atMicros, dueMs, occurrence, record: { ...record, timestamp: toWire(played) } };
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
 * Counts equal ticks of a stamp, as an import does: each goes in a request of its own, and they are
 * no repetitions of each other. Stamps of a series never descend here, so the last one of each is
 * enough.
 */
class EqualTicks {
  readonly #last = new Map<string, { stamp: string; counts: Map<string, number> }>();

  /** How many came before it. Null: its id tells it apart. */
  before({ ticker, type, stamp, record }: Omit<ReplayTick, "atMicros"> & { stamp: string }): number | null {
    const series = `${type}\0${ticker}`;
    let last = this.#last.get(series);
    if (last?.stamp !== stamp) {
      last = { stamp, counts: new Map() };
      this.#last.set(series, last);
    }
    if (record.id !== undefined) return null;
    const values = JSON.stringify({ ...record, timestamp: null });
    const count = last.counts.get(values) ?? 0;
    last.counts.set(values, count + 1);
    return count;
  }
}
