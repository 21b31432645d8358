/** What a worker counts of each request. On the way of every answer, so it takes 0.1 µs. */
import { Histogram } from "./histogram.ts";
import { labelsText, type Samples } from "./samples.ts";

/** Upper bounds of the histogram, in seconds. */
const BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];
/** Keys that are counted by name; the others are one. */
const KEYS_MAX = 200;
const OTHERS = "others";

interface RequestsOf {
  byStatus: Map<number, number>;
  seconds: Histogram;
}

export class RequestFigures {
  readonly #byWhat = new Map<string, RequestsOf>();
  readonly #byKey = new Map<string, Map<string, number>>();

  /**
   * @param what a command or the first path of a route.
   * @param key null where none is needed.
   */
  note(what: string, { status, ms, key }: { status: number; ms: number; key: string | null }): void {
    let of = this.#byWhat.get(what);
    if (of === undefined) {
      of = { byStatus: new Map(), seconds: new Histogram(BOUNDS) };
      this.#byWhat.set(what, of);
    }
    of.byStatus.set(status, (of.byStatus.get(status) ?? 0) + 1);
    of.seconds.note(ms / 1_000);
    if (key !== null) this.#noteKey(key, status);
  }

  samples(): Samples {
    const requests: Record<string, number> = {};
    const seconds: Record<string, number> = {};
    for (const [what, of] of this.#byWhat) {
      for (const [status, count] of of.byStatus)
        requests[labelsText({ what, status: String(status) })] = count;
      Object.assign(seconds, of.seconds.samples({ what }));
    }
    const keys: Record<string, number> = {};
    for (const [key, byClass] of this.#byKey)
      for (const [status, count] of byClass) keys[labelsText({ key, status })] = count;
    return {
      stock_db_requests_total: requests,
      stock_db_request_seconds: seconds,
      ...(this.#byKey.size === 0 ? {} : { stock_db_key_requests_total: keys }),
    };
  }

  #noteKey(name: string, status: number): void {
    const key = this.#byKey.has(name) || this.#byKey.size < KEYS_MAX ? name : OTHERS;
    let byClass = this.#byKey.get(key);
    if (byClass === undefined) {
      byClass = new Map();
      this.#byKey.set(key, byClass);
    }
    const shown = `${Math.floor(status / 100)}xx`;
    byClass.set(shown, (byClass.get(shown) ?? 0) + 1);
  }
}
