/** A worker's questions to the hub and their answers, piece by piece. */
import { STATUS } from "../protocol/codes.ts";
import { clientGone, RequestError, unavailable } from "../protocol/errors.ts";
import { HubReplies } from "./hub-replies.ts";
import type { ReadToHub, ReadToWorker } from "./messages.ts";

export interface ReadReply {
  message: Exclude<ReadToWorker, { type: "failed" }>;
  bytes: Uint8Array<ArrayBuffer>;
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

export class HubReads {
  readonly #send: (message: ReadToHub) => boolean;
  readonly #replies = new HubReplies<ReadReply>();

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
    const id = this.#replies.newId();
    if (signal?.aborted === true) return { id, reply: Promise.reject(clientGone("read")) };
    const reply = this.#wait({ ...question, id } as ReadToHub, id);
    if (signal === undefined) return { id, reply };
    const giveUp = (): void => this.cancel(id);
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
    this.#replies.fail(id, clientGone("read"));
  }

  receive(message: ReadToWorker, attachment: Buffer): void {
    const { id } = message;
    if (message.type === "failed") {
      const { status, error, details, hint, retryAfterS } = message;
      this.#replies.fail(id, new RequestError(status, error, { details, hint, retryAfterS }));
    } else if (this.#replies.isAwaited(id)) {
      // Copied, as the buffer is reused. `Uint8Array.from` would copy byte by byte, 0.6 s for 45
      // MB.
      this.#replies.receive(id, { message, bytes: new Uint8Array(attachment) });
    }
  }

  lost(): void {
    this.#replies.failAll(new HubLostError());
  }

  #wait(message: ReadToHub, id: number): Promise<ReadReply> {
    if (!this.#send(message)) {
      return Promise.reject(unavailable("the process that holds the database is being restarted"));
    }
    return this.#replies.wait(id);
  }
}
