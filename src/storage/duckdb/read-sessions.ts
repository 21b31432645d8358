/**
 * The connections of reads: one for each call, and one for each large answer from its first row to
 * its last.
 */
import { unavailable } from "../../protocol/errors.ts";
import type { PoolFigures } from "../contract.ts";
import type { DuckDbFile } from "./duckdb-file.ts";
import { isBroken, isFatal, isOutOfMemory } from "./errors.ts";
import type { Session } from "./session.ts";
import { READ_CALLS_MAX, Slots } from "./slots.ts";

/** Reads that may wait, and for how long; beyond that they are 503. */
const READS_WAITING_MAX = 2_000;
const READ_WAIT_MS = 10_000;
const STREAMS_MAX = 16;
const STREAMS_WAITING_MAX = 100;

/** A connection in its own read-only transaction. */
export interface Snapshot {
  call<T>(work: (session: Session) => Promise<T>): Promise<T>;
  /** Ends the call that is under way. */
  interrupt(): void;
  /** Must not run during a call. A second release does nothing. */
  release(): void | Promise<void>;
}

export class ReadSessions {
  readonly #file: DuckDbFile;
  readonly #calls = new Slots({ what: "read", max: READ_CALLS_MAX, waitingMax: READS_WAITING_MAX });
  readonly #streams = new Slots({
    what: "read of many rows",
    max: STREAMS_MAX,
    waitingMax: STREAMS_WAITING_MAX,
  });
  readonly #all = new Set<Session>();
  readonly #idle: Session[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  #smallCalls = 0;
  #stale = 0;
  #closed = false;

  constructor(file: DuckDbFile) {
    this.#file = file;
  }

  async call<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#inSlot(async () => {
      const session = await this.#take();
      this.#smallCalls++;
      try {
        return await this.#withMemory(() => work(session));
      } finally {
        this.#smallCalls--;
        this.#idle.push(session);
      }
    });
  }

  async snapshot(signal?: AbortSignal): Promise<Snapshot> {
    await this.#streams.take(READ_WAIT_MS, signal);
    let session: Session;
    try {
      session = await this.#inSlot(async () => {
        const taken = await this.#take();
        await taken.run("BEGIN TRANSACTION READ ONLY");
        return taken;
      });
    } catch (error) {
      this.#streams.give();
      throw error;
    }
    let released = false;
    return {
      call: (work) => this.#inSlot(() => work(session)),
      interrupt: () => session.connection.interrupt(),
      release: () => {
        if (released) return;
        released = true;
        this.#streams.give();
        void this.#endTransaction(session);
      },
    };
  }

  figures(): PoolFigures {
    const active = this.#smallCalls + this.#streams.taken;
    const max = READ_CALLS_MAX + STREAMS_MAX;
    return {
      pool_enabled: true,
      pool_max_size: max,
      available_connections: max - active,
      active_connections: active,
      stale_connections: this.#stale,
    };
  }

  /** Interrupts the reads under way. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const session of this.#all) session.connection.interrupt();
    await Promise.allSettled(this.#underWay);
    for (const session of this.#all) session.close();
    this.#all.clear();
  }

  async #endTransaction(session: Session): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#inSlot(() => session.run("ROLLBACK"));
      this.#idle.push(session);
    } catch {
      // The connection is unusable for an unknown reason.
      this.#stale++;
      if (this.#all.delete(session)) session.close();
    }
  }

  async #inSlot<T>(work: () => Promise<T>): Promise<T> {
    await this.#calls.take(READ_WAIT_MS);
    const call = this.#closed ? Promise.reject(unavailable("read: the server is stopping")) : work();
    this.#underWay.add(call);
    try {
      return await call;
    } catch (error) {
      throw this.#explain(error);
    } finally {
      this.#underWay.delete(call);
      this.#calls.give();
    }
  }

  /** Stops users' statements for memory. Not in a transaction: its first error ends it. */
  async #withMemory<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isOutOfMemory(error)) throw error;
      return this.#file.withoutUserSql(work);
    }
  }

  async #take(): Promise<Session> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const session = await this.#file.connect();
    this.#all.add(session);
    return session;
  }

  #explain(error: unknown): unknown {
    if (isFatal(error)) {
      this.#file.reportFatal(error);
      return unavailable("read: the database failed", (error as Error).message);
    }
    if (isOutOfMemory(error)) {
      return unavailable("read: the database's memory is in use", (error as Error).message);
    }
    if (isBroken(error)) {
      this.#file.reportBroken("a read", error);
      return unavailable("read: the database's tables can't be read", (error as Error).message);
    }
    return error;
  }
}
