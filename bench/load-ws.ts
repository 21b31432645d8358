/**
 * The fan-out load, a process of its own: many subscribers of one ticker, and keep-alive
 * connections ("writers") that save trades. A trade's `size` is its number. A lost, repeated or
 * reordered update makes the measurement invalid. One process reads and saves, so both ends of a
 * latency are on one clock.
 */
import { Latencies } from "./latencies.ts";
import { WARMUP_SAVES, type WsPlan, type WsResult } from "./load-plan.ts";
import { type LoadHooks, runAsLoadProcess, startCpuMeter } from "./load-process.ts";
import { encodeRequest, tickSave, tickStamp } from "./requests.ts";
import { openSaver, type Saver } from "./saver.ts";
import { FIRST_NUMBER } from "./update-numbers.ts";
import { UpdateReaders } from "./update-readers.ts";

if (import.meta.main) runAsLoadProcess("ws", runWsLoad);

async function runWsLoad(plan: WsPlan, hooks: LoadHooks): Promise<WsResult> {
  const load = new Fanout(plan);
  try {
    await load.open();
    await load.saveBackToBack({ ms: 0, savesMin: WARMUP_SAVES });
    await load.settle();
    hooks.measuring();

    load.latencies.clear();
    const cpu = startCpuMeter();
    const startedAt = performance.now();
    const before = { saves: load.saves, frames: load.readers.frames };
    await load.saveBackToBack({ ms: plan.rateMs, savesMin: plan.savesMin });
    await load.settle();
    const seconds = (performance.now() - startedAt) / 1000;
    const clientCpu = cpu();
    const frames = load.readers.frames - before.frames;
    const saves = load.saves - before.saves;
    const backToBackMs = load.latencies.summary();

    load.latencies.clear();
    const pacedSaves = Math.round((plan.pacedMs / 1000) * plan.pacedPerSecond);
    const pacedAt = performance.now();
    for (let i = 0; i < pacedSaves; i++) {
      await Bun.sleep(Math.max(0, pacedAt + (i * 1000) / plan.pacedPerSecond - performance.now()));
      await load.save(0);
    }
    await load.settle();
    return {
      kind: "ws",
      saves,
      framesPerSecond: frames / seconds,
      savesPerSecond: saves / seconds,
      backToBackMs,
      pacedMs: load.latencies.summary(),
      clientCpu,
      frameBytes: load.readers.frameBytes,
      invalid: load.readers.invalid,
    };
  } finally {
    load.close();
  }
}

class Fanout {
  readonly latencies = new Latencies();
  readonly readers: UpdateReaders;
  saves = 0;

  #sentAt: number[] = [];
  #savers: Saver[] = [];
  /** Saves that each writer has sent. */
  readonly #savesOf: number[];
  readonly #plan: WsPlan;

  constructor(plan: WsPlan) {
    this.#plan = plan;
    this.#savesOf = Array.from({ length: plan.writers }, () => 0);
    const onUpdate = (number: number) => this.latencies.add(performance.now() - this.#sentAt[number]!);
    this.readers = new UpdateReaders({ ...plan, onUpdate });
  }

  async open(): Promise<void> {
    await this.readers.open();
    const { writers, port } = this.#plan;
    while (this.#savers.length < writers) this.#savers.push(await openSaver(port));
  }

  /**
   * Every writer saves again as soon as it has its answer, until the time is over and there are
   * enough saves.
   */
  async saveBackToBack({ ms, savesMin }: { ms: number; savesMin: number }): Promise<void> {
    const startedAt = performance.now();
    const savesAtStart = this.saves;
    const goesOn = () => performance.now() - startedAt < ms || this.saves - savesAtStart < savesMin;
    const saveOn = async (writer: number) => {
      while (goesOn() && this.readers.invalid.length === 0) await this.save(writer);
    };
    await Promise.all(this.#savers.map((_, writer) => saveOn(writer)));
  }

  async save(writer: number): Promise<void> {
    this.saves++;
    const number = this.#savesOf[writer]!++ * this.#plan.writers + writer;
    const timestamp = tickStamp(this.#plan.firstIndex + number);
    const body = tickSave({ ticker: this.#plan.ticker, timestamp, size: FIRST_NUMBER + number });
    const request = encodeRequest(body, this.#plan.port);
    this.#sentAt[number] = performance.now();
    await this.#savers[writer]!.post(request);
  }

  /** Waits until every subscriber has every update. */
  async settle(): Promise<void> {
    await this.readers.settle(this.#savesOf);
  }

  close(): void {
    this.readers[Symbol.dispose]();
    for (const saver of this.#savers) saver.close();
  }
}
