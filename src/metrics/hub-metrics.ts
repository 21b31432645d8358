/** The figures of the hub, in a file beside those of workers, which whoever is scraped reads. */
import type { LogLines } from "../observe/log.ts";
import { messageOf } from "../protocol/message-of.ts";
import { MetricFiles } from "./metric-files.ts";
import type { Samples } from "./samples.ts";

const WRITE_MS = 1_000;

export class HubMetrics {
  readonly #files: MetricFiles;
  readonly #collect: () => Samples;
  readonly #log: LogLines;
  readonly #timer: Timer;
  /** What was written last: a hub that has nothing to do writes nothing. */
  #written = "";
  #hasFailed = false;

  constructor(folder: string, collect: () => Samples, log: LogLines) {
    this.#files = new MetricFiles(folder, "hub");
    this.#collect = collect;
    this.#log = log;
    this.#write();
    this.#timer = setInterval(() => this.#write(), WRITE_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#write();
  }

  #write(): void {
    try {
      const samples = { ...this.#collect(), stock_db_starts_total: { '{role="hub"}': 1 } };
      const text = JSON.stringify(samples);
      if (text === this.#written) return;
      this.#files.write(samples);
      this.#written = text;
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed) this.#log.warning(`Metrics of the hub can't be written: ${messageOf(error)}`);
      this.#hasFailed = true;
    }
  }
}
