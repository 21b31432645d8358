/** The bus over PostgreSQL's NOTIFY and LISTEN. Notifications have room for positions only. */
import { createHash } from "node:crypto";
import { SQL } from "bun";
import { clientOptions, openOneOf } from "../config/postgres-client.ts";
import type { PostgresTarget } from "../config/postgres-url.ts";
import type { Carrier, LinkEvents } from "./carrier.ts";
import { Echo } from "./echo.ts";
import { inTime } from "./in-time.ts";

/** PostgreSQL requires fewer than 8,000 bytes. */
const MESSAGE_BYTES_MAX = 7_999;
/** Each NOTIFY is a transaction that takes one lock for all notifications of the server. */
const SENDS_AT_ONCE = 1;
const ECHO_TIMEOUT_MS = 2_000;

/** @param shown the database without its password. */
export function postgresCarrier(target: PostgresTarget, shown: string, connectTimeoutMs: number): Carrier {
  return {
    shown,
    secrets: [target.password ?? ""],
    sendsAtOnce: SENDS_AT_ONCE,
    carriesFrames: false,
    // A standby takes no LISTEN, so of several hosts it is the primary.
    open: (channel, events) =>
      openOneOf(target, async (host) => {
        let isOpen = false;
        const sql = new SQL({
          ...clientOptions(target, host, connectTimeoutMs),
          onclose: (error) => {
            if (isOpen) events.lost(error?.message ?? "the connection was closed");
          },
          connection: { application_name: "stock-db-server", client_encoding: "UTF8" },
        });
        try {
          const link = await listen(sql, channelName(channel), events);
          await inTime(link.probe(), ECHO_TIMEOUT_MS, NO_ECHO);
          isOpen = true;
          return link;
        } catch (error) {
          await sql.close({ timeout: 0 });
          throw error;
        }
      }),
  };
}

const NO_ECHO =
  "PostgreSQL takes NOTIFY, but nothing comes to LISTEN; PgBouncer in transaction mode does that, and needs --bus nats://… or redis://…: waited";

async function listen(sql: SQL, channel: string, events: LinkEvents) {
  const echo = new Echo();
  const own = channelName(crypto.randomUUID());
  // A notification doesn't survive a crash anyway, so its commit need not wait for the disk.
  // PgBouncer refuses this setting among the parameters of a connection.
  await sql.unsafe("SET synchronous_commit = off");
  await sql.listen(channel, events.message, onlyOnce(events));
  await sql.listen(own, (text) => echo.hear(text), onlyOnce(events));
  return {
    messageBytesMax: MESSAGE_BYTES_MAX,
    send: (text: string) => sql.notify(channel, text),
    probe: () => echo.send((text) => sql.notify(own, text)),
    close: () => sql.close({ timeout: 0 }),
  };
}

/** Bun's client reconnects by itself, and loses what came meanwhile: a second call means a loss. */
function onlyOnce(events: LinkEvents): () => void {
  let times = 0;
  return () => {
    if (++times > 1) events.lost("the connection to LISTEN was lost");
  };
}

/** PostgreSQL allows 63 characters. */
function channelName(channel: string): string {
  return `stock_db_${createHash("sha256").update(channel).digest("hex").slice(0, 32)}`;
}
