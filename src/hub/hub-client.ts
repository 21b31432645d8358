/**
 * A worker's end of the hub's socket. Saves of one turn of the event loop travel as one message.
 * When the hub is restarted under it, the client connects again, subscribes again, and repeats the
 * unanswered saves.
 */
import { join } from "node:path";
import type { Socket } from "bun";
import type { BusFigures } from "../bus/bus.ts";
import type { ConditionName, Conditions } from "../observe/conditions.ts";
import type { LogLines } from "../observe/log.ts";
import { unavailable } from "../protocol/errors.ts";
import type { Save, SaveOutcome } from "../storage/contract.ts";
import type { Update } from "../storage/update-contract.ts";
import { ALL_TICKERS } from "../stream/subscriber.ts";
import { within } from "../time/within.ts";
import { HUB_AWAY_MAX_MS, HubAbsence } from "./hub-absence.ts";
import { HubReads } from "./hub-reads.ts";
import { HubReplies } from "./hub-replies.ts";
import { HubSaves } from "./hub-saves.ts";
import { MessageChannel } from "./message-channel.ts";
import {
  type CommittedEntry,
  HUB_SOCKET,
  type HubEvent,
  type ReplyToWorker,
  type ToHub,
  type ToWorker,
} from "./messages.ts";
import { TurnBatch } from "./turn-batch.ts";
import { readNote } from "./writer-note.ts";
import { WriterWatch } from "./writer-watch.ts";

const RECONNECT_MS = 25;
/** Subscriptions are answered at once when the hub is there. */
const REPLY_TIMEOUT_MS = 10_000;
const ADMISSION_WAIT_MS = 1_000;

export interface HubClientOptions {
  runtimeDir: string;
  workerId: number;
  log: LogLines;
  /**
   * Called for every update of a ticker that this worker watches, its own saves included; usually
   * in order of commit.
   */
  publish(ticker: string, update: Update): void;
  /** Another server has committed an update of this position. */
  note(ticker: string, position: number): void;
  /** The hub's state, which is the worker's too: see observe/conditions.ts. */
  condition(name: ConditionName, reason: string | null): void;
  /** A ticker of a check is in the database no more. */
  removed(ticker: string): void;
  /** Updates of any ticker may have been missed: the hub went away and is back, or the bus. */
  missed(): void;
  /** --liveness-timeout: a hub that is silent for so long is ended by others. */
  livenessMs: number;
  conditions: Pick<Conditions, "begin" | "end">;
  /** WebSockets of this worker, by client address. */
  addresses(): Iterable<[address: string, sockets: number]>;
}

export class HubClient {
  readonly #options: HubClientOptions;
  readonly #path: string;
  #socket: Socket<undefined> | null = null;
  #channel: MessageChannel<ToHub, ToWorker> | null = null;
  /** Reads that are left to the hub. */
  readonly reads: HubReads;
  readonly #saves: HubSaves;
  readonly #replies = new HubReplies();
  readonly #announcements: TurnBatch<CommittedEntry>;
  readonly #absence = new HubAbsence();
  readonly #watch: WriterWatch;
  #busChannel: string | null = null;
  readonly #tickers = new Set<string>();
  #closed = false;
  /** Why the hub can't serve the database's file any more; null: it can, or there is no hub. */
  databaseLost: string | null = null;

  constructor(options: HubClientOptions) {
    this.#options = options;
    this.#path = join(options.runtimeDir, HUB_SOCKET);
    this.reads = new HubReads((message) => {
      this.#channel?.send(message);
      return this.#channel !== null;
    });
    this.#saves = new HubSaves(
      (message, frames) => this.#channel?.send(message, frames),
      (save, outcome) => this.#publishOwn(save, outcome),
    );
    this.#watch = new WriterWatch({
      runtimeDir: options.runtimeDir,
      limitMs: options.livenessMs,
      conditions: options.conditions,
      ping: async () => {
        const reply = await this.#ask((id) => ({ type: "ping", id }));
        return reply.type === "pong" ? reply.commitMs : 0;
      },
    });
    this.#announcements = new TurnBatch((updates) => this.#channel?.send({ type: "committed", updates }));
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
   * Resolves when the hub is there, at once if it is; or when it has been away for too long, or
   * isn't wanted any more.
   */
  async present(): Promise<void> {
    if (this.#channel !== null || this.#closed) return;
    await this.#absence.over();
  }

  /** Bytes of saves that are not answered yet. */
  get saveBytesInFlight(): number {
    return this.#saves.bytesInFlight;
  }

  /**
   * Resolves when the save is committed (or refused as a whole by the database's state, see
   * SaveOutcome), and its update published here.
   *
   * @param bytes size of the request, for the bound on saves in flight.
   * @throws RequestError 503: too much in flight, or the hub stayed away; then the outcome is
   *   unknown.
   */
  save(save: Save, bytes: number): Promise<SaveOutcome> {
    this.#saves.check(save, bytes);
    if (this.#absence.isTooLong) throw unavailable("save: the database's writer is away; nothing was stored");
    return this.#saves.add(save, bytes, this.#channel !== null);
  }

  /**
   * Tells the ticker's subscribers, on all workers, of an update that this worker has committed
   * itself.
   */
  announce(ticker: string, update: Update): void {
    if (this.#watches(ticker)) this.#options.publish(ticker, update);
    // Without a hub the other workers find it in the database when they have one again.
    if (this.#channel !== null) this.#announcements.push([ticker, update]);
  }

  /** Whether there may be one more WebSocket of the address; then it counts until `left`. */
  async admit(address: string): Promise<boolean> {
    // Who can't be asked admits: clients that come back must not be turned away because the hub is
    // being restarted.
    const asked = this.#ask((id) => ({ type: "admit", id, address })).catch(() => null);
    // A hub that hangs counts it when it is back, or the next one hears of it with all others.
    const reply = await within(asked, ADMISSION_WAIT_MS, () => null);
    return reply?.type !== "admitted" || reply.admitted;
  }

  left(address: string): void {
    this.#channel?.send({ type: "left", address });
  }

  /** Has the hub remove the ticker of a check. @throws RequestError 503 */
  async removeCheck(ticker: string): Promise<void> {
    const reply = await this.#ask((id) => ({ type: "removeCheck", id, ticker }));
    if (reply.type === "checkRemoved" && reply.error !== null)
      throw unavailable("remove_check: the database refused it", reply.error);
  }

  /** Tells the other workers that the ticker of a check was removed. */
  tellRemoved(ticker: string): void {
    this.#channel?.send({ type: "removed", ticker });
  }

  /** Names the database on the bus, for this hub and the next. */
  joinBus(channel: string): void {
    this.#busChannel = channel;
    this.#channel?.send({ type: "bus", channel });
  }

  /** Null without a bus, or a hub. */
  async busFigures(): Promise<BusFigures | null> {
    const reply = await this.#ask((id) => ({ type: "busFigures", id })).catch(() => null);
    return reply?.type === "busFigures" ? reply.figures : null;
  }

  /**
   * Resolves when every commit to the ticker, or to ALL_TICKERS, from now on is published here. A
   * hub that is being restarted is waited for.
   *
   * @throws RequestError 503 it stayed away for HUB_AWAY_MAX_MS.
   */
  async subscribe(ticker: string): Promise<void> {
    this.#tickers.add(ticker);
    const deadline = performance.now() + HUB_AWAY_MAX_MS;
    for (;;) {
      try {
        await this.#askToSubscribe(ticker);
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
   * Keeps the hub from committing until released, and waits its turn for it. The hub takes it back
   * by itself after a time.
   *
   * @throws RequestError 503 the hub is away; rejects when the signal aborts, and then holds
   *   nothing.
   */
  async acquire(signal: AbortSignal): Promise<{ release(): Promise<void> }> {
    const id = this.#replies.newId();
    this.#sendOrThrow({ type: "lease", id });
    const giveUp = (): void => {
      // Also when it was granted meanwhile: the hub takes both for the same.
      this.#channel?.send({ type: "release", id });
      this.#replies.fail(id, signal.reason as Error);
    };
    signal.addEventListener("abort", giveUp);
    try {
      await this.#replies.wait(id);
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
    return {
      release: async () => {
        if (this.#channel === null) return; // a new hub knows of no lease
        this.#channel.send({ type: "release", id });
        // Answers kept before the write are invalid when this comes back, or when the hub is gone:
        // a new one begins with that.
        await this.#replies.wait(id).catch(() => {});
      },
    };
  }

  close(): void {
    this.#closed = true;
    this.#watch.stop();
    this.#socket?.end();
    this.#absence.stop();
    this.#saves.failAll("the server is stopping");
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
    const addresses = [...this.#options.addresses()];
    this.#channel.send({ type: "hello", workerId: this.#options.workerId, addresses });
    if (this.#busChannel !== null) this.joinBus(this.#busChannel);
    for (const ticker of this.#tickers) this.#channel.send({ type: "subscribe", id: 0, ticker });
    this.#saves.sendAgain();
    this.#absence.end();
  }

  #watches(ticker: string): boolean {
    return this.#tickers.has(ticker) || this.#tickers.has(ALL_TICKERS);
  }

  async #askToSubscribe(ticker: string): Promise<void> {
    const id = this.#replies.newId();
    this.#sendOrThrow({ type: "subscribe", id, ticker });
    const timer = setTimeout(() => {
      const error = unavailable(`the database's writer did not answer for ${REPLY_TIMEOUT_MS / 1000} s`);
      this.#replies.fail(id, error);
    }, REPLY_TIMEOUT_MS);
    try {
      await this.#replies.wait(id);
    } finally {
      clearTimeout(timer);
    }
  }

  async #ask(build: (id: number) => ToHub): Promise<ReplyToWorker> {
    const id = this.#replies.newId();
    this.#sendOrThrow(build(id));
    return this.#replies.wait(id);
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
      case "admitted":
      case "busFigures":
      case "checkRemoved":
      case "pong":
        this.#replies.receive(message);
        break;
      case "condition":
        this.#options.condition(message.name, message.reason);
        break;
      case "lost":
        this.databaseLost = message.reason;
        break;
      case "removed":
        this.#options.removed(message.ticker);
        break;
      case "missed":
        this.#options.missed();
        break;
      default:
        this.reads.receive(message, attachment);
    }
  }

  #receiveEvent(event: HubEvent): void {
    if (event[0] === 1) this.#options.publish(event[1], event[2]);
    else if (event[0] === 2) this.#options.note(event[1], event[2]);
    else this.#saves.receive(event[1], event[2]);
  }

  #publishOwn(save: Save, outcome: SaveOutcome): void {
    if (!outcome.ok || outcome.seq === null || save.update === undefined || !this.#watches(save.ticker))
      return;
    const type = save.kind === "bars" ? "bar" : save.type;
    this.#options.publish(save.ticker, { seq: outcome.seq, type, frame: save.update.frame });
  }

  #lost(): void {
    if (this.#channel === null) return;
    this.#channel = null;
    this.#socket = null;
    this.databaseLost = null;
    this.#announcements.clear();
    this.#replies.lost();
    this.reads.lost();
    if (this.#closed) return;
    this.#options.log.warning(`Hub went away with ${this.#saves.size} saves unanswered; connecting again`);
    const state = readNote(this.#options.runtimeDir);
    this.#saves.lost(state, this.#watch.isSilent);
    this.#watch.lost();
    this.#absence.begin(() =>
      this.#saves.failAll(`the database's writer has been away for ${HUB_AWAY_MAX_MS / 1000} s`),
    );
    void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    while (!this.#closed && this.#channel === null) {
      // Not at once: a dying hub still takes connections for a moment, and losing it again would
      // use up a repetition.
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
}
