/**
 * Holds the connections of one worker: small reads share one; a save, a stream and a user's
 * statement each have their own. DESIGN.md, "Pool", has the reasons.
 */
import { RequestError, unavailable } from "../../protocol/errors.ts";
import type { PoolFigures } from "../contract.ts";
import { WaitingLine } from "../waiting-line.ts";
import { type ConnectionOptions, PostgresConnection } from "./connection.ts";
import { failureOf, isOutOfConnections, isServerState, requestErrorOf } from "./errors.ts";

/** While the database answers one read, the next is on its way. */
const SHARERS_MAX = 4;
/** Streams and users' statements may take minutes, and leave so many connections to the rest. */
const KEPT_FOR_SHORT = 2;
/**
 * Streams and users' statements leave each other so many. With only two for both, nothing is left,
 * since one slow statement would hold up all others.
 */
const KEPT_FOR_OTHER_LONG = 1;
const CONNECTIONS_MIN = 2;
const WAITING_SHORT_MAX = 2_000;
const WAITING_LONG_MAX = 100;
const WAIT_SHORT_MS = 5_000;
const WAIT_LONG_MS = 10_000;
/** The pool closes connections that were idle for so long, but keeps one. */
const IDLE_MAX_MS = 5 * 60_000;
/**
 * The pool replaces older connections, so that new settings, addresses and passwords take effect.
 */
const AGE_MAX_MS = 30 * 60_000;
const SWEEP_MS = 10_000;
/** For so long after a refused connection, `figures` counts on no further one. */
const REFUSAL_COUNTS_MS = 5_000;
const CLOSE_WAIT_MS = 2_000;

/**
 * - `shared`: one small read of one statement.
 * - `short`: a whole connection for a moment.
 * - `stream`, `sql`: a whole connection for minutes; these never get the last ones.
 */
export type Use = "shared" | "short" | LongUse;
type LongUse = "stream" | "sql";

export interface Lease {
  readonly connection: PostgresConnection;
  /**
   * Replaces the connection by a new one, for a use that changes its session. The new one gives
   * every result as text, and `release` closes it.
   */
  renew(): Promise<PostgresConnection>;
  /** @param discard a statement may still run on it. */
  release(discard?: boolean): void;
}

interface Member {
  connection: PostgresConnection;
  sharers: number;
  /** null: shared, or free. */
  owner: "short" | LongUse | null;
  idleSinceMs: number;
  /** `release` closes it. */
  unwanted: boolean;
}

interface Want {
  use: Use;
  /** False: PostgreSQL takes no further connection, so only a freed one will do. */
  mayOpen: boolean;
  signal: AbortSignal | undefined;
}

export interface PostgresPoolOptions extends ConnectionOptions {
  size: number;
  /** Called when the database's state has failed a statement of the server (`isServerState`). */
  onBroken?(reason: string): void;
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
  /** Most connections for both long uses together, and for each. */
  readonly #longMax: number;
  readonly #longMaxEach: number;
  readonly #members = new Set<Member>();
  #opening = 0;
  #opened = 0;
  readonly #openingLong = { stream: 0, sql: 0 };
  #stale = 0;
  /** Why the newest connection broke or could not be opened. */
  #trouble: { reason: string; sinceMs: number } | null = null;
  #silence: string | null = null;
  /** Long uses wait apart, since others may overtake them. */
  readonly #waiting: Record<"short" | LongUse, WaitingLine<Lease, Want>>;
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
    this.#waiting = {
      short: this.#newLine(WAITING_SHORT_MAX),
      stream: this.#newLine(WAITING_LONG_MAX),
      sql: this.#newLine(WAITING_LONG_MAX),
    };
    this.#sweeper = setInterval(() => this.#sweep(), this.#limits.sweepMs);
    this.#sweeper.unref();
  }

  /** Counts opened connections. When it grows, the newest may lead to another server. */
  get opened(): number {
    return this.#opened;
  }

  /** Another host may take writes where this one doesn't. */
  get hasOtherHosts(): boolean {
    const { hosts, writable } = this.#options.target;
    return hosts.length > 1 && writable;
  }

  get pooled(): boolean {
    return this.#options.pooled;
  }

  /**
   * @param signal ends the wait with its reason.
   * @throws RequestError 503 no connection in time, too many wait, or the database is away.
   */
  acquire(use: Use, signal?: AbortSignal): Promise<Lease> {
    if (this.#closed) return Promise.reject(unavailable("the database's connections are closed"));
    if (signal?.aborted) return Promise.reject(signal.reason);
    const line = this.#lineOf(use);
    const want: Want = { use, mayOpen: true, signal };
    const lease = line.length === 0 && this.#mayTake(use) ? this.#take(want) : null;
    if (lease !== null) return Promise.resolve(lease);
    return line.wait(isLong(use) ? this.#limits.waitLongMs : this.#limits.waitShortMs, signal, { want });
  }

  /** Tells what the last use found out; `lookForDatabase` finds out more. */
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

  noteFailure(error: unknown): void {
    const failure = failureOf(error);
    if (failure !== null && isServerState(error)) this.#onBroken(`${failure.message} (${failure.code})`);
  }

  /** Replaces every connection once it is free, after the database's settings have changed. */
  renewAll(): void {
    for (const member of this.#members) {
      this.#stale++;
      member.unwanted = true;
      if (isFree(member)) this.#drop(member);
    }
    this.#serve();
  }

  /** @param reason the database has connections and doesn't answer; null: it answers again. */
  noteSilence(reason: string | null): void {
    this.#silence = reason;
  }

  /** Opens a connection if there is none, so that the next figures know. Never fails. */
  async lookForDatabase(): Promise<void> {
    if (this.#members.size + this.#opening > 0 || this.#closed) return;
    try {
      (await this.acquire("shared")).release();
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
    }
  }

  /** Uses that last longer than CLOSE_WAIT_MS fail. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#sweeper);
    for (const line of Object.values(this.#waiting)) {
      while (line.fail(unavailable("the server is stopping"))) {}
    }
    const deadline = performance.now() + CLOSE_WAIT_MS;
    for (const member of this.#members) member.unwanted = true;
    for (const member of this.#members) if (isFree(member)) this.#drop(member);
    while (this.#members.size + this.#opening > 0 && performance.now() < deadline) await Bun.sleep(5);
    await Promise.all([...this.#members].map((member) => member.connection.close()));
    this.#members.clear();
  }

  #newLine(max: number): WaitingLine<Lease, Want> {
    return new WaitingLine({
      max,
      full: `all ${this.#size} database connections are in use and ${max} requests wait`,
      late: `all ${this.#size} database connections stayed in use`,
      gone: (reason) => reason,
    });
  }

  #lineOf(use: Use): WaitingLine<Lease, Want> {
    return this.#waiting[isLong(use) ? use : "short"];
  }

  #serve(): void {
    const { short, stream, sql } = this.#waiting;
    for (const line of [short, sql, stream]) while (this.#serveFirst(line)) {}
  }

  /** @returns false when no one waits, or no connection suits the first. */
  #serveFirst(line: WaitingLine<Lease, Want>): boolean {
    const want = line.first;
    const lease = want !== undefined && this.#mayTake(want.use) ? this.#take(want) : null;
    return lease !== null && line.give(lease);
  }

  /** @returns null when all connections are in use. */
  #take(want: Want): Lease | Promise<Lease> | null {
    const member = this.#pick(want);
    if (member !== null) return this.#lend(member, want.use);
    return (want.mayOpen || this.#isBare()) && this.#hasRoom() ? this.#open(want) : null;
  }

  /** There is no connection to wait for. */
  #isBare(): boolean {
    return this.#members.size === 0 && this.#opening === 0;
  }

  #hasRoom(): boolean {
    return this.#members.size + this.#opening < this.#size;
  }

  /** Prefers the newest, so that excess ones grow idle and are closed. */
  #pick({ use, mayOpen }: Want): Member | null {
    let shareable: Member | null = null;
    let free: Member | null = null;
    for (const member of this.#members) {
      if (member.unwanted) continue;
      if (isFree(member)) free = member;
      else if (member.owner === null && member.sharers < (shareable?.sharers ?? SHARERS_MAX))
        shareable = member;
    }
    if (free !== null || use !== "shared") return free;
    return mayOpen && this.#hasRoom() ? null : shareable;
  }

  async #open({ use, signal }: Want): Promise<Lease> {
    this.#opening++;
    if (isLong(use)) this.#openingLong[use]++;
    try {
      const connection = await PostgresConnection.open(this.#options);
      return this.#lend(this.#admit(connection), use);
    } catch (error) {
      this.#noteTrouble(error);
      const refused = requestErrorOf(error, "connect");
      const isLast = this.#members.size === 0 && this.#opening === 1;
      if (!isOutOfConnections(error) || isLast || this.#closed) throw refused;
      // PostgreSQL is out of connections: wait for one of the pool's. Those that begin together
      // are refused before the first of them is let in.
      const want: Want = { use, mayOpen: false, signal };
      const again = { want, ahead: true, late: () => refused };
      return this.#lineOf(use).wait(this.#limits.waitShortMs, signal, again);
    } finally {
      this.#opening--;
      if (isLong(use)) this.#openingLong[use]--;
      this.#serve();
    }
  }

  #admit(connection: PostgresConnection): Member {
    this.#opened++;
    this.#trouble = null;
    const member: Member = {
      connection,
      sharers: 0,
      owner: null,
      idleSinceMs: performance.now(),
      unwanted: this.#closed,
    };
    this.#members.add(member);
    connection.onLost = () => this.#onLost(member);
    return member;
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

  /** The others have probably died too: the pool closes free ones, and a retry gets a new one. */
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
    // It is out of use, so a failure to close it doesn't matter.
    member.connection.close().catch(() => undefined);
  }

  #noteTrouble(error: unknown): void {
    const failure = failureOf(error);
    const reason = failure === null ? String(error) : `${failure.message} (${failure.code})`;
    this.#trouble = { reason, sinceMs: performance.now() };
  }

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

  #mayTake(use: Use): boolean {
    if (!isLong(use)) return true;
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
