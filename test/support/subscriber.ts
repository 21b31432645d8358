/**
 * A subscriber to live updates, or to a replay, that keeps every frame with the moment of its
 * arrival: what a client of the server sees through a WebSocket library.
 */
import { waitUntil } from "./server.ts";

/** A text of the server, read as JSON. */
export interface LiveFrame {
  symbol: string;
  seq: number;
  epoch?: string;
  /** Of frames that are of no ticker: `subscription`, `error`, `last_positions`. */
  type?: string;
  code?: string;
  error?: string;
  subscriptions?: { symbol: string; types: string[] }[];
  positions?: Record<string, number>;
  conflated?: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it as they please.
  data: any;
}

export interface Frame extends LiveFrame {
  atMs: number;
}

const NO_UPDATES = new Set(["heartbeat", "initial_price", "snapshot", "recovery", "gap", "replay_end"]);

export class Subscriber implements AsyncDisposable {
  readonly frames: Frame[] = [];
  closed: { code: number; reason: string } | null = null;
  readonly #socket: WebSocket;

  private constructor(url: string) {
    this.#socket = new WebSocket(url);
    this.#socket.onmessage = ({ data }) => {
      this.frames.push({ ...(JSON.parse(String(data)) as LiveFrame), atMs: performance.now() });
    };
    this.#socket.onclose = ({ code, reason }) => {
      this.closed = { code, reason };
    };
  }

  /**
   * Resolves when updates from now on reach it: the first heartbeat comes after that.
   *
   * @throws Error it was closed before.
   */
  static async open(wsUrl: string, symbol: string): Promise<Subscriber> {
    const subscriber = Subscriber.connect(wsUrl, symbol);
    await waitUntil(
      `${symbol} is subscribed`,
      () => subscriber.heartbeats.length > 0 || subscriber.closed !== null,
    );
    const { closed, heartbeats } = subscriber;
    if (heartbeats.length === 0)
      throw new Error(`${symbol}: closed with ${closed?.code} (${closed?.reason}) before it was subscribed`);
    return subscriber;
  }

  static connect(wsUrl: string, symbol: string): Subscriber {
    return Subscriber.ask(wsUrl, { symbol });
  }

  /** With these parameters in the query. */
  static ask(wsUrl: string, query: Record<string, string>): Subscriber {
    return new Subscriber(`${wsUrl}/ws?${new URLSearchParams(query)}`);
  }

  /** Of history, at the speed that the query says. */
  static replay(wsUrl: string, query: Record<string, string>): Subscriber {
    return new Subscriber(`${wsUrl}/ws/replay?${new URLSearchParams(query)}`);
  }

  get heartbeats(): Frame[] {
    return this.ofType("heartbeat");
  }

  ofType(type: string): Frame[] {
    return this.frames.filter(({ data }) => data?.type === type);
  }

  /** Frames of saves. */
  get updates(): Frame[] {
    return this.frames.filter(({ data }) => data !== undefined && !NO_UPDATES.has(data.type));
  }

  /** Positions of the updates. */
  get seqs(): number[] {
    return this.updates.map(({ seq }) => seq);
  }

  /** Of updates that are saves of ticks, the price of the first one. */
  get prices(): number[] {
    return this.updates.map(({ data }) => data.payload[0].price);
  }

  get errors(): (string | undefined)[] {
    return this.frames.filter(({ type }) => type === "error").map(({ code }) => code);
  }

  send(text: string | Uint8Array<ArrayBuffer>): void {
    this.#socket.send(text);
  }

  async untilClosed(): Promise<{ code: number; reason: string }> {
    return await waitUntil("the subscriber is closed", () => this.closed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.untilClosed();
  }
}
