/** While a worker holds the lease the hub commits nothing: users' SQL has its own connection. */
import type { LogLines } from "../observe/log.ts";
import type { WorkerLink } from "./worker-links.ts";

interface LeaseRequest {
  link: WorkerLink;
  id: number;
}

export interface WriteLeaseOptions {
  /** Limit for a lease: by then the runner is dead or killed. */
  timeoutMs: number;
  /** Called when the lease is released. */
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

  /** `grant` gives it. */
  ask(link: WorkerLink, id: number): void {
    this.#waiting.push({ link, id });
  }

  /** Gives the lease to the next waiter, unless it is held. */
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

  /** Also withdraws a request that was not granted yet. */
  release(link: WorkerLink, id: number): void {
    const at = this.#waiting.findIndex((request) => request.link === link && request.id === id);
    if (at >= 0) this.#waiting.splice(at, 1);
    if (this.#holder?.link === link && this.#holder.id === id) this.#takeBack();
  }

  forget(link: WorkerLink): void {
    for (const { id } of this.#waiting.filter((request) => request.link === link)) this.release(link, id);
    if (this.#holder?.link === link) this.#takeBack();
  }

  /** Grants no more. */
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
