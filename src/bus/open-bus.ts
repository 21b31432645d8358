/** Opens a bus: which broker a `--bus` means, and on which database. */
import { parsePostgresUrl } from "../config/postgres-url.ts";
import { redact } from "../config/redact.ts";
import { quoted, UsageError } from "../config/usage-error.ts";
import { describeDatabase } from "../storage/engines.ts";
import { parseBrokerUrl } from "./broker-address.ts";
import type { Bus, BusOptions } from "./bus.ts";
import type { Carrier } from "./carrier.ts";
import { inTime } from "./in-time.ts";
import { CONNECT_TIMEOUT_MS, LINK_CLOSE_TIMEOUT_MS, openLink, PROBE_TIMEOUT_MS } from "./open-link.ts";
import { ServerBus } from "./server-bus.ts";

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
