/**
 * A worker's end of the hub's socket. Saves of one turn of the event loop travel as one message.
 * When the hub is restarted, the client reconnects, subscribes again, and repeats unanswered saves.
 */
import { join } from "node:path";
import type { Socket } from "bun";
import type { BusFigures } from "../bus/bus.ts";
import type { FeedsCounted, FeedsTold } from "../feeds/feed.ts";
import type { ConditionName, Conditions } from "../observe/conditions.ts";
import type { LogLines } from "../observe/log.ts";
import { unavailable } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { Edit, Edited, EditOutcome, Save, SaveOutcome } from "../storage/contract.ts";
import { unpackFrame } from "../storage/packed-frames.ts";
import type { Update } from "../storage/update-contract.ts";
import { updateOf } from "../storage/update-contract.ts";
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
/** Limit for a reply to a subscription; a hub answers at once. */
const REPLY_TIMEOUT_MS = 10_000;
/** Hubs that may go away under an edit before it is given up: they may be dying of it. */
const EDIT_LOSSES_MAX = 2;
const ADMISSION_WAIT_MS = 1_000;

export interface HubClientOptions {
  runtimeDir: string;
  workerId: number;
  log: LogLines;
  /** Called for each update of a watched ticker, own saves included; usually in commit order. */
  publish(ticker: string, update: Update): void;
  /** Another server has committed an update of this position. */
  note(ticker: string, position: number): void;
  /** The hub's state is the worker's too: see observe/conditions.ts. */
  condition(name: ConditionName, reason: string | null): void;
  /** What is known of feeds, as the hub has told it, for the next one. */
  knownFeeds(): FeedsTold;
  feeds(told: FeedsTold): void;
  /** The ticker of a check was removed from the database. */
  removed(ticker: string): void;
  /** Updates of any ticker may have been missed, as the hub or the bus was lost and is back. */
  missed(): void;
  /** --liveness-timeout: after so long its starter kills a silent hub. */
  livenessMs: number;
  conditions: Pick<Conditions, "begin" | "end">;
  /** WebSockets of this worker, by who has them. */
  sockets(): Iterable<[holder: string, count: number]>;
}

export class HubClient {
  readonly #options: HubClientOptions;
  readonly #path: string;
  #socket: Socket<undefined> | null = null;
  #channel: MessageChannel<ToHub, ToWorker> | null = null;
  /** Reads that are left to the hub. */
  readonly reads: HubReads;
  readonly #saves: HubSaves;
  readonly #replies = new HubReplies<ReplyToWorker>();
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

  /** Resolves when the hub is there, has been lost for too long, or the client is closed. */
  async present(): Promise<void> {
    if (this.#channel !== null || this.#closed) return;
    await this.#absence.over();
  }

  /** How long the hub takes to answer; null: there is none. */
  get lagMs(): number | null {
    return this.connected ? this.#watch.lagMs : null;
  }

  /** Bytes of unanswered saves. */
  get saveBytesInFlight(): number {
    return this.#saves.bytesInFlight;
  }

  /**
   * Resolves when the save is committed and its update published here, or when the database refuses
   * the save (see SaveOutcome).
   *
   * @param bytes size of the request, for the limit on unanswered saves.
   * @throws RequestError 503 too much unanswered; or no hub came back, then the outcome is unknown.
   */
  save(save: Save, bytes: number): Promise<SaveOutcome> {
    return this.saveTogether([save], bytes)[0]!;
  }

  /** As `save`. @param saves of one group, or one alone. @param bytes of all of them. */
  saveTogether(saves: readonly Save[], bytes: number): Promise<SaveOutcome>[] {
    this.#saves.check(saves, bytes);
    if (this.#absence.isTooLong) throw unavailable("save: the database's writer is away; nothing was stored");
    return this.#saves.add(saves, bytes, this.#channel !== null);
  }

  /** Tells all workers' subscribers of the ticker of an update that this worker has committed. */
  announce(ticker: string, update: Update): void {
    if (this.#watches(ticker)) this.#options.publish(ticker, update);
    // Without a hub, the other workers find the update in the database later.
    if (this.#channel !== null) this.#announcements.push([ticker, update]);
  }

  /**
   * Whether the holder, an address or a key, may have one more WebSocket; it then counts until
   * `left`.
   * @param max of all workers.
   */
  async admit(holder: string, max: number): Promise<boolean> {
    // Admits without an answer: a restarted hub must not turn reconnecting clients away.
    const asked = this.#ask((id) => ({ type: "admit", id, holder, max })).catch(() => null);
    const reply = await within(asked, ADMISSION_WAIT_MS, () => null);
    if (reply !== null) return isAdmitted(reply);
    // It came in meanwhile, whatever a hub says that hung.
    void asked.then((late) => {
      if (!isAdmitted(late)) this.#channel?.send({ type: "entered", holder });
    });
    return true;
  }

  /** Nothing is heard of it while the hub is away: see `connected`. */
  tellFeeds(counted: FeedsCounted): void {
    this.#channel?.send({ type: "feeds", counted });
  }

  left(holder: string): void {
    this.#channel?.send({ type: "left", holder });
  }

  /**
   * Resolves when the edit is made and its updates published here, or when it is refused.
   *
   * @throws RequestError 503 no hub came back, or two went away under it.
   */
  async edit(edit: Edit): Promise<EditOutcome> {
    for (let lost = 0; ; lost++) {
      await this.present();
      try {
        const reply = await this.#ask((id) => ({ type: "edit", id, edit }));
        if (reply.type !== "edited") throw new Error(`the hub has answered an edit with ${reply.type}`);
        if (reply.outcome.ok) this.#publishEdited(reply.outcome);
        return reply.outcome;
      } catch (error) {
        if (lost === EDIT_LOSSES_MAX || this.#closed)
          throw unavailable(`edit: ${messageOf(error)}; whether it was done is unknown`);
        // The log tells whether the first try was committed.
        edit.identity.repeated = true;
      }
    }
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
   * Resolves when every later commit to the ticker, or to ALL_TICKERS, is published here. Waits for
   * a hub that is being restarted.
   *
   * @throws RequestError 503 the hub was lost for HUB_AWAY_MAX_MS.
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
   * Waits its turn, then keeps the hub from committing until released, or until the lease times
   * out.
   *
   * @throws RequestError 503 the hub is lost. Rejects when the signal aborts, and then holds
   *   nothing.
   */
  async acquire(signal: AbortSignal): Promise<{ release(): Promise<void> }> {
    const id = this.#replies.newId();
    this.#sendOrThrow({ type: "lease", id });
    const giveUp = (): void => {
      // Correct even if it was granted meanwhile: the hub handles both cases.
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
        // The answer means that kept answers from before the write are invalid. So does a lost hub,
        // as a new one begins by invalidating all.
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
    const sockets = [...this.#options.sockets()];
    const feeds = this.#options.knownFeeds();
    this.#channel.send({ type: "hello", workerId: this.#options.workerId, sockets, feeds });
    if (this.#busChannel !== null) this.joinBus(this.#busChannel);
    for (const ticker of this.#tickers) this.#channel.send({ type: "subscribe", id: 0, ticker });
    this.#saves.sendAgain();
    this.#absence.end();
  }

  #watches(ticker: string): boolean {
    return this.#tickers.has(ticker) || this.#tickers.has(ALL_TICKERS);
  }

  async #askToSubscribe(ticker: string): Promise<void> {
    const asked = this.#ask((id) => ({ type: "subscribe", id, ticker }));
    await within(asked, REPLY_TIMEOUT_MS, () => {
      throw unavailable(`the database's writer did not answer for ${REPLY_TIMEOUT_MS / 1000} s`);
    });
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
      case "edited":
      case "pong":
        this.#replies.receive(message.id, message);
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
      case "feeds":
        this.#options.feeds(message.told);
        break;
      default:
        this.reads.receive(message, attachment);
    }
  }

  #receiveEvent(event: HubEvent): void {
    if (event[0] === 1) {
      const [, ticker, update] = event;
      this.#options.publish(ticker, { ...update, frame: unpackFrame(update.frame) });
    } else if (event[0] === 2) this.#options.note(event[1], event[2]);
    else this.#saves.receive(event[1], event[2]);
  }

  #publishOwn(save: Save, outcome: SaveOutcome): void {
    const update = outcome.ok && this.#watches(save.ticker) ? updateOf(save, outcome) : null;
    if (update !== null) this.#options.publish(save.ticker, update);
  }

  #publishEdited({ updates }: Edited): void {
    for (const { ticker, update } of updates)
      if (this.#watches(ticker)) this.#options.publish(ticker, update);
  }

  #lost(): void {
    if (this.#channel === null) return;
    this.#channel = null;
    this.#socket = null;
    this.databaseLost = null;
    this.#announcements.clear();
    this.#replies.failAll(unavailable("the database's writer went away"));
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
      // A dying hub still accepts connections for a moment; losing that one would use up a
      // repetition.
      await Bun.sleep(RECONNECT_MS);
      try {
        await this.#open();
      } catch {
        continue; // the socket comes back with the next hub
      }
      this.#options.log.info("Connected to the hub again");
      const [watched] = this.#tickers;
      // Confirms all subscriptions: replies come in the order of requests.
      if (watched !== undefined) await this.subscribe(watched).catch(() => null);
      this.#options.missed();
    }
  }
}

/** @param reply null: the hub went away. */
function isAdmitted(reply: ReplyToWorker | null): boolean {
  return reply?.type !== "admitted" || reply.admitted;
}
