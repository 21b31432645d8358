/** What waits for the clients of a worker, by policy: summed when its sockets are looked at. */
import type { ClientFigures } from "../connections/connection.ts";

export interface PolicyTotals {
  subscribers: number;
  /** Updates. */
  queue: number;
  queueBytes: number;
  /** Of the client that is most behind. */
  lagS: number;
}

export class ClientTotals {
  readonly #byPolicy = new Map<string, PolicyTotals>();

  add({ policy, queue, queueBytes, waitedMs }: ClientFigures, bufferedBytes: number): void {
    const before = this.#byPolicy.get(policy) ?? { subscribers: 0, queue: 0, queueBytes: 0, lagS: 0 };
    this.#byPolicy.set(policy, {
      subscribers: before.subscribers + 1,
      queue: before.queue + queue,
      queueBytes: before.queueBytes + queueBytes + bufferedBytes,
      lagS: Math.max(before.lagS, waitedMs / 1_000),
    });
  }

  get byPolicy(): ReadonlyMap<string, PolicyTotals> {
    return this.#byPolicy;
  }
}
