/** A worker's questions to the hub and their answers, piece by piece. */
import { STATUS } from "../protocol/codes.ts";
import { clientGone, RequestError, unavailable } from "../protocol/errors.ts";
import type { ReadToHub, ReadToWorker } from "./read-messages.ts";

export interface ReadReply {
  message: Exclude<ReadToWorker, { type: "failed" }>;
  bytes: Uint8Array;
}

/** The connection broke with the question under way. A read may be asked again. */
export class HubLostError extends RequestError {
  override name = "HubLostError";

  constructor() {
    super(STATUS.unavailable, "the process that holds the database went away", { retryAfterS: 1 });
  }
}

/** A question without its id. */
export type Question = ReadToHub extends infer M ? (M extends { id: number } ? Omit<M, "id"> : never) : never;

interface Waiter {
  resolve(reply: ReadReply): void;
  reject(error: Error): void;
}

export class HubReads {
  readonly #send: (message: ReadToHub) => boolean;
  readonly #waiting = new Map<number, Waiter>();
  #nextId = 1;

  /** @param send returns false when there is no connection. */
  constructor(send: (message: ReadToHub) => boolean) {
    this.#send = send;
  }

  /**
   * Asks, and resolves with the first piece of the answer.
   *
   * @throws RequestError the hub's refusal, or 503 when it is lost; HubLostError.
   */
  ask(question: Question, signal?: AbortSignal): { id: number; reply: Promise<ReadReply> } {
    const id = this.#nextId++;
    if (signal?.aborted === true) return { id, reply: Promise.reject(clientGone("read")) };
    const reply = this.#wait({ ...question, id } as ReadToHub, id);
    if (signal === undefined) return { id, reply };
    const giveUp = (): void => {
      this.cancel(id);
    };
    signal.addEventListener("abort", giveUp);
    return { id, reply: reply.finally(() => signal.removeEventListener("abort", giveUp)) };
  }

  /** The next piece of an answer that said `more`. */
  next(id: number): Promise<ReadReply> {
    return this.#wait({ type: "next", id }, id);
  }

  /** A waiter for the next piece gets an error. */
  cancel(id: number): void {
    this.#send({ type: "cancel", id });
    this.#waiting.get(id)?.reject(clientGone("read"));
    this.#waiting.delete(id);
  }

  receive(message: ReadToWorker, attachment: Buffer): void {
    const waiter = this.#waiting.get(message.id);
    if (waiter === undefined) return; // given up meanwhile
    this.#waiting.delete(message.id);
    if (message.type !== "failed") {
      // Copied, as the buffer is reused. `Uint8Array.from` would copy byte by byte, 0.6 s for 45
      // MB.
      waiter.resolve({ message, bytes: new Uint8Array(attachment) });
      return;
    }
    const { status, error, details, hint, retryAfterS } = message;
    waiter.reject(new RequestError(status, error, { details, hint, retryAfterS }));
  }

  lost(): void {
    for (const waiter of this.#waiting.values()) waiter.reject(new HubLostError());
    this.#waiting.clear();
  }

  #wait(message: ReadToHub, id: number): Promise<ReadReply> {
    if (!this.#send(message)) {
      return Promise.reject(unavailable("the process that holds the database is being restarted"));
    }
    const { promise, resolve, reject } = Promise.withResolvers<ReadReply>();
    this.#waiting.set(id, { resolve, reject });
    return promise;
  }
}
