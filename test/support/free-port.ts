/** A port for a server that is started a moment later, or goes away and comes back. */
import { createServer } from "node:net";

const FIRST = 2_000;
/** From here on a server that is given no port takes one; further up is what the kernel gives. */
const END = 10_000;
const TRIES = 100;

/**
 * A port that nobody listens on now, and that nobody gets who asks for any: it would be taken by
 * another test, while the server is not there.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const port = FIRST + Math.floor(Math.random() * (END - FIRST));
    if (await isFree(port)) return port;
  }
  throw new Error(`none of ${TRIES} ports below ${END} is free`);
}

function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: "0.0.0.0", exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
