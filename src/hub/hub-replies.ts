/** A worker's messages to the hub that have one short answer each. */
import { unavailable } from "../protocol/errors.ts";
import type { ReplyToWorker } from "./messages.ts";

interface Waiter {
  resolve(reply: ReplyToWorker): void;
  reject(error: Error): void;
}

export class HubReplies {
  readonly #waiting = new Map<number, Waiter>();
  #nextId = 1;

  newId(): number {
    return this.#nextId++;
  }

  /**
   * The next answer to the message of this id.
   *
   * @throws RequestError 503 the hub went away; whatever `fail` was called with.
   */
  wait(id: number): Promise<ReplyToWorker> {
    const { promise, resolve, reject } = Promise.withResolvers<ReplyToWorker>();
    this.#waiting.set(id, { resolve, reject });
    return promise;
  }

  receive(reply: ReplyToWorker): void {
    this.#waiting.get(reply.id)?.resolve(reply);
    this.#waiting.delete(reply.id);
  }

  /** Ends the wait with an error. */
  fail(id: number, error: Error): void {
    this.#waiting.get(id)?.reject(error);
    this.#waiting.delete(id);
  }

  lost(): void {
    for (const waiter of this.#waiting.values())
      waiter.reject(unavailable("the database's writer went away"));
    this.#waiting.clear();
  }
}
