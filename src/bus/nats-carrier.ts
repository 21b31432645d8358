/** The bus over core NATS, which stores no messages. */
import { connect, type NatsConnection, type NodeConnectionOptions } from "@nats-io/transport-node";
import type { BrokerAddress } from "./broker-address.ts";
import type { Carrier, Link, LinkEvents } from "./carrier.ts";
import { findGreetingServer } from "./nats-greeting.ts";

/** A server may allow more, but a larger message would hold up those behind it. */
const MESSAGE_BYTES_MAX = 1024 * 1024;
const SENDS_AT_ONCE = 64;

export function natsCarrier(address: BrokerAddress, connectTimeoutMs: number): Carrier {
  const { shown, password, token } = address;
  return {
    shown,
    secrets: [password ?? "", token ?? ""],
    sendsAtOnce: SENDS_AT_ONCE,
    carriesFrames: true,
    async open(channel, events) {
      // The greeting and the connection each take this long: together less than the limit.
      const timeout = connectTimeoutMs * 0.4;
      const server = await findGreetingServer(address.servers, timeout);
      const connection = await connect(connectionOptions(server, address, timeout));
      try {
        return await subscribe(connection, `stock-db.${channel}`, events);
      } catch (error) {
        await connection.close();
        throw error;
      }
    },
  };
}

function connectionOptions(
  server: string,
  { tls, user, password, token }: BrokerAddress,
  timeout: number,
): NodeConnectionOptions {
  return {
    servers: server,
    // The library would otherwise also try the other servers that this one names.
    ignoreClusterUpdates: true,
    name: "stock-db-server",
    timeout,
    reconnect: false,
    noEcho: true,
    ...(tls ? { tls: {} } : {}),
    ...(token === null ? {} : { token }),
    ...(user === null && password === null ? {} : { user: user ?? "", pass: password ?? "" }),
  };
}

async function subscribe(connection: NatsConnection, subject: string, events: LinkEvents): Promise<Link> {
  let refusal: Error | null = null;
  const refuse = (error: Error): void => {
    refusal ??= error;
    events.lost(error.message);
  };
  void connection.closed().then((error) => events.lost(error?.message ?? "the connection was closed"));
  void watchErrors(connection, refuse);
  connection.subscribe(subject, {
    callback: (error, message) => (error === null ? events.message(message.string()) : refuse(error)),
  });
  // Servers ignore a message without updates. NATS refuses it if this user may not publish.
  connection.publish(subject, '{"from":"","updates":[]}');
  // The server answers in order: after a flush, it has subscribed or refused. The second flush lets
  // the refusal pass through the iterator in `watchErrors`.
  await connection.flush();
  await connection.flush();
  if (refusal !== null) throw refusal;
  return {
    messageBytesMax: Math.min(connection.info?.max_payload ?? MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX),
    async send(text) {
      connection.publish(subject, text);
      await connection.flush();
    },
    probe: () => connection.flush(),
    close: () => connection.close(),
  };
}

async function watchErrors(connection: NatsConnection, refuse: (error: Error) => void): Promise<void> {
  for await (const status of connection.status()) if (status.type === "error") refuse(status.error);
}
