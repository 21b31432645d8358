/**
 * Many subscribers of one ticker, in a process that only reads: notes when each update arrived at
 * each, and at the end compares that with the moments of the saves. Each must see the saves'
 * numbers without a gap.
 */
import { RawWebSocket } from "../test/support/raw-web-socket.ts";
import { Latencies } from "./latencies.ts";
import {
  LATENCY_SHARES,
  OPENING_MAX,
  type ReadersPlan,
  type ReadersResult,
  WARMUP_SAVES,
} from "./load-plan.ts";
import { type LoadHooks, runAsLoadProcess, startCpuMeter } from "./load-process.ts";
import { UpdateNumbers } from "./update-numbers.ts";

if (import.meta.main) runAsLoadProcess("readers", runReaders);

const READY_MS = 20_000;
const DRAIN_MS = 10_000;
const REASONS_MAX = 5;
/** Beyond this many frames, only their order is looked at. 48 MB. */
const ARRIVALS_MAX = 4_000_000;
/** What the clocks of two processes may differ by. */
const CLOCKS_MS = 0.1;

async function runReaders(plan: ReadersPlan, hooks: LoadHooks): Promise<ReadersResult> {
  const readers = new Readers(plan);
  try {
    await readers.open();
    hooks.measuring();
    const cpu = startCpuMeter();
    await hooks.stopped;
    const times = new Float64Array(await Bun.file(plan.timesFile).arrayBuffer());
    const clientCpu = cpu();
    await readers.drain(times.length / 2);
    return { kind: "readers", clientCpu, ...readers.compare(times) };
  } finally {
    readers.close();
  }
}

class Readers {
  readonly #plan: ReadersPlan;
  readonly #numbers = new UpdateNumbers();
  readonly #subscribers: Reader[] = [];
  readonly #invalid: string[] = [];
  #frames = 0;
  #arrivedNumbers = new Uint32Array(65_536);
  #arrivedAt = new Float64Array(65_536);

  constructor(plan: ReadersPlan) {
    this.#plan = plan;
  }

  async open(): Promise<void> {
    const { subscribers } = this.#plan;
    while (this.#subscribers.length < subscribers) {
      const count = Math.min(OPENING_MAX, subscribers - this.#subscribers.length);
      const group = Array.from({ length: count }, (): Reader => ({ socket: null, isReady: false, due: 0 }));
      this.#subscribers.push(...group);
      await Promise.all(group.map((reader) => this.#open(reader)));
    }
    // The first frame, a price or a heartbeat, proves that the socket is subscribed.
    await this.#until(
      READY_MS,
      () => this.#subscribers.every((s) => s.isReady),
      "a subscriber got no first frame",
    );
  }

  /** Waits until every subscriber has every update. */
  async drain(saves: number): Promise<void> {
    const hasAll = () => this.#subscribers.every(({ due }) => due >= saves);
    await this.#until(DRAIN_MS, hasAll, "updates were lost");
  }

  compare(times: Float64Array): Omit<ReadersResult, "kind" | "clientCpu"> {
    const sent = new Latencies();
    const answered = new Latencies();
    const count = Math.min(this.#frames, this.#arrivedAt.length);
    let earliest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < count; i++) {
      const number = this.#arrivedNumbers[i]!;
      if (number < WARMUP_SAVES) continue;
      const at = this.#arrivedAt[i]!;
      earliest = Math.min(earliest, at - times[2 * number]!);
      sent.add(at - times[2 * number]!);
      answered.add(at - times[2 * number + 1]!);
    }
    if (earliest < -CLOCKS_MS) this.#reject("a frame came before its save was sent: the clocks differ");
    if (sent.count === 0) this.#reject("nothing was measured");
    return {
      frames: this.#frames,
      sentToFrame: sent.quantiles(LATENCY_SHARES),
      answeredToFrame: answered.quantiles(LATENCY_SHARES),
      samples: sent.count,
      frameBytes: this.#numbers.frameBytes,
      invalid: this.#invalid,
    };
  }

  close(): void {
    for (const { socket } of this.#subscribers) socket?.[Symbol.dispose]();
  }

  async #open(reader: Reader): Promise<void> {
    const { port, ticker } = this.#plan;
    reader.socket = await RawWebSocket.open(port, `/ws?symbol=${ticker}`, {
      onText: (bytes, start, end) => {
        reader.isReady = true;
        const number = this.#numbers.numberOf(bytes, start, end);
        if (number >= 0) this.#take(reader, number);
      },
      onLost: (reason) => this.#reject(`a subscriber's connection was lost: ${reason}`),
    });
  }

  #take(reader: Reader, number: number): void {
    const at = performance.timeOrigin + performance.now();
    if (number !== reader.due) this.#reject(`a subscriber got update ${number} where ${reader.due} was due`);
    reader.due = number + 1;
    const index = this.#frames++;
    if (index >= this.#arrivedAt.length && !this.#grow()) return;
    this.#arrivedNumbers[index] = number;
    this.#arrivedAt[index] = at;
  }

  #grow(): boolean {
    const length = Math.min(ARRIVALS_MAX, this.#arrivedAt.length * 2);
    if (length === this.#arrivedAt.length) return false;
    const [numbers, times] = [new Uint32Array(length), new Float64Array(length)];
    numbers.set(this.#arrivedNumbers);
    times.set(this.#arrivedAt);
    [this.#arrivedNumbers, this.#arrivedAt] = [numbers, times];
    return true;
  }

  #reject(reason: string): void {
    if (this.#invalid.length < REASONS_MAX && !this.#invalid.includes(reason)) this.#invalid.push(reason);
  }

  async #until(ms: number, holds: () => boolean, otherwise: string): Promise<void> {
    const deadline = performance.now() + ms;
    while (!holds() && this.#invalid.length === 0) {
      if (performance.now() > deadline) return this.#reject(otherwise);
      await Bun.sleep(1);
    }
  }
}

interface Reader {
  /** null before it is open. */
  socket: RawWebSocket | null;
  isReady: boolean;
  /** Number of the update that comes next. */
  due: number;
}
