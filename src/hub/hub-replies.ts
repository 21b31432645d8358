/** Replies that a worker awaits from the hub, by the id of their question. */
export class HubReplies<Reply> {
  readonly #waiting = new Map<number, PromiseWithResolvers<Reply>>();
  #nextId = 1;

  newId(): number {
    return this.#nextId++;
  }

  /** @throws whatever `fail` or `failAll` is called with. */
  wait(id: number): Promise<Reply> {
    const waiter = Promise.withResolvers<Reply>();
    this.#waiting.set(id, waiter);
    return waiter.promise;
  }

  isAwaited(id: number): boolean {
    return this.#waiting.has(id);
  }

  receive(id: number, reply: Reply): void {
    this.#take(id)?.resolve(reply);
  }

  fail(id: number, error: Error): void {
    this.#take(id)?.reject(error);
  }

  failAll(error: Error): void {
    for (const waiter of this.#waiting.values()) waiter.reject(error);
    this.#waiting.clear();
  }

  #take(id: number): PromiseWithResolvers<Reply> | undefined {
    const waiter = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiter;
  }
}
