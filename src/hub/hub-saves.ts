/** A worker's saves that the hub has not answered: sent in batches, and again to the next hub when one dies with them. */
import { RequestError, unavailable } from "../protocol/errors.ts";
import type { Save, SaveOutcome } from "../storage/contract.ts";
import { HUB_AWAY_MAX_MS } from "./hub-absence.ts";
import type { SaveEntry, ToHub } from "./messages.ts";
import { TurnBatch } from "./turn-batch.ts";

/** Bodies of saves that the hub has not answered; beyond it a save gets 503. */
const SAVE_BYTES_IN_FLIGHT_MAX = 256 * 1024 * 1024;
/** The log knows a save that was committed before, so it can be sent to one hub after the other. But hubs may be dying of it. */
const REPETITIONS_MAX = 10;

interface PendingSave {
  save: Save;
  bytes: number;
  cameMs: number;
  repetitions: number;
  resolve(outcome: SaveOutcome): void;
  reject(error: Error): void;
}

export class HubSaves {
  readonly #send: (message: ToHub, attachment: Buffer) => void;
  readonly #answered: (save: Save, outcome: SaveOutcome) => void;
  readonly #pending = new Map<number, PendingSave>();
  readonly #outbox = new TurnBatch<[id: number, save: Save]>((saves) => this.#sendBatch(saves));
  #bytesInFlight = 0;
  #nextId = 1;

  /** @param answered called with each outcome, before its save is answered. */
  constructor(
    send: (message: ToHub, attachment: Buffer) => void,
    answered: (save: Save, outcome: SaveOutcome) => void,
  ) {
    this.#send = send;
    this.#answered = answered;
  }

  get size(): number {
    return this.#pending.size;
  }

  get bytesInFlight(): number {
    return this.#bytesInFlight;
  }

  /** @throws RequestError 503 too much in flight. */
  checkRoom(bytes: number): void {
    if (this.#bytesInFlight + bytes <= SAVE_BYTES_IN_FLIGHT_MAX || this.#pending.size === 0) return;
    throw unavailable(`save: ${this.#bytesInFlight} bytes of saves wait for the database already; try again`);
  }

  /** @param connected false: it goes out with `sendAgain`. */
  add(save: Save, bytes: number, connected: boolean): Promise<SaveOutcome> {
    const { promise, resolve, reject } = Promise.withResolvers<SaveOutcome>();
    const id = this.#nextId++;
    this.#pending.set(id, { save, bytes, cameMs: performance.now(), repetitions: 0, resolve, reject });
    this.#bytesInFlight += bytes;
    if (connected) this.#outbox.push([id, save]);
    return promise;
  }

  /** Everything that is unanswered, to a hub that is new. */
  sendAgain(): void {
    for (const [id, { save }] of this.#pending) this.#outbox.push([id, save]);
  }

  receive(id: number, outcome: SaveOutcome): void {
    const pending = this.#remove(id);
    if (pending === undefined) return;
    this.#answered(pending.save, outcome);
    pending.resolve(outcome);
  }

  /** Marks what goes to the next hub, and gives up on what has been lost too often. */
  lost(): void {
    this.#outbox.clear();
    for (const [id, pending] of this.#pending) {
      const inTime = performance.now() - pending.cameMs < HUB_AWAY_MAX_MS;
      if (pending.repetitions < REPETITIONS_MAX && (inTime || pending.repetitions === 0)) {
        pending.repetitions++;
        // The log tells whether the first try was committed: then this one changes nothing.
        if (pending.save.update !== undefined) pending.save.update.repeated = true;
        continue;
      }
      this.#fail(id, `the database's writer went away ${pending.repetitions + 1} times`);
    }
  }

  failAll(reason: string): void {
    for (const id of [...this.#pending.keys()]) this.#fail(id, reason);
  }

  #sendBatch(saves: [id: number, save: Save][]): void {
    const frames: string[] = [];
    const entries = saves.map(([id, save]): SaveEntry => {
      const { update } = save;
      if (update === undefined) return [id, save, 0];
      frames.push(update.frame);
      return [id, { ...save, update: { ...update, frame: "" } }, update.frame.length];
    });
    this.#send({ type: "saves", saves: entries }, Buffer.from(frames.join(""), "utf8"));
  }

  #fail(id: number, reason: string): void {
    this.#remove(id)?.reject(
      new RequestError(503, `save: ${reason}; whether it was stored is unknown`, {
        hint: "a save can be repeated without harm",
        retryAfterS: 1,
      }),
    );
  }

  #remove(id: number): PendingSave | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    this.#bytesInFlight -= pending.bytes;
    return pending;
  }
}
