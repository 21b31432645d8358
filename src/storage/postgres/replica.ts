/** One replica: whether it may answer, how far it is behind, and connections that are level. */
import { RequestError } from "../../protocol/errors.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { within } from "../../time/within.ts";
import type { ReplicaFigures } from "../contract.ts";
import { failureOf, NoAnswerError } from "./errors.ts";
import type { Lease, PostgresPool, Use } from "./pool.ts";
import { isLevel, type PrimaryPlace, placeOfReplica, type ReplicaPlace, unfitness } from "./wal-place.ts";

/** It is looked at as often. */
export const LOOK_PAUSE_MS = 1_000;
/** What a look may take, beside opening a connection. */
const LOOK_MAX_MS = 3_000;
/** What one of a read that waits may take at least, however small the bound is. */
const LOOK_OF_READ_MS = 250;
/** Between two of these, at most. */
const WAIT_PAUSE_MAX_MS = 50;
/** Places of the primary that are kept until they are replayed. */
const LACKS_MAX = 1_000;
const PAUSED = "its replay is paused";
const NOT_LOOKED = "it was not looked at yet";

export interface ReplicaOptions {
  /** For logs and figures, without a password. */
  name: string;
  maxLagMs: number;
  /** @throws it can't be reached, or not be used. */
  open(): Promise<PostgresPool>;
  /** Called when it changes. @param reason why it is left out; null: it is used. */
  onState(reason: string | null): void;
}

export class Replica {
  readonly #options: ReplicaOptions;
  #pool: PostgresPool | null = null;
  #reason: string | null = NOT_LOOKED;
  /** What the primary had at looks, and the replica has not; the oldest first. */
  #lacks: Pick<PrimaryPlace, "lsn" | "askedAtMs">[] = [];
  #behindBytes: number | null = null;
  #reads = 0;
  #closed = false;

  constructor(options: ReplicaOptions) {
    this.#options = options;
  }

  get isUsed(): boolean {
    return this.#reason === null;
  }

  figures(): ReplicaFigures {
    const isKnown = this.#behindBytes !== null;
    return {
      replica: this.#options.name,
      used: this.isUsed,
      reason: this.#reason,
      lag_seconds: isKnown ? this.#lagMs() / 1_000 : null,
      behind_bytes: this.#behindBytes,
      reads: this.#reads,
    };
  }

  /** @returns whether it is level; null: that isn't known. Never fails. */
  async look(primary: PrimaryPlace): Promise<boolean | null> {
    try {
      this.#pool ??= await this.#options.open();
      if (this.#closed) await this.#pool.close();
      const lease = await this.#pool.acquire("shared");
      let place: ReplicaPlace | null = null;
      try {
        place = await within(placeOfReplica(lease.connection), LOOK_MAX_MS, noAnswer);
      } finally {
        lease.release(place === null);
      }
      this.#judge(place, primary);
      return isLevel(place, primary);
    } catch (error) {
      this.#setReason(reasonOf(error));
      return null;
    }
  }

  /**
   * A connection that is as far as `primary`, for a read that begins behind that. It waits for that
   * as long as the replica may be behind.
   *
   * @returns null: there is none. @throws the reason of the signal.
   */
  async take(use: Use, primary: PrimaryPlace, signal: AbortSignal | undefined): Promise<Lease | null> {
    const pool = this.#pool;
    if (pool === null) return null;
    const endMs = primary.askedAtMs + this.#options.maxLagMs;
    const leftMs = (): number => Math.max(0, endMs - performance.now());
    let lease: Lease | null = null;
    let isSound = false;
    try {
      lease = await inTime(pool.acquire(use, signal), leftMs());
      if (lease === null) return null;
      for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, WAIT_PAUSE_MAX_MS)) {
        isSound = false;
        const place = await within(
          placeOfReplica(lease.connection),
          Math.max(LOOK_OF_READ_MS, leftMs()),
          noAnswer,
        );
        isSound = true;
        signal?.throwIfAborted();
        const reason = unfitness(place, primary);
        if (reason !== null) this.#setReason(reason);
        else if (isLevel(place, primary)) {
          const taken = lease;
          lease = null;
          this.#reads++;
          return taken;
        } else if (place.paused) {
          this.#setReason(PAUSED);
        } else if (leftMs() > 0) {
          await Bun.sleep(Math.min(pauseMs, leftMs()));
          continue;
        } else {
          this.#note(place, primary);
          this.#setReason(this.#lagging(performance.now() - primary.askedAtMs));
        }
        return null;
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (pool.figures().connected === false) this.#setReason(reasonOf(error));
      else this.noteFailure(error);
      return null;
    } finally {
      lease?.release(!isSound);
    }
  }

  leaveOut(reason: string): void {
    this.#setReason(reason);
  }

  /** A read on it has failed. */
  noteFailure(error: unknown): void {
    const kind = failureOf(error)?.kind;
    if (kind === "lost" || kind === "away") this.#setReason(reasonOf(error));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#pool?.close();
  }

  #judge(place: ReplicaPlace, primary: PrimaryPlace): void {
    this.#note(place, primary);
    const { maxLagMs } = this.#options;
    const lagMs = this.#lagMs();
    const unfit = unfitness(place, primary);
    if (unfit !== null) this.#setReason(unfit);
    else if (place.paused) this.#setReason(PAUSED);
    // One that was left out has to be well within the bound, so that it doesn't come and go.
    else if (lagMs > (this.isUsed ? maxLagMs : maxLagMs / 2)) this.#setReason(this.#lagging(lagMs));
    else this.#setReason(null);
  }

  #note(place: ReplicaPlace, { lsn, askedAtMs }: PrimaryPlace): void {
    const replayed = place.lsn ?? 0n;
    this.#lacks.push({ lsn, askedAtMs });
    this.#lacks = this.#lacks
      .filter((lack) => lack.lsn > replayed)
      .sort((one, other) => one.askedAtMs - other.askedAtMs);
    // The oldest tells the lag.
    if (this.#lacks.length > LACKS_MAX) this.#lacks.splice(1, 1);
    this.#behindBytes = Math.max(0, Number(lsn - replayed));
  }

  /**
   * How long it has lacked something. The time of the last transaction that it has replayed would
   * grow while there is nothing to replay.
   */
  #lagMs(): number {
    const oldest = this.#lacks[0];
    return oldest === undefined ? 0 : performance.now() - oldest.askedAtMs;
  }

  #lagging(lagMs: number): string {
    const [lag, bound] = [lagMs, this.#options.maxLagMs].map((ms) => (ms / 1_000).toFixed(2));
    return `it is ${lag} s behind, more than --replica-max-lag allows (${bound} s)`;
  }

  #setReason(reason: string | null): void {
    const before = this.#reason;
    this.#reason = reason;
    // While it is left out, only the first reason is told.
    if (this.#closed || (before !== NOT_LOOKED && (before === null) === (reason === null))) return;
    this.#options.onState(reason);
  }
}

/** @returns null after the time; what comes later is given back. */
async function inTime(acquired: Promise<Lease>, ms: number): Promise<Lease | null> {
  let isLate = false;
  const given = acquired.then((lease) => {
    if (isLate) lease.release();
    return lease;
  });
  // Whoever waits no longer doesn't hear of it.
  given.catch(() => {});
  return await within(given, ms, () => {
    isLate = true;
    return null;
  });
}

function noAnswer(): never {
  throw new NoAnswerError("it gave no answer in time");
}

function reasonOf(error: unknown): string {
  const failure = failureOf(error);
  if (failure !== null) return `${failure.message} (${failure.code})`;
  return error instanceof RequestError ? (error.details ?? error.message) : messageOf(error);
}
