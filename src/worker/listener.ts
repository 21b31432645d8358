/**
 * Accepts a worker's connections, can pause, and can take another certificate. Bun can't: so the
 * listener is stopped and a new one made; the WebSockets of the first stay with it until they
 * close. A worker may have others beside that of its port.
 */
import type { Server } from "bun";

/** Keep-alive clients of a listener that is replaced get so long to be told to connect again. */
const REPLACED_NOTICE_MS = 300;
/** How often connections are closed that have become idle while a listener stops. */
const IDLE_CLOSE_MS = 100;

export class Listener<Data> {
  readonly #make: () => Server<Data>;
  #current: Server<Data>;
  /** Stopped listeners that still have connections. */
  readonly #former = new Set<Server<Data>>();
  #paused: Promise<void> | null = null;
  /** Stays the same after a pause, even if `--port 0` asked for any port; 0 of a Unix socket. */
  readonly port: number;

  /**
   * @param make listens on the same port each time.
   * @throws Error the port is not available.
   */
  constructor(make: () => Server<Data>) {
    this.#make = make;
    this.#current = make();
    this.port = this.#current.port ?? 0;
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

  /** Whether it has been replaced: its clients had better connect again. */
  isFormer(server: Server<Data>): boolean {
    return this.#former.size > 0 && this.#former.has(server);
  }

  has(server: Server<Data>): boolean {
    return server === this.#current || this.#former.has(server);
  }

  pause(): void {
    if (this.#paused !== null) return;
    this.#paused = this.#retire(this.#current);
  }

  /** The port must be shared. Nobody who connects meanwhile is refused. */
  replace(): void {
    if (this.#paused !== null) return;
    const replaced = this.#current;
    this.#current = this.#make();
    this.#former.add(replaced);
    setTimeout(() => void this.#retire(replaced), REPLACED_NOTICE_MS);
  }

  /** Resolves when its last connection is closed. */
  async #retire(server: Server<Data>): Promise<void> {
    this.#former.add(server);
    await server.stop();
    this.#former.delete(server);
  }

  resume(): void {
    if (this.#paused === null) return;
    this.#current = this.#make();
    this.#paused = null;
  }

  /** Resolves when every connection is closed. @param now closes them, whatever they wait for. */
  async stop(now = false): Promise<void> {
    const servers = new Set([this.#current, ...this.#former]);
    const stopped = Promise.all([...servers].map((server) => server.stop(now)));
    // One with TLS waits 12 s for its client to end it too, unless it is closed once more.
    const timer = setInterval(() => {
      for (const server of servers) server.closeIdleConnections();
    }, IDLE_CLOSE_MS);
    await stopped.finally(() => clearInterval(timer));
  }
}

interface ListenersOptions<Data> {
  /** That of the port. */
  main: Listener<Data>;
  /** Null: there is none. */
  unix: Listener<Data> | null;
  redirecting: Listener<Data> | null;
}

/** All listeners of a worker as one. */
export class Listeners<Data> {
  readonly #main: Listener<Data>;
  readonly #unix: Listener<Data> | null;
  readonly #all: readonly Listener<Data>[];

  constructor({ main, unix, redirecting }: ListenersOptions<Data>) {
    this.#main = main;
    this.#unix = unix;
    this.#all = [main, unix, redirecting].filter((listener) => listener !== null);
  }

  get port(): number {
    return this.#main.port;
  }

  get pendingRequests(): number {
    let pending = 0;
    for (const listener of this.#all) pending += listener.pendingRequests;
    return pending;
  }

  publish(topic: string, text: string): void {
    this.#main.publish(topic, text);
    this.#unix?.publish(topic, text);
  }

  closeIdle(): void {
    for (const listener of this.#all) listener.closeIdle();
  }

  isFormer(server: Server<Data>): boolean {
    return this.#main.isFormer(server);
  }

  /** Whether its clients come by the Unix socket, and so have no address. */
  isUnix(server: Server<Data>): boolean {
    return this.#unix?.has(server) === true;
  }

  pause(): void {
    for (const listener of this.#all) listener.pause();
  }

  resume(): void {
    for (const listener of this.#all) listener.resume();
  }

  async stop(now = false): Promise<void> {
    await Promise.all(this.#all.map((listener) => listener.stop(now)));
  }
}
