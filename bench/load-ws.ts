/**
 * The fan-out load, a process of its own: many WebSocket subscribers of one ticker over bare TCP,
 * and keep-alive connections ("writers") that save trades. A trade's `size` is its number: with W
 * writers, writer w sends w, w + W, w + 2W and so on. So each subscriber must see the numbers of
 * each writer without a gap; a lost, repeated or reordered update makes the measurement invalid.
 * One process reads and saves, so both ends of a latency are on one clock.
 */
import { RawWebSocket } from "../test/support/raw-web-socket.ts";
import { Latencies } from "./latencies.ts";
import { OPENING_MAX, WARMUP_SAVES, type WsPlan, type WsResult } from "./load-plan.ts";
import { type LoadHooks, runAsLoadProcess, startCpuMeter } from "./load-process.ts";
import { encodeRequest, tickSave, tickStamp } from "./requests.ts";
import { openSaver, type Saver } from "./saver.ts";
import { FIRST_NUMBER, UpdateNumbers } from "./update-numbers.ts";

if (import.meta.main) runAsLoadProcess("ws", runWsLoad);

const READY_MS = 20_000;
/** For updates under way at the end of a phase. */
const DRAIN_MS = 10_000;
const REASONS_MAX = 5;

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
    const before = { saves: load.saves, frames: load.frames };
    await load.saveBackToBack({ ms: plan.rateMs, savesMin: plan.savesMin });
    await load.settle();
    const seconds = (performance.now() - startedAt) / 1000;
    const clientCpu = cpu();
    const frames = load.frames - before.frames;
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
      frameBytes: load.numbers.frameBytes,
      invalid: load.invalid,
    };
  } finally {
    load.close();
  }
}

class Fanout {
  readonly latencies = new Latencies();
  readonly invalid: string[] = [];
  saves = 0;
  frames = 0;
  readonly numbers = new UpdateNumbers();

  #sentAt: number[] = [];
  #savers: Saver[] = [];
  /** Saves that each writer has sent. */
  readonly #savesOf: number[];
  readonly #subscribers: Subscriber[] = [];
  readonly #plan: WsPlan;

  constructor(plan: WsPlan) {
    this.#plan = plan;
    this.#savesOf = Array.from({ length: plan.writers }, () => 0);
  }

  get writers(): number {
    return this.#plan.writers;
  }

  async open(): Promise<void> {
    while (this.#subscribers.length < this.#plan.subscribers) {
      const count = Math.min(OPENING_MAX, this.#plan.subscribers - this.#subscribers.length);
      const group = Array.from({ length: count }, () => new Subscriber(this));
      this.#subscribers.push(...group);
      await Promise.all(group.map((s) => s.open(this.#plan.port, `symbol=${this.#plan.ticker}`)));
    }
    // The first frame, a price or a heartbeat, proves that the socket is subscribed.
    await this.#until(
      READY_MS,
      () => this.#subscribers.every((s) => s.ready),
      "not every subscriber got a first frame",
    );
    while (this.#savers.length < this.writers) this.#savers.push(await openSaver(this.#plan.port));
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
      while (goesOn() && this.invalid.length === 0) await this.save(writer);
    };
    await Promise.all(this.#savers.map((_, writer) => saveOn(writer)));
  }

  async save(writer: number): Promise<void> {
    this.saves++;
    const number = this.#savesOf[writer]!++ * this.writers + writer;
    const timestamp = tickStamp(this.#plan.firstIndex + number);
    const body = tickSave({ ticker: this.#plan.ticker, timestamp, size: FIRST_NUMBER + number });
    const request = encodeRequest(body, this.#plan.port);
    this.#sentAt[number] = performance.now();
    await this.#savers[writer]!.post(request);
  }

  /** Waits until every subscriber has every update. */
  async settle(): Promise<void> {
    const expected = this.saves * this.#plan.subscribers;
    await this.#until(DRAIN_MS, () => this.frames >= expected, "updates were lost");
    const lacking = this.#subscribers.filter((s) => s.seen.some((n, w) => n !== this.#savesOf[w])).length;
    if (lacking > 0) this.reject(`${lacking} of ${this.#plan.subscribers} subscribers lack updates`);
  }

  close(): void {
    for (const subscriber of this.#subscribers) subscriber.close();
    for (const saver of this.#savers) saver.close();
  }

  took(number: number, at: number): void {
    this.frames++;
    this.latencies.add(at - this.#sentAt[number]!);
  }

  reject(reason: string): void {
    if (this.invalid.length < REASONS_MAX && !this.invalid.includes(reason)) this.invalid.push(reason);
  }

  async #until(ms: number, holds: () => boolean, otherwise: string): Promise<void> {
    const deadline = performance.now() + ms;
    while (!holds() && this.invalid.length === 0) {
      if (performance.now() > deadline) return this.reject(otherwise);
      await Bun.sleep(1);
    }
  }
}

class Subscriber {
  /** How many updates of each writer have come, in order. */
  readonly seen: number[];
  ready = false;
  readonly #fanout: Fanout;
  #socket: RawWebSocket | null = null;

  constructor(fanout: Fanout) {
    this.#fanout = fanout;
    this.seen = Array.from({ length: fanout.writers }, () => 0);
  }

  async open(port: number, query: string): Promise<void> {
    this.#socket = await RawWebSocket.open(port, `/ws?${query}`, {
      onText: (bytes, start, end) => this.#takeText(bytes, start, end),
      onLost: (reason) => this.#fanout.reject(`a subscriber's connection was lost: ${reason}`),
    });
  }

  close(): void {
    this.#socket?.[Symbol.dispose]();
  }

  #takeText(bytes: Buffer, start: number, end: number): void {
    this.ready = true;
    const number = this.#fanout.numbers.numberOf(bytes, start, end);
    if (number < 0) return;
    const writer = number % this.seen.length;
    const due = this.seen[writer]! * this.seen.length + writer;
    if (number !== due) this.#fanout.reject(`a subscriber got update ${number} where ${due} was due`);
    this.seen[writer]!++;
    this.#fanout.took(number, performance.now());
  }
}
