/**
 * The bus: servers that share a database tell each other of the updates that they have committed,
 * through NATS, Redis or PostgreSQL itself. It only makes updates arrive at once. Whether one was
 * missed is told by its position, and what was missed is in the database: so nothing here waits for
 * anybody, is stored, or is sent twice.
 */
import { redact } from "../config/database-url.ts";
import { parsePostgresUrl } from "../config/postgres-url.ts";
import { quoted, UsageError } from "../config/usage-error.ts";
import type { LogLines } from "../observe/log.ts";
import type { Update } from "../storage/update-contract.ts";
import { parseBrokerUrl } from "./broker-address.ts";
import type { Carrier } from "./carrier.ts";
import { inTime } from "./in-time.ts";
import { CONNECT_TIMEOUT_MS, LINK_CLOSE_TIMEOUT_MS, openLink, PROBE_TIMEOUT_MS } from "./open-link.ts";
import { ServerBus } from "./server-bus.ts";

export interface Bus {
  /**
   * Tells the other servers, in this order; those of one call travel together. Never waits, never
   * throws: what can't be sent now is dropped and counted, and the other servers are told that
   * something is missing as soon as they can be.
   */
  publish(updates: readonly BusUpdate[]): void;
  figures(): BusFigures;
  /**
   * What waits is still sent, for up to `DRAIN_TIMEOUT_MS` of server-bus.ts. Nothing is called
   * afterwards.
   */
  close(): Promise<void>;
}

export interface BusUpdate {
  ticker: string;
  update: Update;
}

export interface ReceivedUpdate {
  ticker: string;
  seq: number;
  /** Null: only its position came; its content is in the database. */
  update: Update | null;
}

/** Counts are of updates, since the start. */
export interface BusFigures {
  connected: boolean;
  /** Taken by the broker. */
  published: number;
  /** From other servers. */
  received: number;
  dropped: number;
  /** Connections after the first. */
  reconnects: number;
}

export interface BusOptions {
  /** `--bus`. */
  url: string;
  /** `--db-file`, for `postgres`. */
  dbFile: string;
  /** Names the database, so that two on one broker don't mix: `CHANNEL`. */
  channel: string;
  /** Updates of other servers, in the order in which each of them published. Never the own ones. */
  receive(updates: ReceivedUpdate[]): void;
  /**
   * Updates may have been missed, of any ticker. The subscription is in place again when this is
   * called.
   */
  missed(): void;
  log: LogLines;
}

const CHANNEL = /^[A-Za-z0-9-]{1,64}$/;

/**
 * Resolves after the first try to connect. If that failed, it is logged, and tried again for as
 * long as the bus is open; `missed` is called when it succeeds. Positions that are read after this,
 * and everything received, leave out nothing.
 *
 * @throws UsageError `url` or `dbFile` can't be used for a bus.
 */
export async function openBus(options: BusOptions): Promise<Bus> {
  if (!CHANNEL.test(options.channel)) throw new Error(`bus: not a channel: ${quoted(options.channel)}`);
  const bus = new ServerBus(await carrierFor(options), options);
  await bus.start();
  return bus;
}

/**
 * Whether a message goes through the bus and comes back, for `doctor`.
 *
 * @returns the bus as it may be shown.
 * @throws UsageError @throws Error It doesn't. The message holds no password.
 */
export async function tryBus(options: { url: string; dbFile: string }): Promise<string> {
  const carrier = await carrierFor(options);
  const ignore = (): void => undefined;
  const link = await openLink(carrier, `doctor-${crypto.randomUUID()}`, { message: ignore, lost: ignore });
  try {
    await inTime(link.probe(), PROBE_TIMEOUT_MS, "no answer");
  } finally {
    await inTime(link.close(), LINK_CLOSE_TIMEOUT_MS, "not closed").catch(ignore);
  }
  return carrier.shown;
}

/** A carrier's client is loaded here, before there is work, and only if it is asked for. */
async function carrierFor({ url, dbFile }: { url: string; dbFile: string }): Promise<Carrier> {
  if (url === "postgres") {
    const { postgresCarrier } = await import("./postgres-carrier.ts");
    return postgresCarrier(postgresTarget(dbFile), redact(dbFile), CONNECT_TIMEOUT_MS);
  }
  const address = parseBrokerUrl(url);
  if (address.broker === "nats") {
    const { natsCarrier } = await import("./nats-carrier.ts");
    return natsCarrier(address, CONNECT_TIMEOUT_MS);
  }
  const { redisCarrier } = await import("./redis-carrier.ts");
  return redisCarrier(address, CONNECT_TIMEOUT_MS);
}

function postgresTarget(dbFile: string): ReturnType<typeof parsePostgresUrl> {
  const shown = quoted(redact(dbFile));
  if (!POSTGRES.test(dbFile))
    throw new UsageError(`--bus postgres: expected a PostgreSQL database in --db-file, got ${shown}`);
  const target = parsePostgresUrl(dbFile);
  if (!target.pooled) return target;
  throw new UsageError(
    `--bus postgres: LISTEN doesn't work through PgBouncer in transaction mode (pgbouncer=true), got ${shown}; take --bus nats://… or redis://…`,
  );
}

const POSTGRES = /^(postgres(ql)?|timescaledb):\/\/|^[^:/\s]+:\d{1,5}:[^:]*:[^:]*:/i;
