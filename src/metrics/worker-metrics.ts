/** The metrics of a worker: collected each second, and those of all for whoever asks. */
import type { LogLines } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";
import { MetricFiles } from "./metric-files.ts";
import { RequestFigures } from "./request-figures.ts";
import { exposition, type Samples } from "./samples.ts";

const WRITE_MS = 1_000;
/** How often the delay of the event loop is looked at. */
const PROBE_MS = 50;
/** The files of ended workers are put together, by one worker. */
const FOLD_MS = 60_000;

interface WorkerMetricsOptions {
  folder: string;
  /** The one that puts files together. */
  isFirst: boolean;
  /** What only this moment tells. */
  collect(): Promise<Samples>;
  /** What each worker knows of the whole server; tickers are named that `sees` lets pass. */
  whole(sees: ((ticker: string) => boolean) | null): Samples;
  log: LogLines;
}

export class WorkerMetrics {
  readonly requests = new RequestFigures();
  readonly #options: WorkerMetricsOptions;
  readonly #files: MetricFiles;
  readonly #timers: Timer[];
  #probedMs = performance.now();
  #delayMs = 0;
  #toldDelayS = 0;
  #foldedMs = 0;
  #hasFailed = false;

  constructor(options: WorkerMetricsOptions) {
    this.#options = options;
    this.#files = new MetricFiles(options.folder, "worker");
    this.#timers = [
      setInterval(() => this.#probe(), PROBE_MS),
      setInterval(() => void this.#write(), WRITE_MS),
    ];
    for (const timer of this.#timers) timer.unref();
    // Also of one that dies within its first second it is known that it has started.
    void this.#write();
  }

  /**
   * The text that Prometheus reads, of all workers.
   * @param sees the tickers that may be named; null: all.
   */
  async text(sees: ((ticker: string) => boolean) | null): Promise<string> {
    await this.#write();
    return exposition({ ...this.#files.read(), ...this.#options.whole(sees) });
  }

  /** The longest delay of the event loop in the second before the last write. */
  get eventLoopDelayS(): number {
    return this.#toldDelayS;
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    // What was counted since the last time stays.
    await this.#write();
  }

  #probe(): void {
    const now = performance.now();
    this.#delayMs = Math.max(this.#delayMs, now - this.#probedMs - PROBE_MS);
    this.#probedMs = now;
  }

  async #write(): Promise<void> {
    const { collect, log, isFirst } = this.#options;
    try {
      const delay = Math.max(0, this.#delayMs) / 1_000;
      const samples = await collect();
      this.#files.write({
        ...samples,
        ...this.requests.samples(),
        stock_db_starts_total: { '{role="worker"}': 1 },
        stock_db_event_loop_delay_seconds: { "": delay },
      });
      this.#delayMs = 0;
      this.#toldDelayS = delay;
      if (isFirst && performance.now() - this.#foldedMs > FOLD_MS) {
        this.#foldedMs = performance.now();
        this.#files.fold();
      }
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed) log.warning(`Metrics can't be written: ${messageOf(error)}`);
      this.#hasFailed = true;
    }
  }
}
