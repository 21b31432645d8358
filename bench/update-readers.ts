/**
 * Many subscribers of one ticker, which see that every update comes once and in order. They read
 * by the raw reader, where the bytes lie: a WebSocket library makes a text of each frame, and would
 * take more of the machine than the server that is measured.
 */
import { RawWebSocket } from "../test/support/raw-web-socket.ts";
import { OPENING_MAX } from "./load-plan.ts";
import { UpdateNumbers } from "./update-numbers.ts";

const READY_MS = 20_000;
/** For updates under way at the end of a phase. */
const DRAIN_MS = 10_000;
const REASONS_MAX = 5;

export interface UpdateReadersOptions {
  port: number;
  ticker: string;
  subscribers: number;
  /** With W writers, writer w saves the numbers w, w + W, w + 2W and so on. */
  writers: number;
  /** An update with this number has come, to any of them. */
  onUpdate(number: number): void;
}

export class UpdateReaders implements Disposable {
  /** Why the measurement doesn't count. */
  readonly invalid: string[] = [];
  /** Updates that have come, of all subscribers. */
  frames = 0;
  readonly #options: UpdateReadersOptions;
  readonly #numbers = new UpdateNumbers();
  readonly #watchers: Watcher[] = [];

  constructor(options: UpdateReadersOptions) {
    this.#options = options;
  }

  /** Bytes of one update's JSON text. */
  get frameBytes(): number {
    return this.#numbers.frameBytes;
  }

  async open(): Promise<void> {
    const { subscribers, writers } = this.#options;
    while (this.#watchers.length < subscribers) {
      const length = Math.min(OPENING_MAX, subscribers - this.#watchers.length);
      const group = Array.from({ length }, (): Watcher => {
        return { socket: null, isReady: false, seen: Array.from({ length: writers }, () => 0) };
      });
      this.#watchers.push(...group);
      await Promise.all(group.map((watcher) => this.#open(watcher)));
    }
    // The first frame, a price or a heartbeat, proves that the socket is subscribed.
    const areReady = () => this.#watchers.every(({ isReady }) => isReady);
    await this.#until(READY_MS, areReady, "not every subscriber got a first frame");
  }

  /** Waits until every subscriber has every update. @param savesOf of each writer. */
  async settle(savesOf: readonly number[]): Promise<void> {
    const { subscribers } = this.#options;
    const expected = savesOf.reduce((sum, saves) => sum + saves, 0) * subscribers;
    await this.#until(DRAIN_MS, () => this.frames >= expected, "updates were lost");
    const lacking = this.#watchers.filter(({ seen }) => seen.some((n, w) => n !== savesOf[w])).length;
    if (lacking > 0) this.reject(`${lacking} of ${subscribers} subscribers lack updates`);
  }

  reject(reason: string): void {
    if (this.invalid.length < REASONS_MAX && !this.invalid.includes(reason)) this.invalid.push(reason);
  }

  [Symbol.dispose](): void {
    for (const { socket } of this.#watchers) socket?.[Symbol.dispose]();
  }

  async #open(watcher: Watcher): Promise<void> {
    const { port, ticker } = this.#options;
    watcher.socket = await RawWebSocket.open(port, `/ws?symbol=${ticker}`, {
      onText: (bytes, start, end) => {
        watcher.isReady = true;
        const number = this.#numbers.numberOf(bytes, start, end);
        if (number >= 0) this.#take(watcher.seen, number);
      },
      onLost: (reason) => this.reject(`a subscriber's connection was lost: ${reason}`),
    });
  }

  #take(seen: number[], number: number): void {
    const writer = number % seen.length;
    const due = seen[writer]! * seen.length + writer;
    if (number !== due) this.reject(`a subscriber got update ${number} where ${due} was due`);
    seen[writer]!++;
    this.frames++;
    this.#options.onUpdate(number);
  }

  async #until(ms: number, holds: () => boolean, otherwise: string): Promise<void> {
    const deadline = performance.now() + ms;
    while (!holds() && this.invalid.length === 0) {
      if (performance.now() > deadline) return this.reject(otherwise);
      await Bun.sleep(1);
    }
  }
}

interface Watcher {
  /** null before it is open. */
  socket: RawWebSocket | null;
  isReady: boolean;
  /** How many updates of each writer have come, in order. */
  seen: number[];
}
