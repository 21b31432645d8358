/** The time in which the hub is lost, and its waiters. */

/** How long saves and reads wait for a lost hub before they get 503. */
export const HUB_AWAY_MAX_MS = 10_000;

export class HubAbsence {
  #timer: Timer | null = null;
  #isTooLong = false;
  #end: PromiseWithResolvers<void> | null = null;

  get isTooLong(): boolean {
    return this.#isTooLong;
  }

  /** @param tooLong called after HUB_AWAY_MAX_MS. */
  begin(tooLong: () => void): void {
    this.#timer = setTimeout(() => {
      this.#isTooLong = true;
      this.#release();
      tooLong();
    }, HUB_AWAY_MAX_MS);
  }

  end(): void {
    this.stop();
    this.#isTooLong = false;
  }

  /** Ends the wait without saying that the hub is back. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#release();
  }

  /** Resolves when the hub is back, or has been lost for too long. */
  async over(): Promise<void> {
    if (this.#isTooLong) return;
    this.#end ??= Promise.withResolvers<void>();
    await this.#end.promise;
  }

  #release(): void {
    this.#end?.resolve();
    this.#end = null;
  }
}
