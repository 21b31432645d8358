/**
 * Saves ticks through HTTP, in order for each ticker. A ticker has one request under way; waiting
 * ticks of one type share the next. So ticks in time are saved one by one, as a feed does, and late
 * ones in batches.
 */
import type { JsonRecord } from "../../protocol/json.ts";
import { turn } from "../../time/pauses.ts";
import { type ImportTarget, TargetError } from "../import/target.ts";
import type { ReplayTick } from "./tick.ts";

export interface DueTick extends ReplayTick {
  /** By the pacer's clock. */
  dueMs: number;
  /** How many equal ticks of its stamp came before it; null: its id tells it apart. */
  occurrence: number | null;
}

export interface TickerLanesOptions {
  target: ImportTarget;
  batchRows: number;
  /** @returns how late a tick due then is now, in ms. */
  behindMs(dueMs: number): number;
}

/** Waiting ticks of all tickers. Beyond it, the reader of the source waits too. */
const WAITING_MAX = 20_000;

interface Lane {
  waiting: DueTick[];
  isBusy: boolean;
}

export class TickerLanes {
  ticksSaved = 0;
  requests = 0;
  /** Lateness of the last ticks sent, in ms, and its maximum. */
  behindMs = 0;
  behindMaxMs = 0;
  readonly #options: TickerLanesOptions;
  readonly #lanes = new Map<string, Lane>();
  #waiting = 0;
  /** Busy lanes. */
  #underWay = 0;
  #failure: Error | null = null;
  #changed = Promise.withResolvers<void>();

  constructor(options: TickerLanesOptions) {
    this.#options = options;
  }

  /** @throws TargetError Ticks could not be saved. */
  async add(tick: DueTick): Promise<void> {
    while (this.#waiting >= WAITING_MAX && this.#failure === null) await this.#changed.promise;
    if (this.#failure !== null) throw this.#failure;
    let lane = this.#lanes.get(tick.ticker);
    if (lane === undefined) {
      lane = { waiting: [], isBusy: false };
      this.#lanes.set(tick.ticker, lane);
    }
    lane.waiting.push(tick);
    this.#waiting++;
    if (!lane.isBusy) void this.#run(lane);
  }

  /** Resolves when all added ticks are saved. @throws TargetError */
  async flush(): Promise<void> {
    while (this.#underWay > 0 && this.#failure === null) await this.#changed.promise;
    if (this.#failure !== null) throw this.#failure;
  }

  /** Drops waiting ticks. Resolves when requests under way have ended. */
  async abandon(): Promise<void> {
    for (const lane of this.#lanes.values()) {
      this.#waiting -= lane.waiting.length;
      lane.waiting = [];
    }
    while (this.#underWay > 0) await this.#changed.promise;
  }

  async #run(lane: Lane): Promise<void> {
    lane.isBusy = true;
    this.#underWay++;
    // What is due in the same moment goes together.
    await turn();
    while (lane.waiting.length > 0 && this.#failure === null) {
      const batch = this.#takeBatch(lane);
      try {
        await this.#save(batch);
        this.ticksSaved += batch.length;
        this.requests++;
      } catch (error) {
        if (!(error instanceof TargetError)) throw error;
        this.#failure ??= error;
      }
      this.#signalChange();
    }
    lane.isBusy = false;
    this.#underWay--;
    this.#signalChange();
  }

  #takeBatch(lane: Lane): DueTick[] {
    const { type, dueMs } = lane.waiting[0]!;
    this.behindMs = this.#options.behindMs(dueMs);
    this.behindMaxMs = Math.max(this.behindMaxMs, this.behindMs);
    let count = 1;
    while (count < this.#options.batchRows && lane.waiting[count]?.type === type) count++;
    this.#waiting -= count;
    return lane.waiting.splice(0, count);
  }

  async #save(batch: DueTick[]): Promise<void> {
    const { ticker, type } = batch[0]!;
    const data: JsonRecord[] = batch.map((tick) => tick.record);
    await this.#options.target.save({
      command: "save_realtime_data",
      params: {
        ...{ ticker, data_type: type, index_col: "timestamp", data },
        occurrences: batch.map(({ occurrence }) => occurrence),
      },
    });
  }

  #signalChange(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}
