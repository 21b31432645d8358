/** WebSockets that send more than anybody could work off. */
import { encodeFrame, OPCODE } from "../../test/support/web-socket-frames.ts";
import type { Attack, Target } from "../attack.ts";
import { openAttackSocket } from "../attack-socket.ts";

const MANY = 1_000;
const SOCKETS = 40;

export const SOCKET_STORMS: readonly Attack[] = [
  {
    name: "subscribe-storm",
    about: "subscribes to 1,000 symbols and leaves them again, over and over, without waiting",
    run: (target) => stormWith(target, subscribeAndLeave(symbols("S", MANY))),
  },
  {
    name: "subscribe-storm-one",
    about: "the same with one symbol a message",
    run: (target) => stormWith(target, subscribeAndLeave(symbols("S", 1))),
  },
  {
    name: "subscribe-storm-new",
    about: "subscribes to other symbols in each message, and leaves the old ones",
    async run(target) {
      const pieces = Array.from({ length: 50 }, (_, i) => subscribeAndLeave(symbols(`N${i}_`, 100)));
      await stormWith(target, Buffer.concat(pieces));
    },
  },
  {
    name: "subscribe-storm-deaf",
    about: "the subscribe storm of a client that reads no answer",
    async run(target) {
      using client = await openAttackSocket(target.port, "/ws?symbols=");
      client.stopReading();
      await client.flood(subscribeAndLeave(symbols("D", MANY)), target);
    },
  },
  {
    name: "subscribe-storm-many",
    about: "the subscribe storm from twenty sockets at once",
    async run(target) {
      const clients = await Promise.all(
        Array.from({ length: 20 }, () => openAttackSocket(target.port, "/ws?symbols=")),
      );
      const bytes = subscribeAndLeave(symbols("M", MANY));
      await Promise.all(clients.map((client) => client.flood(bytes, target)));
      for (const client of clients) client[Symbol.dispose]();
    },
  },
  {
    name: "snapshot-storm",
    about: "subscribes with a snapshot to a ticker that has data, and leaves it, over and over",
    async run(target) {
      const on = text({ action: "subscribe", symbols: ["IBM", "AAPL", "SPY"], snapshot: true });
      const off = text({ action: "unsubscribe", symbols: ["IBM", "AAPL", "SPY"] });
      await stormWith(target, Buffer.concat([on, off]));
    },
  },
  {
    name: "recovery-storm",
    about: "asks for everything since the beginning, over and over",
    async run(target) {
      const on = text({
        action: "subscribe",
        symbols: ["IBM", "BYSTANDER0"],
        since: { IBM: 0, BYSTANDER0: 0 },
      });
      const off = text({ action: "unsubscribe", symbols: ["IBM", "BYSTANDER0"] });
      await stormWith(target, Buffer.concat([on, off]));
    },
  },
  {
    name: "nonsense-storm",
    about: "sends messages that are no JSON, or no message, without waiting",
    run: (target) =>
      stormWith(target, Buffer.concat([text("{"), text({ action: "x" }), text([]), text({ action: 1 })])),
  },
  {
    name: "ping-storm",
    about: "sends pings without waiting",
    run: (target) =>
      stormWith(target, repeated(encodeFrame({ opcode: OPCODE.ping, payload: "x".repeat(125) }), 1_000)),
  },
  {
    name: "continuation-storm",
    about: "sends a message in endless empty pieces",
    async run(target) {
      using client = await openAttackSocket(target.port, "/ws?symbol=IBM");
      await client.send(encodeFrame({ opcode: OPCODE.text, fin: false }));
      await client.flood(repeated(encodeFrame({ opcode: OPCODE.continuation, fin: false }), 10_000), target);
    },
  },
  {
    name: "replay-storm",
    about: "opens replays at full speed and leaves them, and asks one for what it doesn't know",
    async run(target) {
      const deadline = performance.now() + target.seconds * 1_000;
      const open = async (): Promise<void> => {
        while (performance.now() < deadline) {
          const path = "/ws/replay?symbol=IBM&start=2013-10-01&end=2013-10-31&speed=1000000";
          try {
            using client = await openAttackSocket(target.port, path);
            await client.send(repeated(text({ action: "pause" }), 200));
            await Bun.sleep(20);
          } catch {
            // Beyond its bound it is refused.
            await Bun.sleep(20);
          }
        }
      };
      await Promise.all(Array.from({ length: 40 }, open));
    },
  },
  {
    name: "connection-storm",
    about: "opens and drops WebSockets as fast as it can",
    async run(target) {
      const deadline = performance.now() + target.seconds * 1_000;
      const open = async (): Promise<void> => {
        while (performance.now() < deadline) {
          const socket = await openAttackSocket(target.port, "/ws?symbol=IBM").catch(() => null);
          socket?.[Symbol.dispose]();
        }
      };
      await Promise.all(Array.from({ length: 10 }, open));
    },
  },
  {
    name: "many-subscriptions",
    about: `subscribes ${SOCKETS} sockets to 1,000 symbols each, all of them different, and stays`,
    async run(target) {
      const clients = await Promise.all(
        Array.from({ length: SOCKETS }, () => openAttackSocket(target.port, "/ws?symbols=")),
      );
      await Promise.all(
        clients.map((client, i) =>
          client.send(text({ action: "subscribe", symbols: symbols(`Q${i}_`, MANY), snapshot: false })),
        ),
      );
      await Bun.sleep(target.seconds * 1_000);
      for (const client of clients) client[Symbol.dispose]();
    },
  },
];

/** One socket that sends the bytes over and over, and reads what comes. */
async function stormWith(target: Target, bytes: Uint8Array): Promise<void> {
  using client = await openAttackSocket(target.port, "/ws?symbols=");
  await client.flood(bytes, target);
  // What was accepted is worked off before the next attack is judged.
  await Bun.sleep(500);
}

function subscribeAndLeave(names: readonly string[]): Buffer {
  return Buffer.concat([
    text({ action: "subscribe", symbols: names, snapshot: false }),
    text({ action: "unsubscribe", symbols: names }),
  ]);
}

function symbols(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`);
}

function text(message: unknown): Buffer {
  const payload = typeof message === "string" ? message : JSON.stringify(message);
  return encodeFrame({ opcode: OPCODE.text, payload });
}

function repeated(frame: Buffer, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => frame));
}
