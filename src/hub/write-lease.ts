/**
 * While a worker holds the write lease the hub commits nothing: user-written SQL writes on a
 * connection of its own.
 */
import type { LogLines } from "../observe/log.ts";
import type { WorkerLink } from "./worker-links.ts";

interface LeaseRequest {
  link: WorkerLink;
  id: number;
}

export interface WriteLeaseOptions {
  /** Longest that it may be out before it is taken back: the runner is dead or killed by then. */
  timeoutMs: number;
  /** The lease was given back, and nobody else has got it. */
  returned(): void;
  log: LogLines;
}

export class WriteLease {
  readonly #options: WriteLeaseOptions;
  readonly #waiting: LeaseRequest[] = [];
  #holder: (LeaseRequest & { timer: Timer }) | null = null;
  #stopped = false;

  constructor(options: WriteLeaseOptions) {
    this.#options = options;
  }

  get isOut(): boolean {
    return this.#holder !== null;
  }

  /** It is given by `grant`. */
  ask(link: WorkerLink, id: number): void {
    this.#waiting.push({ link, id });
  }

  /** Gives the lease to the next who waits, unless somebody holds it. */
  grant(): void {
    if (this.#stopped || this.#holder !== null) return;
    const request = this.#waiting.shift();
    if (request === undefined) return;
    const { timeoutMs, log } = this.#options;
    const timer = setTimeout(() => {
      log.error(
        `Hub: worker ${request.link.workerId} kept the write lease for ${timeoutMs} ms; taking it back`,
      );
      this.#takeBack();
    }, timeoutMs);
    this.#holder = { ...request, timer };
    request.link.channel.send({ type: "leased", id: request.id });
  }

  /** Also of one that was asked for, and not given yet. */
  release(link: WorkerLink, id: number): void {
    const at = this.#waiting.findIndex((request) => request.link === link && request.id === id);
    if (at >= 0) this.#waiting.splice(at, 1);
    if (this.#holder?.link === link && this.#holder.id === id) this.#takeBack();
  }

  /** The worker is gone. */
  forget(link: WorkerLink): void {
    for (const { id } of this.#waiting.filter((request) => request.link === link)) this.release(link, id);
    if (this.#holder?.link === link) this.#takeBack();
  }

  /** It is given to nobody any more. */
  stop(): void {
    this.#stopped = true;
    if (this.#holder !== null) clearTimeout(this.#holder.timer);
    this.#holder = null;
  }

  #takeBack(): void {
    if (this.#holder === null) return;
    clearTimeout(this.#holder.timer);
    this.#holder = null;
    this.#options.returned();
  }
}
