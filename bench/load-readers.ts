/**
 * Many subscribers of one ticker, in a process that only reads: notes when each update arrived at
 * each, and at the end compares that with the moments of the saves.
 */
import { Latencies } from "./latencies.ts";
import { LATENCY_SHARES, type ReadersPlan, type ReadersResult, WARMUP_SAVES } from "./load-plan.ts";
import { type LoadHooks, runAsLoadProcess, startCpuMeter } from "./load-process.ts";
import { UpdateReaders } from "./update-readers.ts";

if (import.meta.main) runAsLoadProcess("readers", runReaders);

/** Beyond this many frames, only their order is looked at. 48 MB. */
const ARRIVALS_MAX = 4_000_000;
/** What the clocks of two processes may differ by. */
const CLOCKS_MS = 0.1;

async function runReaders(plan: ReadersPlan, hooks: LoadHooks): Promise<ReadersResult> {
  const arrivals = new Arrivals();
  using readers = new UpdateReaders({ ...plan, writers: 1, onUpdate: (number) => arrivals.add(number) });
  await readers.open();
  hooks.measuring();
  const cpu = startCpuMeter();
  await hooks.stopped;
  const times = new Float64Array(await Bun.file(plan.timesFile).arrayBuffer());
  const clientCpu = cpu();
  await readers.settle([times.length / 2]);
  const { sent, answered, earliest } = arrivals.after(times);
  if (earliest < -CLOCKS_MS) readers.reject("a frame came before its save was sent: the clocks differ");
  if (sent.count === 0) readers.reject("nothing was measured");
  return {
    kind: "readers",
    clientCpu,
    frames: readers.frames,
    sentToFrame: sent.quantiles(LATENCY_SHARES),
    answeredToFrame: answered.quantiles(LATENCY_SHARES),
    samples: sent.count,
    frameBytes: readers.frameBytes,
    invalid: readers.invalid,
  };
}

/** Which update came when. */
class Arrivals {
  #count = 0;
  #numbers = new Uint32Array(65_536);
  #at = new Float64Array(65_536);

  add(number: number): void {
    const at = performance.timeOrigin + performance.now();
    if (this.#count === this.#at.length && !this.#grow()) return;
    this.#numbers[this.#count] = number;
    this.#at[this.#count++] = at;
  }

  /** @param times of each save: when it was sent, and answered. */
  after(times: Float64Array): { sent: Latencies; answered: Latencies; earliest: number } {
    const sent = new Latencies();
    const answered = new Latencies();
    let earliest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#count; i++) {
      const number = this.#numbers[i]!;
      if (number < WARMUP_SAVES) continue;
      const at = this.#at[i]!;
      earliest = Math.min(earliest, at - times[2 * number]!);
      sent.add(at - times[2 * number]!);
      answered.add(at - times[2 * number + 1]!);
    }
    return { sent, answered, earliest };
  }

  #grow(): boolean {
    const length = Math.min(ARRIVALS_MAX, this.#at.length * 2);
    if (length === this.#at.length) return false;
    const [numbers, at] = [new Uint32Array(length), new Float64Array(length)];
    numbers.set(this.#numbers);
    at.set(this.#at);
    [this.#numbers, this.#at] = [numbers, at];
    return true;
  }
}
