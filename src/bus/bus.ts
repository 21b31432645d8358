/**
 * The bus: servers that share a database tell each other about committed updates, so that these
 * arrive at once. Updates have positions, so a lost message is noticed and read from the database:
 * the bus stores nothing, repeats nothing and never blocks its caller.
 */
import { parsePostgresUrl } from "../config/postgres-url.ts";
import { redact } from "../config/redact.ts";
import { quoted, UsageError } from "../config/usage-error.ts";
import type { LogLines } from "../observe/log.ts";
import { describeDatabase } from "../storage/engines.ts";
import type { Update } from "../storage/update-contract.ts";
import { parseBrokerUrl } from "./broker-address.ts";
import type { Carrier } from "./carrier.ts";
import { inTime } from "./in-time.ts";
import { CONNECT_TIMEOUT_MS, LINK_CLOSE_TIMEOUT_MS, openLink, PROBE_TIMEOUT_MS } from "./open-link.ts";
import { ServerBus } from "./server-bus.ts";

export interface Bus {
  /**
   * Tells the other servers, in order. Never waits, never throws. Updates that can't be sent are
   * dropped and counted, and the other servers hear that some are missing.
   */
  publish(updates: readonly BusUpdate[]): void;
  figures(): BusFigures;
  /** Sends what waits, for up to `DRAIN_TIMEOUT_MS` of server-bus.ts. Then calls nothing more. */
  close(): Promise<void>;
}

export interface BusUpdate {
  ticker: string;
  update: Update;
}

export interface ReceivedUpdate {
  ticker: string;
  position: number;
  /** Null: only the position came; the content is in the database. */
  update: Update | null;
}

/** Updates since the start. */
export interface BusFigures {
  connected: boolean;
  published: number;
  received: number;
  dropped: number;
  /** Connections after the first. */
  reconnects: number;
}

export interface BusOptions {
  url: string;
  dbFile: string;
  /** Names the database on a broker that serves several. Must match `CHANNEL`. */
  channel: string;
  /** Gets updates of other servers only, in the order in which each published them. */
  receive(updates: ReceivedUpdate[]): void;
  /** Updates may be missing, of any ticker. The subscription works when this is called. */
  missed(): void;
  log: LogLines;
}

const CHANNEL = /^[A-Za-z0-9-]{1,64}$/;

/**
 * Resolves after the first attempt to connect. After a failure, the bus tries again until it is
 * closed, and calls `missed` when it succeeds. Positions read after this call leave no gap before
 * what arrives.
 * @throws UsageError `url` or `dbFile` can't be used for a bus.
 */
export async function openBus(options: BusOptions): Promise<Bus> {
  if (!CHANNEL.test(options.channel)) throw new Error(`bus: not a channel: ${quoted(options.channel)}`);
  const bus = new ServerBus(await carrierFor(options), options);
  await bus.start();
  return bus;
}

/**
 * Sends a message through the bus and waits until it comes back.
 * @returns the URL without a password.
 * @throws UsageError @throws Error Nothing came back. The error holds no password.
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
  if (!describeDatabase(dbFile).engine.carriesBus)
    throw new UsageError(`--bus postgres: expected a PostgreSQL database in --db-file, got ${shown}`);
  const target = parsePostgresUrl(dbFile);
  if (!target.pooled) return target;
  throw new UsageError(
    `--bus postgres: LISTEN doesn't work through PgBouncer in transaction mode (pgbouncer=true), got ${shown}; take --bus nats://… or redis://…`,
  );
}
