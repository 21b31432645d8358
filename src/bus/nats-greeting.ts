import { createConnection } from "node:net";

const PORT_DEFAULT = 4222;
const GREETING = "INFO ";

/**
 * Finds a server of the cluster that answers, starting at a random one. The client library never
 * closes a connection to a server that accepts it and then stays silent.
 * @param servers at least one, host or host:port.
 * @throws Error of the last server, when none greets in its share of the time.
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
