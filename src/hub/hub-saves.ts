/** A worker's unanswered saves: sent in batches, and again to the next hub when one dies. */
import { unavailable } from "../protocol/errors.ts";
import type { Save, SaveOutcome } from "../storage/contract.ts";
import { packFrame } from "../storage/packed-frames.ts";
import { HUB_AWAY_MAX_MS } from "./hub-absence.ts";
import type { SaveEntry, ToHub } from "./messages.ts";
import { sentColumns } from "./sent-columns.ts";
import { SuspectSaves } from "./suspect-saves.ts";
import { TurnBatch } from "./turn-batch.ts";
import type { WriterState } from "./writer-note.ts";

/** Limit for bodies of unanswered saves; beyond it a save gets 503. */
const SAVE_BYTES_IN_FLIGHT_MAX = 256 * 1024 * 1024;
/** A repeated save is harmless, as the log knows its id. But the hubs may be dying of it. */
const REPETITIONS_MAX = 10;
/** Until then every worker has sent its other saves to the new hub. */
const SUSPECTS_LATER_MS = 250;

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
  readonly #outbox = new TurnBatch<[id: number, save: Save]>((saves) => this.#sendBatch(saves, false));
  readonly #suspects = new SuspectSaves();
  readonly #suspectOutbox = new TurnBatch<[id: number, save: Save]>((saves) => this.#sendBatch(saves, true));
  /** Runs while the suspects wait for the other saves. */
  #suspectTimer: Timer | null = null;
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

  /** @throws RequestError 503 too much in flight, or hubs have hung at such a save. */
  check(saves: readonly Save[], bytes: number): void {
    for (const save of saves) {
      const refusal = this.#suspects.refusal(save, performance.now());
      if (refusal === null) continue;
      const { reason, retryAfterS } = refusal;
      throw unavailable(`save: ${reason}; nothing was stored`, { retryAfterS });
    }
    if (this.#bytesInFlight + bytes <= SAVE_BYTES_IN_FLIGHT_MAX || this.#pending.size === 0) return;
    throw unavailable(`save: ${this.#bytesInFlight} bytes of saves wait for the database already; try again`);
  }

  /**
   * @param saves of one group, or one alone. @param bytes of all of them.
   * @param connected false: `sendAgain` sends them.
   */
  add(saves: readonly Save[], bytes: number, connected: boolean): Promise<SaveOutcome>[] {
    const cameMs = performance.now();
    const firstId = this.#nextId;
    const outcomes = saves.map((save) => {
      const { promise, resolve, reject } = Promise.withResolvers<SaveOutcome>();
      const own = bytes / saves.length;
      this.#pending.set(this.#nextId++, { save, bytes: own, cameMs, repetitions: 0, resolve, reject });
      return promise;
    });
    this.#bytesInFlight += bytes;
    if (connected) for (const [index, save] of saves.entries()) this.#post(firstId + index, save);
    return outcomes;
  }

  /** Sends everything unanswered to a new hub. */
  sendAgain(): void {
    this.#suspectTimer = setTimeout(() => {
      this.#suspectTimer = null;
      for (const [id, { save }] of this.#pending) if (this.#isSuspect(save)) this.#post(id, save);
    }, SUSPECTS_LATER_MS);
    for (const [id, { save }] of this.#pending) this.#post(id, save);
  }

  #post(id: number, save: Save): void {
    if (!this.#isSuspect(save)) this.#outbox.push([id, save]);
    else if (this.#suspectTimer === null) this.#suspectOutbox.push([id, save]);
  }

  /** Itself, or one that goes with it. */
  #isSuspect(save: Save): boolean {
    return !this.#suspects.isEmpty && this.#groupOf(save).some((each) => this.#suspects.has(each));
  }

  #groupOf(save: Save): Save[] {
    if (save.together === undefined) return [save];
    return [...this.#pending.values()]
      .map((pending) => pending.save)
      .filter(({ together }) => together === save.together);
  }

  receive(id: number, outcome: SaveOutcome): void {
    const pending = this.#remove(id);
    if (pending === undefined) return;
    this.#suspects.answered(pending.save, performance.now());
    this.#answered(pending.save, outcome);
    pending.resolve(outcome);
  }

  /**
   * Marks saves for the next hub, and gives up on those that were lost too often.
   *
   * @param state what the hub was doing; null: nothing.
   * @param hung it had not answered for a while.
   */
  lost(state: WriterState | null, hung: boolean): void {
    this.#outbox.clear();
    this.#suspectOutbox.clear();
    if (this.#suspectTimer !== null) clearTimeout(this.#suspectTimer);
    this.#suspectTimer = null;
    if (state !== null) this.#suspects.blame(state, hung, performance.now());
    for (const [id, reason] of this.#refused()) this.#fail(id, reason);
    for (const [id, pending] of this.#pending) {
      const inTime = performance.now() - pending.cameMs < HUB_AWAY_MAX_MS;
      if (pending.repetitions < REPETITIONS_MAX && (inTime || pending.repetitions === 0)) {
        pending.repetitions++;
        // The log tells whether the first try was committed; then this one changes nothing.
        if (pending.save.update !== undefined) pending.save.update.repeated = true;
        continue;
      }
      this.#fail(id, `the database's writer went away ${pending.repetitions + 1} times`);
    }
  }

  /** Why saves aren't sent again, as hubs have hung at them or at one that goes with them. */
  #refused(): Map<number, string> {
    const reasons = new Map<number, string>();
    if (this.#suspects.isEmpty) return reasons;
    for (const [id, { save }] of this.#pending)
      for (const each of this.#groupOf(save)) {
        const refusal = this.#suspects.refusal(each, performance.now());
        if (refusal !== null) reasons.set(id, refusal.reason);
      }
    return reasons;
  }

  failAll(reason: string): void {
    for (const id of [...this.#pending.keys()]) this.#fail(id, reason);
  }

  #sendBatch(saves: [id: number, save: Save][], alone: boolean): void {
    const frames: string[] = [];
    const columnBytes: Uint8Array[] = [];
    const entries = saves.map(([id, save]): SaveEntry => {
      const { update } = save;
      const frame = packFrame(update?.frame ?? "");
      frames.push(frame);
      const told = update === undefined ? save : { ...save, update: { ...update, frame: "" } };
      if (told.kind !== "ticks" || told.columns === undefined) return [id, told, frame.length];
      const { told: columns, bytes } = sentColumns(told.columns);
      columnBytes.push(...bytes);
      return [id, { ...told, rows: [], columns: undefined }, frame.length, columns];
    });
    const text = Buffer.from(frames.join(""), "utf8");
    const bytes = columnBytes.length === 0 ? text : Buffer.concat([text, ...columnBytes]);
    this.#send({ type: "saves", saves: entries, alone, frameBytes: text.length }, bytes);
  }

  #fail(id: number, reason: string): void {
    this.#remove(id)?.reject(
      unavailable(`save: ${reason}; whether it was stored is unknown`, {
        hint: "a save can be repeated without harm",
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
