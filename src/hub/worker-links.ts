/** The connected workers, and their events: in the same order for all, sent in batches. */
import type { Socket } from "bun";
import type { LogLines } from "../observe/log.ts";
import { ALL_TICKERS } from "../stream/subscriber.ts";
import type { MessageChannel } from "./message-channel.ts";
import type { HubEvent, ToHub, ToWorker } from "./messages.ts";
import type { ReadServer } from "./read-server.ts";

/** A worker that leaves this much unread is stuck: it is cut off, and reconnects or is replaced. */
const WORKER_BACKLOG_BYTES_MAX = 256 * 1024 * 1024;

export interface WorkerLink {
  reads: ReadServer | null;
  workerId: number;
  socket: Socket<WorkerLink>;
  channel: MessageChannel<ToWorker, ToHub>;
  /** Includes ALL_TICKERS if it watches all. */
  tickers: Set<string>;
  /** WebSockets of the worker, by the client address or key that has them. */
  sockets: Map<string, number>;
}

export class WorkerLinks {
  readonly #log: LogLines;
  readonly #links = new Set<WorkerLink>();
  readonly #unsent = new Map<WorkerLink, HubEvent[]>();

  constructor(log: LogLines) {
    this.#log = log;
  }

  add(link: WorkerLink): void {
    this.#links.add(link);
  }

  delete(link: WorkerLink): void {
    this.#links.delete(link);
  }

  /** Sent by `sendEvents`, like `passOn`. */
  tell(link: WorkerLink, event: HubEvent): void {
    const events = this.#unsent.get(link);
    if (events === undefined) this.#unsent.set(link, [event]);
    else events.push(event);
  }

  /** Tells every worker that watches the ticker, except the origin. */
  passOn(ticker: string, event: HubEvent, origin: WorkerLink | null): void {
    for (const link of this.#links) {
      if (link !== origin && (link.tickers.has(ticker) || link.tickers.has(ALL_TICKERS)))
        this.tell(link, event);
    }
  }

  sendEvents(): void {
    for (const [link, events] of this.#unsent) {
      if (!this.#links.has(link)) continue; // a worker that lives on repeats its saves
      this.#send(link, { type: "events", events });
    }
    this.#unsent.clear();
  }

  sendToAll(message: ToWorker): void {
    for (const link of this.#links) this.#send(link, message);
  }

  #send(link: WorkerLink, message: ToWorker): void {
    link.channel.send(message);
    if (link.channel.backlogBytes <= WORKER_BACKLOG_BYTES_MAX) return;
    this.#log.error(
      `Hub: worker ${link.workerId} reads nothing (${link.channel.backlogBytes} bytes wait); cutting it off`,
    );
    link.socket.terminate();
  }

  /** Those of a client address or key, in all workers. */
  socketsOf(holder: string): number {
    let count = 0;
    for (const { sockets } of this.#links) count += sockets.get(holder) ?? 0;
    return count;
  }
}
