/**
 * The connections of one worker. Small reads share connections, a few on each; a save, a stream and
 * a user's statement have one to themselves. Who finds none free waits in order, for a bounded
 * time.
 */
import { RequestError, unavailable } from "../../protocol/errors.ts";
import type { PoolFigures } from "../contract.ts";
import { type ConnectionOptions, PostgresConnection } from "./connection.ts";
import { failureOf, isOutOfConnections, isServerState, requestErrorOf } from "./postgres-errors.ts";

/** Small reads under way on one connection: while one is being answered, the next is on its way. */
const SHARERS_MAX = 4;
/** Connections that streams and users' statements, which may take minutes, leave to the others. */
const KEPT_FOR_SHORT = 2;
/**
 * Of what these may take, each leaves so many to the other, where there are more than two: whoever
 * reads rows slowly doesn't keep SQL waiting. With two, a slow statement would hold up all others.
 */
const KEPT_FOR_OTHER_LONG = 1;
const CONNECTIONS_MIN = 2;
const WAITING_SHORT_MAX = 2_000;
const WAITING_LONG_MAX = 100;
const WAIT_SHORT_MS = 5_000;
const WAIT_LONG_MS = 10_000;
/** A connection that nothing has used for this long is closed, all but one. */
const IDLE_MAX_MS = 5 * 60_000;
/** An older one is replaced, so that changed settings, addresses and passwords come into use. */
const AGE_MAX_MS = 30 * 60_000;
const SWEEP_MS = 10_000;
/** Room that PostgreSQL has refused counts as none for so long. */
const REFUSAL_COUNTS_MS = 5_000;
/** How long closing waits for what runs. */
const CLOSE_WAIT_MS = 2_000;

/**
 * - `shared`: one small read, one statement.
 * - `short`: a connection of one's own for a moment.
 * - `stream`, `sql`: for as long as it takes, of many rows or of a user's statement; never takes
 *   the last connections.
 */
export type Use = "shared" | "short" | LongUse;
type LongUse = "stream" | "sql";

export interface Lease {
  readonly connection: PostgresConnection;
  /**
   * Puts a new connection in the place of this one, for a use that leaves things behind in its
   * session: text results only, and closed when it is given back.
   */
  renew(): Promise<PostgresConnection>;
  /** Gives it back, once. @param discard true: something may still be going on in it. */
  release(discard?: boolean): void;
}

interface Member {
  connection: PostgresConnection;
  sharers: number;
  /** null: nobody has it to themselves. */
  owner: "short" | LongUse | null;
  idleSinceMs: number;
  /** The next one to give it back closes it. */
  unwanted: boolean;
}

interface Waiter {
  use: Use;
  resolve(lease: Lease): void;
  reject(error: unknown): void;
  /** PostgreSQL takes no further connection: only one that comes free will do. */
  openNone: boolean;
}

export interface PostgresPoolOptions extends ConnectionOptions {
  size: number;
  /**
   * A statement of the server's own failed because of the state that the database is in; see
   * `isServerState`.
   */
  onBroken?(reason: string): void;
  /** For tests. */
  limits?: Partial<PoolLimits>;
}

export interface PoolLimits {
  waitShortMs: number;
  waitLongMs: number;
  idleMaxMs: number;
  ageMaxMs: number;
  sweepMs: number;
}

export class PostgresPool {
  readonly #options: ConnectionOptions;
  readonly #limits: PoolLimits;
  readonly #size: number;
  /** Of both kinds of long use together, and of each. */
  readonly #longMax: number;
  readonly #longMaxEach: number;
  readonly #members = new Set<Member>();
  #opening = 0;
  #opened = 0;
  readonly #openingLong = { stream: 0, sql: 0 };
  #stale = 0;
  /** Why the newest connection broke or could not be had; null: it is there. */
  #trouble: { reason: string; sinceMs: number } | null = null;
  #silence: string | null = null;
  /** In order of arrival; those of long use apart, since others may overtake them. */
  readonly #waiting = { short: [] as Waiter[], stream: [] as Waiter[], sql: [] as Waiter[] };
  readonly #sweeper: Timer;
  readonly #onBroken: (reason: string) => void;
  #closed = false;

  constructor({ size, limits, onBroken = () => {}, ...options }: PostgresPoolOptions) {
    this.#onBroken = onBroken;
    this.#options = options;
    this.#size = Math.max(CONNECTIONS_MIN, size);
    this.#longMax = Math.max(1, this.#size - KEPT_FOR_SHORT);
    this.#longMaxEach = this.#longMax > 2 ? this.#longMax - KEPT_FOR_OTHER_LONG : this.#longMax;
    this.#limits = {
      waitShortMs: WAIT_SHORT_MS,
      waitLongMs: WAIT_LONG_MS,
      idleMaxMs: IDLE_MAX_MS,
      ageMaxMs: AGE_MAX_MS,
      sweepMs: SWEEP_MS,
      ...limits,
    };
    this.#sweeper = setInterval(() => this.#sweep(), this.#limits.sweepMs);
    this.#sweeper.unref();
  }

  /** Connections so far: grows when one may lead to another server than the one before. */
  get opened(): number {
    return this.#opened;
  }

  /** Whether another pool stands between this one and the database; see ConnectionOptions. */
  get pooled(): boolean {
    return this.#options.pooled;
  }

  /**
   * @param signal gives up waiting, with its reason.
   * @throws RequestError 503 no connection in time, too many wait, or the database is away.
   */
  acquire(use: Use, signal?: AbortSignal): Promise<Lease> {
    if (this.#closed) return Promise.reject(unavailable("the database's connections are closed"));
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<Lease>();
    const waiting = this.#waiting[isLong(use) ? use : "short"];
    let settled = false;
    const giveUp = (error: unknown): void => {
      settled = true;
      remove(waiting, waiter);
      reject(error);
    };
    const waiter: Waiter = {
      use,
      openNone: false,
      resolve: (lease) => {
        // A connection was being opened for it, and came too late.
        if (settled) lease.release();
        settled = true;
        resolve(lease);
      },
      reject: giveUp,
    };
    waiting.push(waiter);
    this.#serve();
    // What nothing stood in the way of pays for no timer.
    if (!waiting.includes(waiter)) return promise;

    const waitingMax = isLong(use) ? WAITING_LONG_MAX : WAITING_SHORT_MAX;
    if (waiting.length > waitingMax) {
      giveUp(
        unavailable(`all ${this.#size} database connections are in use and ${waitingMax} requests wait`),
      );
      return promise;
    }
    const waitMs = isLong(use) ? this.#limits.waitLongMs : this.#limits.waitShortMs;
    const timer = setTimeout(
      () =>
        giveUp(unavailable(`all ${this.#size} database connections stayed in use for ${waitMs / 1_000} s`)),
      waitMs,
    );
    const abort = (): void => giveUp(signal?.reason);
    signal?.addEventListener("abort", abort);
    return promise.finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    });
  }

  /** As of the last use; where that left no connection, see `lookForDatabase`. */
  figures(): PoolFigures {
    let active = this.#opening;
    for (const member of this.#members) if (!isFree(member)) active++;
    const free = this.#members.size + this.#opening - active;
    const room = this.#size - this.#members.size - this.#opening;
    return {
      pool_enabled: true,
      pool_max_size: this.#size,
      available_connections: free + (this.#mayOpen() ? room : 0),
      active_connections: active,
      stale_connections: this.#stale,
      waiting_requests: Object.values(this.#waiting).reduce((sum, { length }) => sum + length, 0),
      connected: this.#silence === null && (this.#members.size > 0 || this.#trouble === null),
      last_error: this.#silence ?? this.#trouble?.reason ?? null,
    };
  }

  /** Tells `onBroken`, if that is what it was. */
  noteFailure(error: unknown): void {
    const failure = failureOf(error);
    if (failure !== null && isServerState(error)) this.#onBroken(`${failure.message} (${failure.code})`);
  }

  /**
   * Every connection is replaced, as soon as it is free: its settings are no longer those of the
   * database.
   */
  renewAll(): void {
    for (const member of this.#members) {
      this.#stale++;
      member.unwanted = true;
      if (isFree(member)) this.#drop(member);
    }
    this.#serve();
  }

  /**
   * @param reason the connections are there, and the database doesn't answer; null: it does again.
   */
  noteSilence(reason: string | null): void {
    this.#silence = reason;
  }

  /** Where no connection is left: tries for one, so that the next figures know. Never fails. */
  async lookForDatabase(): Promise<void> {
    if (this.#members.size + this.#opening > 0 || this.#closed) return;
    try {
      (await this.acquire("shared")).release();
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
    }
  }

  /** Waits a moment for what runs; then it fails. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#sweeper);
    for (const waiting of Object.values(this.#waiting)) {
      for (const { reject } of waiting.splice(0)) reject(unavailable("the server is stopping"));
    }
    const deadline = performance.now() + CLOSE_WAIT_MS;
    for (const member of this.#members) member.unwanted = true;
    for (const member of this.#members) if (isFree(member)) this.#drop(member);
    while (this.#members.size + this.#opening > 0 && performance.now() < deadline) await Bun.sleep(5);
    await Promise.all([...this.#members].map((member) => member.connection.close()));
    this.#members.clear();
  }

  #serve(): void {
    const { short, stream, sql } = this.#waiting;
    while (short.length > 0 && this.#serveFirst(short)) {}
    for (const waiting of [sql, stream]) {
      while (waiting.length > 0 && this.#mayTakeLong(waiting === sql ? "sql" : "stream")) {
        if (!this.#serveFirst(waiting)) return;
      }
    }
  }

  /** @returns false when there is nothing for it now. */
  #serveFirst(waiting: Waiter[]): boolean {
    const waiter = waiting[0]!;
    const member = this.#pick(waiter);
    if (member !== null) {
      waiting.shift();
      waiter.resolve(this.#lend(member, waiter.use));
      return true;
    }
    if (waiter.openNone || this.#members.size + this.#opening >= this.#size) return false;
    waiting.shift();
    void this.#openFor(waiter, waiting);
    return true;
  }

  /** The one used last, so that those in excess grow idle and are closed. */
  #pick({ use, openNone }: Waiter): Member | null {
    let shareable: Member | null = null;
    let free: Member | null = null;
    for (const member of this.#members) {
      if (member.unwanted) continue;
      if (isFree(member)) free = member;
      else if (member.owner === null && member.sharers < (shareable?.sharers ?? SHARERS_MAX))
        shareable = member;
    }
    if (free !== null || use !== "shared") return free;
    const mayOpen = !openNone && this.#members.size + this.#opening < this.#size;
    return mayOpen ? null : shareable;
  }

  async #openFor(waiter: Waiter, waiting: Waiter[]): Promise<void> {
    this.#opening++;
    if (isLong(waiter.use)) this.#openingLong[waiter.use]++;
    let connection: PostgresConnection;
    try {
      connection = await PostgresConnection.open(this.#options);
    } catch (error) {
      this.#opening--;
      if (isLong(waiter.use)) this.#openingLong[waiter.use]--;
      this.#noteTrouble(error);
      if (isOutOfConnections(error) && this.#members.size > 0 && !this.#closed) {
        this.#waitAgain(waiter, waiting, error);
      } else {
        waiter.reject(requestErrorOf(error, "connect"));
      }
      this.#serve();
      return;
    }
    this.#opening--;
    this.#opened++;
    this.#trouble = null;
    if (isLong(waiter.use)) this.#openingLong[waiter.use]--;
    const member: Member = {
      connection,
      sharers: 0,
      owner: null,
      idleSinceMs: performance.now(),
      unwanted: this.#closed,
    };
    this.#members.add(member);
    connection.onLost = () => this.#onLost(member);
    waiter.resolve(this.#lend(member, waiter.use));
    this.#serve();
  }

  /**
   * PostgreSQL has no more connections to give, but some are here: one of them comes free in time,
   * or not.
   */
  #waitAgain(waiter: Waiter, waiting: Waiter[], error: unknown): void {
    const again: Waiter = { ...waiter, openNone: true };
    const timer = setTimeout(() => {
      remove(waiting, again);
      waiter.reject(requestErrorOf(error, "connect"));
    }, this.#limits.waitShortMs);
    again.resolve = (lease) => {
      clearTimeout(timer);
      waiter.resolve(lease);
    };
    again.reject = (reason) => {
      clearTimeout(timer);
      waiter.reject(reason);
    };
    waiting.unshift(again);
  }

  #lend(member: Member, use: Use): Lease {
    if (use === "shared") member.sharers++;
    else member.owner = use;
    let released = false;
    return {
      get connection() {
        return member.connection;
      },
      renew: async () => {
        const before = member.connection;
        before.onLost = null;
        member.unwanted = true;
        await before.close();
        member.connection = await PostgresConnection.open(this.#options, { prepare: false });
        return member.connection;
      },
      release: (discard = false) => {
        if (released) return;
        released = true;
        if (use === "shared") member.sharers--;
        else member.owner = null;
        member.unwanted ||= discard;
        member.idleSinceMs = performance.now();
        if (isFree(member) && (member.unwanted || member.connection.lost !== null)) this.#drop(member);
        this.#serve();
      },
    };
  }

  /**
   * Its neighbours have probably died with it: the free ones are given up, so that a repetition
   * doesn't meet another.
   */
  #onLost(member: Member): void {
    this.#stale++;
    this.#noteTrouble(member.connection.lost);
    member.unwanted = true;
    if (isFree(member)) this.#members.delete(member);
    for (const other of this.#members) {
      if (other === member || !isFree(other)) continue;
      this.#stale++;
      this.#drop(other);
    }
    this.#serve();
  }

  #drop(member: Member): void {
    this.#members.delete(member);
    member.connection.onLost = null;
    // Nobody uses it any more: how its end goes is of no interest.
    member.connection.close().catch(() => undefined);
  }

  #noteTrouble(error: unknown): void {
    const failure = failureOf(error);
    const reason = failure === null ? String(error) : `${failure.message} (${failure.code})`;
    this.#trouble = { reason, sinceMs: performance.now() };
  }

  /** Whether another connection is likely to be had. */
  #mayOpen(): boolean {
    if (this.#trouble === null) return true;
    return this.#members.size > 0 && performance.now() - this.#trouble.sinceMs > REFUSAL_COUNTS_MS;
  }

  #sweep(): void {
    const now = performance.now();
    for (const member of this.#members) {
      const tooOld = now - member.connection.openedAtMs > this.#limits.ageMaxMs;
      if (tooOld && !member.unwanted) {
        this.#stale++;
        member.unwanted = true;
      }
      const isIdle = now - member.idleSinceMs > this.#limits.idleMaxMs && this.#members.size > 1;
      if (isFree(member) && (member.unwanted || isIdle)) this.#drop(member);
    }
    this.#serve();
  }

  #mayTakeLong(use: LongUse): boolean {
    const inUse = { ...this.#openingLong };
    for (const { owner } of this.#members) if (owner !== null && isLong(owner)) inUse[owner]++;
    return inUse.stream + inUse.sql < this.#longMax && inUse[use] < this.#longMaxEach;
  }
}

function isLong(use: Use): use is LongUse {
  return use === "stream" || use === "sql";
}

function isFree(member: Member): boolean {
  return member.sharers === 0 && member.owner === null;
}

function remove(waiting: Waiter[], waiter: Waiter): void {
  const at = waiting.indexOf(waiter);
  if (at >= 0) waiting.splice(at, 1);
}
