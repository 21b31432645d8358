/**
 * A worker's end of the hub's socket. Saves of one turn of the event loop travel as one message. When the hub is restarted
 * under it, the client connects again, subscribes again, and repeats the unanswered saves.
 */
import { join } from "node:path";
import type { Socket } from "bun";
import type { BusFigures } from "../bus/bus.ts";
import type { LogLines } from "../observe/log.ts";
import { RequestError, unavailable } from "../protocol/errors.ts";
import type { Save, SaveOutcome } from "../storage/contract.ts";
import type { Update } from "../storage/update-contract.ts";
import { ALL_TICKERS } from "../stream/subscriber.ts";
import { HubReads } from "./hub-reads.ts";
import { MessageChannel } from "./message-channel.ts";
import {
  type CommittedEntry,
  HUB_SOCKET,
  type HubEvent,
  type SaveEntry,
  type ToHub,
  type ToWorker,
} from "./messages.ts";

/** Bodies of saves that the hub has not answered; beyond it a save gets 503. */
const SAVE_BYTES_IN_FLIGHT_MAX = 256 * 1024 * 1024;
/** How long saves and reads wait for a hub that is away before they get 503. */
const HUB_AWAY_MAX_MS = 10_000;
const RECONNECT_MS = 25;
/** The log knows a save that was committed before, so it can be sent to one hub after the other. But hubs may be dying of it. */
const REPETITIONS_MAX = 10;
/** Subscriptions are answered at once when the hub is there. */
const REPLY_TIMEOUT_MS = 10_000;

interface PendingSave {
  save: Save;
  bytes: number;
  cameMs: number;
  repetitions: number;
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
  log: LogLines;
  /** Called for every update of a ticker that this worker watches, its own saves included; usually in order of commit. */
  publish(ticker: string, update: Update): void;
  /** Another server has committed an update of this position. */
  note(ticker: string, position: number): void;
  /** Updates of any ticker may have been missed: the hub went away and is back, or the bus. */
  missed(): void;
  /** WebSockets of this worker, by client address. */
  addresses(): Iterable<[address: string, sockets: number]>;
}

export class HubClient {
  readonly #options: HubClientOptions;
  readonly #path: string;
  #socket: Socket<undefined> | null = null;
  #channel: MessageChannel<ToHub, ToWorker> | null = null;
  #nextId = 1;
  /** Reads that are left to the hub. */
  readonly reads: HubReads;
  #outbox: [id: number, save: Save][] = [];
  #announcements: CommittedEntry[] = [];
  #flushScheduled = false;
  readonly #saves = new Map<number, PendingSave>();
  #bytesInFlight = 0;
  readonly #replies = new Map<number, PendingReply>();
  readonly #admissions = new Map<number, (admitted: boolean) => void>();
  readonly #figures = new Map<number, (figures: BusFigures | null) => void>();
  #busChannel: string | null = null;
  readonly #tickers = new Set<string>();
  #closed = false;
  #awayTimer: Timer | null = null;
  #awayTooLong = false;
  /** For those that wait while the hub is away. */
  #absence: PromiseWithResolvers<void> | null = null;

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

  /** Resolves when the hub is there, at once if it is; or when it has been away for too long, or isn't wanted any more. */
  async present(): Promise<void> {
    if (this.#channel !== null || this.#closed || this.#awayTooLong) return;
    this.#absence ??= Promise.withResolvers<void>();
    await this.#absence.promise;
  }

  /**
   * Resolves when the save is committed (or refused as a whole by the database's state, see SaveOutcome), and its update published here.
   *
   * @param bytes size of the request, for the bound on saves in flight.
   * @throws RequestError 503: too much in flight, or the hub stayed away; then the outcome is unknown.
   */
  save(save: Save, bytes: number): Promise<SaveOutcome> {
    if (this.#bytesInFlight + bytes > SAVE_BYTES_IN_FLIGHT_MAX && this.#saves.size > 0) {
      throw unavailable(
        `save: ${this.#bytesInFlight} bytes of saves wait for the database already; try again`,
      );
    }
    if (this.#awayTooLong) throw unavailable("save: the database's writer is away; nothing was stored");
    const { promise, resolve, reject } = Promise.withResolvers<SaveOutcome>();
    const id = this.#nextId++;
    this.#saves.set(id, { save, bytes, cameMs: performance.now(), repetitions: 0, resolve, reject });
    this.#bytesInFlight += bytes;
    if (this.#channel !== null) this.#enqueue(id, save);
    return promise;
  }

  /** Tells the ticker's subscribers, on all workers, of an update that this worker has committed itself. */
  announce(ticker: string, update: Update): void {
    if (this.#watches(ticker)) this.#options.publish(ticker, update);
    // Without a hub the other workers find it in the database when they have one again.
    if (this.#channel === null) return;
    this.#announcements.push([ticker, update]);
    this.#scheduleFlush();
  }

  /** Whether there may be one more WebSocket of the address; then it counts until `left`. */
  async admit(address: string): Promise<boolean> {
    // Who can't be asked admits: clients that come back must not be turned away because the hub is being restarted.
    if (this.#channel === null) return true;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const id = this.#nextId++;
    this.#admissions.set(id, resolve);
    this.#channel.send({ type: "admit", id, address });
    return promise;
  }

  left(address: string): void {
    this.#channel?.send({ type: "left", address });
  }

  /** Names the database on the bus, for this hub and the next. */
  joinBus(channel: string): void {
    this.#busChannel = channel;
    this.#channel?.send({ type: "bus", channel });
  }

  /** Null without a bus, or a hub. */
  async busFigures(): Promise<BusFigures | null> {
    if (this.#channel === null) return null;
    const { promise, resolve } = Promise.withResolvers<BusFigures | null>();
    const id = this.#nextId++;
    this.#figures.set(id, resolve);
    this.#channel.send({ type: "busFigures", id });
    return promise;
  }

  /**
   * Resolves when every commit to the ticker, or to ALL_TICKERS, from now on is published here. A hub that is being restarted is waited for.
   *
   * @throws RequestError 503 it stayed away for HUB_AWAY_MAX_MS.
   */
  async subscribe(ticker: string): Promise<void> {
    this.#tickers.add(ticker);
    const deadline = performance.now() + HUB_AWAY_MAX_MS;
    for (;;) {
      try {
        await this.#ask((id) => ({ type: "subscribe", id, ticker }));
        return;
      } catch (error) {
        const isOver = this.#closed || performance.now() > deadline || !this.#tickers.has(ticker);
        if (isOver) throw error;
        await Bun.sleep(RECONNECT_MS);
      }
    }
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
    this.#endAbsence();
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
    const addresses = [...this.#options.addresses()];
    this.#channel.send({ type: "hello", workerId: this.#options.workerId, addresses });
    if (this.#busChannel !== null) this.joinBus(this.#busChannel);
    for (const ticker of this.#tickers) this.#channel.send({ type: "subscribe", id: 0, ticker });
    for (const [id, { save }] of this.#saves) this.#enqueue(id, save);
    this.#endAbsence();
  }

  #endAbsence(): void {
    this.#absence?.resolve();
    this.#absence = null;
  }

  #watches(ticker: string): boolean {
    return this.#tickers.has(ticker) || this.#tickers.has(ALL_TICKERS);
  }

  #enqueue(id: number, save: Save): void {
    this.#outbox.push([id, save]);
    this.#scheduleFlush();
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      const saves = this.#outbox;
      const updates = this.#announcements;
      this.#outbox = [];
      this.#announcements = [];
      // With no hub the saves are still in #saves and go out on the next connection.
      if (saves.length > 0) this.#sendSaves(saves);
      if (updates.length > 0) this.#channel?.send({ type: "committed", updates });
    });
  }

  #sendSaves(saves: [id: number, save: Save][]): void {
    const frames: string[] = [];
    const entries = saves.map(([id, save]): SaveEntry => {
      const { update } = save;
      if (update === undefined) return [id, save, 0];
      frames.push(update.frame);
      return [id, { ...save, update: { ...update, frame: "" } }, update.frame.length];
    });
    this.#channel?.send({ type: "saves", saves: entries }, Buffer.from(frames.join(""), "utf8"));
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
      case "admitted":
        this.#admissions.get(message.id)?.(message.admitted);
        this.#admissions.delete(message.id);
        break;
      case "busFigures":
        this.#figures.get(message.id)?.(message.figures);
        this.#figures.delete(message.id);
        break;
      case "missed":
        this.#options.missed();
        break;
      default:
        this.reads.receive(message, attachment);
    }
  }

  #receiveEvent(event: HubEvent): void {
    if (event[0] === 1) {
      this.#options.publish(event[1], event[2]);
      return;
    }
    if (event[0] === 2) {
      this.#options.note(event[1], event[2]);
      return;
    }
    const [, id, outcome] = event;
    const pending = this.#saves.get(id);
    if (pending === undefined) return;
    this.#saves.delete(id);
    this.#bytesInFlight -= pending.bytes;
    const { save } = pending;
    if (outcome.ok && outcome.seq !== null && save.update !== undefined && this.#watches(save.ticker)) {
      const type = save.kind === "bars" ? "bar" : save.type;
      this.#options.publish(save.ticker, { seq: outcome.seq, type, frame: save.update.frame });
    }
    pending.resolve(outcome);
  }

  #lost(): void {
    if (this.#channel === null) return;
    this.#channel = null;
    this.#socket = null;
    this.#outbox = [];
    for (const reply of this.#replies.values()) reply.reject(unavailable("the database's writer went away"));
    this.#replies.clear();
    this.reads.lost();
    this.#announcements = [];
    for (const admit of this.#admissions.values()) admit(true);
    this.#admissions.clear();
    for (const answer of this.#figures.values()) answer(null);
    this.#figures.clear();
    if (this.#closed) return;
    this.#options.log.warning(`Hub went away with ${this.#saves.size} saves unanswered; connecting again`);
    for (const [id, pending] of this.#saves) {
      const inTime = performance.now() - pending.cameMs < HUB_AWAY_MAX_MS;
      if (pending.repetitions < REPETITIONS_MAX && (inTime || pending.repetitions === 0)) {
        pending.repetitions++;
        // The log tells whether the first try was committed: then this one changes nothing.
        if (pending.save.update !== undefined) pending.save.update.repeated = true;
        continue;
      }
      this.#settle(id, pending, `the database's writer went away ${pending.repetitions + 1} times`);
    }
    this.#awayTimer = setTimeout(() => {
      this.#awayTooLong = true;
      this.#endAbsence();
      this.#fail(`the database's writer has been away for ${HUB_AWAY_MAX_MS / 1000} s`);
    }, HUB_AWAY_MAX_MS);
    void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    while (!this.#closed && this.#channel === null) {
      // Not at once: a dying hub still takes connections for a moment, and losing it again would use up a repetition.
      await Bun.sleep(RECONNECT_MS);
      try {
        await this.#open();
      } catch {
        continue; // its socket comes back when the supervisor has restarted it
      }
      this.#options.log.info("Connected to the hub again");
      const [watched] = this.#tickers;
      // Confirmed, like those before it on the socket: what is committed from now on comes here.
      if (watched !== undefined) await this.subscribe(watched).catch(() => null);
      this.#options.missed();
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
