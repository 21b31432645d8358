/**
 * A worker's end of the hub's socket. Saves of one turn of the event loop travel as one message. When the hub is restarted
 * under it, the client connects again, subscribes again, and repeats the unanswered saves once.
 */
import { join } from "node:path";
import type { Socket } from "bun";
import type { LogLines } from "../observe/log.ts";
import { RequestError, unavailable } from "../protocol/errors.ts";
import type { Save, SaveOutcome } from "../storage/contract.ts";
import { HubReads } from "./hub-reads.ts";
import { MessageChannel } from "./message-channel.ts";
import {
  type CommittedEntry,
  type FrameEvent,
  HUB_SOCKET,
  type OutcomeEvent,
  type SaveEntry,
  type ToHub,
  type ToWorker,
} from "./messages.ts";

/** Bodies of saves that the hub has not answered; beyond it a save gets 503. */
const SAVE_BYTES_IN_FLIGHT_MAX = 256 * 1024 * 1024;
/** How long saves wait for a hub that is away before they get 503. */
const HUB_AWAY_MAX_MS = 10_000;
const RECONNECT_MS = 25;
/** Subscriptions are answered at once when the hub is there. */
const REPLY_TIMEOUT_MS = 10_000;

interface PendingSave {
  save: Save;
  frame: () => string;
  bytes: number;
  repeated: boolean;
  resolve(outcome: SaveOutcome): void;
  reject(error: Error): void;
}

interface PendingReply {
  resolve(): void;
  reject(error: Error): void;
}

export interface HubClientOptions {
  runtimeDir: string;
  workerId: number;
  /** False when this is the only worker: then the hub has nobody to pass frames on to. */
  sendFrames: boolean;
  log: LogLines;
  /** Called in commit order for every update of a ticker that this worker subscribed to, its own saves included. */
  publish(ticker: string, frame: string): void;
  /** The hub went away unasked and is back: whether every update before that was published here can't be known. */
  onGap(): void;
}

export class HubClient {
  readonly #options: HubClientOptions;
  readonly #path: string;
  #socket: Socket<undefined> | null = null;
  #channel: MessageChannel<ToHub, ToWorker> | null = null;
  #nextId = 1;
  /** Reads that are left to the hub. */
  readonly reads: HubReads;
  #outbox: SaveEntry[] = [];
  #announcements: CommittedEntry[] = [];
  readonly #announced = new Map<number, { ticker: string; frame: () => string; resolve(): void }>();
  #flushScheduled = false;
  readonly #saves = new Map<number, PendingSave>();
  #bytesInFlight = 0;
  readonly #replies = new Map<number, PendingReply>();
  readonly #tickers = new Set<string>();
  #closed = false;
  #awayTimer: Timer | null = null;
  #awayTooLong = false;

  constructor(options: HubClientOptions) {
    this.#options = options;
    this.#path = join(options.runtimeDir, HUB_SOCKET);
    this.reads = new HubReads((message) => {
      this.#channel?.send(message);
      return this.#channel !== null;
    });
  }

  get connected(): boolean {
    return this.#channel !== null;
  }

  /** Resolves when the hub has taken the connection; rejects after HUB_AWAY_MAX_MS. */
  async connect(): Promise<void> {
    const deadline = performance.now() + HUB_AWAY_MAX_MS;
    while (!this.#closed) {
      try {
        await this.#open();
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await Bun.sleep(RECONNECT_MS);
      }
    }
  }

  /**
   * Resolves when the save is committed (or refused as a whole by the database's state, see SaveOutcome).
   *
   * @param frame makes what subscribers of the ticker get, published before this resolves; called only if it is needed.
   * @param bytes size of the request, for the bound on saves in flight.
   * @throws RequestError 503: too much in flight, or the hub stayed away; then the outcome is unknown.
   */
  save(save: Save, frame: () => string, bytes: number): Promise<SaveOutcome> {
    if (this.#bytesInFlight + bytes > SAVE_BYTES_IN_FLIGHT_MAX && this.#saves.size > 0) {
      throw unavailable(
        `save: ${this.#bytesInFlight} bytes of saves wait for the database already; try again`,
      );
    }
    if (this.#awayTooLong) throw unavailable("save: the database's writer is away; nothing was stored");
    const { promise, resolve, reject } = Promise.withResolvers<SaveOutcome>();
    const id = this.#nextId++;
    this.#saves.set(id, { save, frame, bytes, repeated: false, resolve, reject });
    this.#bytesInFlight += bytes;
    if (this.#channel !== null) this.#enqueue(id, save, frame);
    return promise;
  }

  /**
   * Tells the ticker's subscribers, on all workers in the same order, of a save that this worker has committed itself.
   * Resolves when it is their turn. Without a hub it resolves at once: when that is back, subscribers have to connect again.
   */
  announce(ticker: string, frame: () => string): Promise<void> {
    if (this.#channel === null) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const id = this.#nextId++;
    this.#announced.set(id, { ticker, frame, resolve });
    this.#announcements.push([id, ticker, this.#options.sendFrames ? frame() : ""]);
    this.#scheduleFlush();
    return promise;
  }

  /** Resolves when every commit from now on is published here. */
  async subscribe(ticker: string): Promise<void> {
    this.#tickers.add(ticker);
    await this.#ask((id) => ({ type: "subscribe", id, ticker }));
  }

  unsubscribe(ticker: string): void {
    if (this.#tickers.delete(ticker)) this.#channel?.send({ type: "unsubscribe", ticker });
  }

  /**
   * Keeps the hub from committing until released, and waits its turn for it. The hub takes it back by itself after a time.
   *
   * @throws RequestError 503 the hub is away; rejects when the signal aborts, and then holds nothing.
   */
  async acquire(signal: AbortSignal): Promise<{ release(): Promise<void> }> {
    const id = this.#nextId++;
    this.#sendOrThrow({ type: "lease", id });
    const granted = this.#reply(id);
    const giveUp = (): void => {
      // Also when it was granted meanwhile: the hub takes both for the same.
      this.#channel?.send({ type: "release", id });
      this.#replies.get(id)?.reject(signal.reason as Error);
    };
    signal.addEventListener("abort", giveUp);
    try {
      await granted;
    } finally {
      signal.removeEventListener("abort", giveUp);
      this.#replies.delete(id);
    }
    return {
      release: async () => {
        if (this.#channel === null) return; // a new hub knows of no lease
        const released = this.#reply(id);
        this.#channel.send({ type: "release", id });
        // Answers kept before the write are invalid when this comes back, or when the hub is gone: a new one begins with that.
        await released.catch(() => {});
        this.#replies.delete(id);
      },
    };
  }

  close(): void {
    this.#closed = true;
    if (this.#awayTimer !== null) clearTimeout(this.#awayTimer);
    this.#socket?.end();
    this.#fail("the server is stopping");
  }

  async #open(): Promise<void> {
    const socket = await Bun.connect<undefined>({
      unix: this.#path,
      socket: {
        data: (_socket, chunk) => this.#channel?.data(chunk),
        drain: () => this.#channel?.drain(),
        close: () => this.#lost(),
        error: (_socket, error) => this.#options.log.warning(`Hub connection: ${error.message}`),
      },
    });
    this.#socket = socket;
    this.#channel = new MessageChannel<ToHub, ToWorker>(socket, (message, attachment) =>
      this.#receive(message, attachment),
    );
    if (this.#awayTimer !== null) clearTimeout(this.#awayTimer);
    this.#awayTimer = null;
    this.#awayTooLong = false;
    this.#channel.send({ type: "hello", workerId: this.#options.workerId });
    for (const ticker of this.#tickers) this.#channel.send({ type: "subscribe", id: 0, ticker });
    for (const [id, { save, frame }] of this.#saves) this.#enqueue(id, save, frame);
  }

  #enqueue(id: number, save: Save, frame: () => string): void {
    this.#outbox.push([id, save, this.#options.sendFrames ? frame() : ""]);
    this.#scheduleFlush();
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      const saves = this.#outbox;
      const committed = this.#announcements;
      this.#outbox = [];
      this.#announcements = [];
      // With no hub the saves are still in #saves and go out on the next connection; announcements are settled.
      if (saves.length > 0) this.#channel?.send({ type: "saves", saves });
      if (committed.length > 0) this.#channel?.send({ type: "committed", saves: committed });
    });
  }

  async #ask(build: (id: number) => ToHub): Promise<void> {
    const id = this.#nextId++;
    this.#sendOrThrow(build(id));
    const reply = this.#reply(id);
    const timer = setTimeout(() => {
      this.#replies
        .get(id)
        ?.reject(unavailable(`the database's writer did not answer for ${REPLY_TIMEOUT_MS / 1000} s`));
    }, REPLY_TIMEOUT_MS);
    try {
      await reply;
    } finally {
      clearTimeout(timer);
      this.#replies.delete(id);
    }
  }

  #reply(id: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#replies.set(id, { resolve, reject });
    return promise;
  }

  #sendOrThrow(message: ToHub): void {
    if (this.#channel === null) throw unavailable("the database's writer is being restarted");
    this.#channel.send(message);
  }

  #receive(message: ToWorker, attachment: Buffer): void {
    switch (message.type) {
      case "events":
        for (const event of message.events) this.#receiveEvent(event);
        break;
      case "subscribed":
      case "leased":
      case "released":
        this.#replies.get(message.id)?.resolve();
        break;
      default:
        this.reads.receive(message, attachment);
    }
  }

  #receiveEvent(event: OutcomeEvent | FrameEvent): void {
    if (event[0] === 1) {
      this.#options.publish(event[1], event[2]);
      return;
    }
    const announced = this.#announced.get(event[1]);
    if (announced !== undefined) {
      this.#announced.delete(event[1]);
      if (this.#tickers.has(announced.ticker)) this.#options.publish(announced.ticker, announced.frame());
      announced.resolve();
      return;
    }
    const pending = this.#saves.get(event[1]);
    if (pending === undefined) return;
    this.#saves.delete(event[1]);
    this.#bytesInFlight -= pending.bytes;
    if (event[2].ok && this.#tickers.has(pending.save.ticker)) {
      this.#options.publish(pending.save.ticker, pending.frame());
    }
    pending.resolve(event[2]);
  }

  #lost(): void {
    if (this.#channel === null) return;
    this.#channel = null;
    this.#socket = null;
    this.#outbox = [];
    for (const reply of this.#replies.values()) reply.reject(unavailable("the database's writer went away"));
    this.#replies.clear();
    this.reads.lost();
    // They are stored; whoever should have been told is made to connect again, by onGap.
    for (const announced of this.#announced.values()) announced.resolve();
    this.#announced.clear();
    if (this.#closed) return;
    this.#options.log.warning(`Hub went away with ${this.#saves.size} saves unanswered; connecting again`);
    for (const [id, pending] of this.#saves) {
      // "error" asks whether the key was free, which a repetition would answer wrongly.
      if (!pending.repeated && pending.save.onDuplicate !== "error") {
        pending.repeated = true;
        continue;
      }
      this.#settle(id, pending, "the database's writer went away twice");
    }
    this.#awayTimer = setTimeout(() => {
      this.#awayTooLong = true;
      this.#fail(`the database's writer has been away for ${HUB_AWAY_MAX_MS / 1000} s`);
    }, HUB_AWAY_MAX_MS);
    void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    while (!this.#closed && this.#channel === null) {
      // Not at once: a dying hub still takes connections for a moment, and losing it again would use up the one repetition.
      await Bun.sleep(RECONNECT_MS);
      try {
        await this.#open();
      } catch {
        continue; // its socket comes back when the supervisor has restarted it
      }
      this.#options.log.info("Connected to the hub again");
      this.#options.onGap();
    }
  }

  #fail(reason: string): void {
    for (const [id, pending] of this.#saves) this.#settle(id, pending, reason);
  }

  #settle(id: number, pending: PendingSave, reason: string): void {
    this.#saves.delete(id);
    this.#bytesInFlight -= pending.bytes;
    pending.reject(
      new RequestError(503, `save: ${reason}; whether it was stored is unknown`, {
        hint: "a save can be repeated without harm",
        retryAfterS: 1,
      }),
    );
  }
}
