/** Tests whether the kernel spreads connections over several listeners on one port. */
import { type AddressInfo, connect, createServer, type Server } from "node:net";

const HOST = "127.0.0.1";
/** Each listener's fair share is 100. Chance gives less than 20 once in 10^30 times. */
const CONNECTIONS = 200;
const SHARE_MIN = 20;
const DEADLINE_MS = 5_000;
const POLL_MS = 5;

export interface Spread {
  /** Connections that each of two listeners got. */
  shares: [number, number];
  even: boolean;
}

/** @throws Error The port can't be shared, or connections don't arrive. */
export async function measureReusePort(): Promise<Spread> {
  const shares: [number, number] = [0, 0];
  const servers = [0, 1].map((index) =>
    createServer((socket) => {
      shares[index as 0 | 1]++;
      socket.destroy();
    }),
  );
  try {
    let port = 0;
    for (const server of servers) port = await listen(server, port);
    const deadline = performance.now() + DEADLINE_MS;
    for (let i = 0; i < CONNECTIONS && performance.now() < deadline; i++) await connectOnce(port);
    while (shares[0] + shares[1] < CONNECTIONS) {
      if (performance.now() > deadline)
        throw new Error(`${shares[0] + shares[1]} of ${CONNECTIONS} connections arrived`);
      await Bun.sleep(POLL_MS);
    }
  } finally {
    for (const server of servers) server.close();
  }
  return { shares, even: Math.min(...shares) >= SHARE_MIN };
}

async function listen(server: Server, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ host: HOST, port, reusePort: true }, resolve);
  await promise;
  return (server.address() as AddressInfo).port;
}

/** Resolves when the other side has closed it. */
async function connectOnce(port: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ host: HOST, port, timeout: DEADLINE_MS });
  socket.once("timeout", () => reject(new Error("a connection to this machine itself takes too long")));
  socket.once("error", reject);
  socket.once("close", () => resolve());
  socket.resume();
  try {
    await promise;
  } finally {
    socket.destroy();
  }
}
