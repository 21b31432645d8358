/** Messages from a server to itself: only these prove that its subscription works. */
export class Echo {
  readonly #heard = new Map<string, () => void>();
  #sent = 0;

  /** Resolves when the text comes back. */
  async send(publish: (text: string) => Promise<unknown>): Promise<void> {
    const text = String(++this.#sent);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#heard.set(text, resolve);
    try {
      await publish(text);
      await promise;
    } finally {
      this.#heard.delete(text);
    }
  }

  hear(text: string): void {
    this.#heard.get(text)?.();
  }
}
