/**
 * The replicas that answer large reads of one worker. What a read gets there holds all that had
 * been committed when it began, as from the primary: DESIGN.md, "Replicas".
 */
import { parsePostgresUrl } from "../../config/postgres-url.ts";
import { RequestError } from "../../protocol/errors.ts";
import type { ReplicaReads } from "../contract.ts";
import type { ConnectionOptions, PostgresConnection } from "./connection.ts";
import { failureOf } from "./errors.ts";
import { type Lease, type PoolLimits, PostgresPool, type Use } from "./pool.ts";
import { LOOK_PAUSE_MS, Replica } from "./replica.ts";
import { type PrimaryPlace, placeOfPrimary } from "./wal-place.ts";

const NOTHING_TO_COMPARE = "the primary doesn't tell how far it is";
/** A commit that waits for the disk of the primary, and for no other. */
const FLUSH_SQL = `BEGIN; SET LOCAL synchronous_commit = local;
  SELECT pg_catalog.pg_logical_emit_message(true, 'stock-db-server', ''); COMMIT`;

export interface ReplicasOptions {
  urls: readonly string[];
  maxLagMs: number;
  /** Commits of this server may be seen before they are on the disk. */
  isAsync: boolean;
  /** What their connections have in common. */
  options: Pick<ConnectionOptions, "searchPath" | "statementTimeoutMs">;
  size: number;
  limits: Partial<PoolLimits>;
  /** @throws it is away, or refuses the user. */
  connect(url: string): Promise<{ connection: PostgresConnection; options: ConnectionOptions }>;
  /** @param reason why it is left out; null: it is used. */
  onState(name: string, reason: string | null): void;
}

/** A connection to a replica that is as far as the primary was. */
export interface LevelLease {
  lease: Lease;
  /** The read has failed before it gave anything. */
  failed(error: unknown): void;
}

export class Replicas {
  readonly #primary: PostgresPool;
  readonly #isAsync: boolean;
  readonly #replicas: Replica[];
  readonly #timers = new Set<Timer>();
  #turn = 0;
  #byPrimary = 0;
  #asking: Promise<PrimaryPlace | null> | null = null;
  #queued: Promise<PrimaryPlace | null> | null = null;
  #closed = false;

  constructor(primary: PostgresPool, options: ReplicasOptions) {
    this.#primary = primary;
    this.#isAsync = options.isAsync;
    this.#replicas = options.urls.map((url) => {
      const name = replicaName(url);
      return new Replica({
        name,
        maxLagMs: options.maxLagMs,
        open: () => openPool(url, options),
        onState: (reason) => options.onState(name, reason),
      });
    });
    for (const replica of this.#replicas) void this.#watch(replica, null);
  }

  figures(): ReplicaReads {
    return { replicas: this.#replicas.map((replica) => replica.figures()), by_primary: this.#byPrimary };
  }

  /**
   * For a read that begins now.
   * @returns null: no replica is there and level, and the primary has to be asked.
   * @throws the reason of the signal.
   */
  async take(use: Use, signal: AbortSignal | undefined): Promise<LevelLease | null> {
    const used = this.#replicas.filter(({ isUsed }) => isUsed);
    const primary = used.length === 0 ? null : await this.#placeOfPrimary();
    const first = this.#turn++;
    for (let tried = 0; primary !== null && tried < used.length; tried++) {
      const replica = used[(first + tried) % used.length]!;
      const lease = await replica.take(use, primary, signal);
      if (lease === null) continue;
      return {
        lease,
        failed: (error) => {
          this.#byPrimary++;
          replica.noteFailure(error);
        },
      };
    }
    this.#byPrimary++;
    return null;
  }

  /**
   * @param read gives its lease back, and has given nothing to anybody when it fails.
   * @returns null: the primary has to be asked.
   */
  async read<T>(
    use: Use,
    signal: AbortSignal | undefined,
    read: (lease: Lease) => Promise<T>,
  ): Promise<T | null> {
    const level = await this.take(use, signal);
    if (level === null) return null;
    try {
      return await read(level.lease);
    } catch (error) {
      if (signal?.aborted) throw error;
      // Whatever it was: the primary tells, if it is no matter of the replica.
      level.failed(error);
      return null;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    await Promise.all(this.#replicas.map((replica) => replica.close()));
  }

  /** Looks at it every so often. @param before where the primary was at the look before. */
  async #watch(replica: Replica, before: PrimaryPlace | null): Promise<void> {
    const primary = await this.#placeOfPrimary();
    if (primary === null) replica.leaveOut(NOTHING_TO_COMPARE);
    const isLevel = primary === null ? null : await replica.look(primary);
    // The disk may have a record of an open transaction in part, until another one commits.
    if (isLevel === false && primary!.isUnflushed && before?.lsn === primary!.lsn) await this.#flush();
    if (this.#closed) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void this.#watch(replica, primary);
    }, LOOK_PAUSE_MS);
    timer.unref();
    this.#timers.add(timer);
  }

  async #flush(): Promise<void> {
    try {
      const lease = await this.#primary.acquire("short");
      let isDone = false;
      try {
        await lease.connection.run(FLUSH_SQL);
        isDone = true;
      } finally {
        lease.release(!isDone);
      }
    } catch (error) {
      // It is away, or a standby by now; the next look sees that.
      if (!isOfDatabase(error)) throw error;
    }
  }

  /**
   * One question serves all that wait for it. One that is under way may be answered with what was
   * before a read began.
   */
  #placeOfPrimary(): Promise<PrimaryPlace | null> {
    if (this.#asking === null) return this.#ask();
    const next = (): Promise<PrimaryPlace | null> => {
      this.#queued = null;
      return this.#ask();
    };
    this.#queued ??= this.#asking.then(next, next);
    return this.#queued;
  }

  #ask(): Promise<PrimaryPlace | null> {
    const asked = this.#askPrimary().finally(() => {
      if (this.#asking === asked) this.#asking = null;
    });
    this.#asking = asked;
    return asked;
  }

  /** @returns null: it is away, no primary, or doesn't tell. */
  async #askPrimary(): Promise<PrimaryPlace | null> {
    try {
      const lease = await this.#primary.acquire("shared");
      try {
        return await placeOfPrimary(lease.connection, this.#isAsync);
      } finally {
        lease.release();
      }
    } catch (error) {
      if (!isOfDatabase(error)) throw error;
      return null;
    }
  }
}

function isOfDatabase(error: unknown): boolean {
  return error instanceof RequestError || failureOf(error) !== null;
}

export const POOLED = "a connection pool in between gives each transaction another session";

/** Host and port. */
export function replicaName(url: string): string {
  const [{ host, port }] = parsePostgresUrl(url).hosts;
  return `${host}:${port}`;
}

async function openPool(
  url: string,
  { connect, options: common, size, limits }: ReplicasOptions,
): Promise<PostgresPool> {
  const { connection, options } = await connect(url);
  await connection.close();
  // A look and the read behind it might be of two servers.
  if (options.pooled) throw new Error(POOLED);
  return new PostgresPool({ ...options, ...common, size, limits });
}
