/**
 * Accepts a worker's connections, and can pause. Bun can't: so the listener is stopped and a new
 * one made; the WebSockets of the first stay with it until they close.
 */
import type { Server } from "bun";

export class Listener<Data> {
  readonly #make: () => Server<Data>;
  #current: Server<Data>;
  /** Stopped listeners that still have connections. */
  readonly #former = new Set<Server<Data>>();
  #paused: Promise<void> | null = null;
  /** Stays the same after a pause, even if `--port 0` asked for any port. */
  readonly port: number;

  /**
   * @param make listens on the same port each time.
   * @throws Error the port is not available.
   */
  constructor(make: () => Server<Data>) {
    this.#make = make;
    this.#current = make();
    this.port = this.#current.port!;
  }

  get pendingRequests(): number {
    let pending = this.#current.pendingRequests;
    for (const server of this.#former) pending += server.pendingRequests;
    return pending;
  }

  publish(topic: string, text: string): void {
    this.#current.publish(topic, text);
    for (const server of this.#former) server.publish(topic, text);
  }

  closeIdle(): void {
    this.#current.closeIdleConnections();
  }

  pause(): void {
    if (this.#paused !== null) return;
    const stopped = this.#current;
    this.#former.add(stopped);
    this.#paused = stopped.stop();
    void this.#paused.then(() => this.#former.delete(stopped));
  }

  resume(): void {
    if (this.#paused === null) return;
    this.#current = this.#make();
    this.#paused = null;
  }

  /** Resolves when every connection is closed. @param now closes them, whatever they wait for. */
  async stop(now = false): Promise<void> {
    const servers = new Set([this.#current, ...this.#former]);
    await Promise.all([...servers].map((server) => server.stop(now)));
  }
}
