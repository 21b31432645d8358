/** A heartbeat on a fixed schedule that doesn't drift, the first after one interval. */
export class Beat {
  readonly #intervalMs: number;
  readonly #beat: (now: Date) => void;
  #timer: Timer;
  #nextMs: number;

  constructor(intervalMs: number, beat: (now: Date) => void) {
    this.#intervalMs = intervalMs;
    this.#beat = beat;
    this.#nextMs = performance.now() + intervalMs;
    this.#timer = setTimeout(() => this.#due(), intervalMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #due(): void {
    this.#beat(new Date());
    const now = performance.now();
    // A suspended machine skips beats instead of sending them all at once.
    this.#nextMs += this.#intervalMs * Math.max(1, Math.floor((now - this.#nextMs) / this.#intervalMs));
    this.#timer = setTimeout(() => this.#due(), Math.max(0, this.#nextMs - now));
  }
}
