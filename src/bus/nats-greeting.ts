/** Which server of a NATS cluster answers. */
import { createConnection } from "node:net";

const PORT_DEFAULT = 4222;
const GREETING = "INFO ";

/**
 * Finds a server that speaks before the client library connects to it. Whoever has a broker that
 * hangs needs this: transport-node 3.3.1 gives up on a server that accepts a connection and says
 * nothing, but never closes that connection, so each try would cost a descriptor. The list is tried
 * from a random place on, so that clients spread over the cluster.
 *
 * @param servers at least one, host or host:port.
 * @throws Error of the last one, when none greets in its share of the time.
 */
export async function findGreetingServer(servers: readonly string[], timeoutMs: number): Promise<string> {
  const start = Math.floor(Math.random() * servers.length);
  const inOrder = [...servers.slice(start), ...servers.slice(0, start)];
  let failure: unknown;
  for (const server of inOrder) {
    try {
      await awaitGreeting(server, timeoutMs / servers.length);
      return server;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function awaitGreeting(server: string, timeoutMs: number): Promise<void> {
  const { hostname, port } = new URL(`tcp://${server}`);
  const socket = createConnection({
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port || PORT_DEFAULT),
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error(`no answer for ${timeoutMs / 1_000} s`)), timeoutMs);
  let text = "";
  socket.on("error", reject);
  socket.on("close", () => reject(new Error("the connection was closed")));
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString("latin1");
    if (text.startsWith(GREETING)) resolve();
    else if (text.length >= GREETING.length) reject(new Error("what answers there isn't NATS"));
  });
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}
