/**
 * The bus over Redis' PUBLISH and SUBSCRIBE, with node-redis. Bun's own client loses its
 * subscriptions with the connection and still says that it is connected. ioredis copes as well with
 * a restart, `CLIENT KILL` and a frozen server, but brings six packages.
 */
import { createClient } from "@redis/client";
import type { BrokerAddress } from "./broker-address.ts";
import type { Carrier, Link, LinkEvents } from "./carrier.ts";
import { Echo } from "./echo.ts";

/** Redis itself takes 512 MB, but cuts off a subscriber that is 32 MB behind. */
const MESSAGE_BYTES_MAX = 1024 * 1024;
const SENDS_AT_ONCE = 64;

export function redisCarrier(address: BrokerAddress, connectTimeoutMs: number): Carrier {
  return {
    shown: address.shown,
    secrets: [address.password ?? ""],
    sendsAtOnce: SENDS_AT_ONCE,
    carriesFrames: true,
    async open(channel, events) {
      // A connection that subscribes can do nothing else.
      const publisher = clientFor(address, connectTimeoutMs, events);
      const subscriber = clientFor(address, connectTimeoutMs, events);
      try {
        await Promise.all([publisher.connect(), subscriber.connect()]);
        return await subscribe({ publisher, subscriber }, `stock-db.${channel}`, events);
      } catch (error) {
        destroy(publisher, subscriber);
        throw error;
      }
    },
  };
}

type Client = ReturnType<typeof clientFor>;

function clientFor(address: BrokerAddress, connectTimeout: number, events: LinkEvents) {
  const { servers, tls, user, password, path } = address;
  const client = createClient({
    url: `${tls ? "rediss" : "redis"}://${servers[0]}/${path}`,
    ...(user === null ? {} : { username: user }),
    ...(password === null ? {} : { password }),
    // Version 3 of the protocol would exclude servers older than Redis 6 and gain nothing.
    RESP: 2,
    disableOfflineQueue: true,
    name: "stock-db-server",
    socket: { connectTimeout, reconnectStrategy: false },
  });
  client.on("error", (error: Error) => events.lost(error.message));
  client.on("end", () => events.lost("the connection was closed"));
  return client;
}

async function subscribe(
  { publisher, subscriber }: { publisher: Client; subscriber: Client },
  channel: string,
  events: LinkEvents,
): Promise<Link> {
  const echo = new Echo();
  const own = `${channel}.${crypto.randomUUID()}`;
  await subscriber.subscribe(channel, (text) => events.message(text));
  await subscriber.subscribe(own, (text) => echo.hear(text));
  const link: Link = {
    messageBytesMax: MESSAGE_BYTES_MAX,
    send: async (text) => void (await publisher.publish(channel, text)),
    probe: () => echo.send((text) => publisher.publish(own, text)),
    close: async () => destroy(publisher, subscriber),
  };
  // Fails if this user may not publish.
  await link.send('{"from":"","updates":[]}');
  return link;
}

function destroy(...clients: Client[]): void {
  for (const client of clients) if (client.isOpen) client.destroy();
}
