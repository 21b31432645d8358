/** A port for a server that is started a moment later, or goes away and comes back. */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";

const FIRST = 10_000;
/** Where the kernel's own choice of ports begins, if it doesn't say so. */
const KERNEL_FIRST = 32_768;
const TRIES = 100;

/**
 * A port that nobody listens on now. It is none of those that the kernel gives to connections and
 * to whoever asks for any port: one of these could be taken by a connection of another test, while
 * the server is not there.
 */
export async function freePort(): Promise<number> {
  const end = kernelFirst();
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const port = FIRST + Math.floor(Math.random() * (end - FIRST));
    if (await isFree(port)) return port;
  }
  throw new Error(`none of ${TRIES} ports below ${end} is free`);
}

function kernelFirst(): number {
  try {
    const first = Number(readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split(/\s+/)[0]);
    return first > FIRST + TRIES ? first : KERNEL_FIRST;
  } catch {
    return KERNEL_FIRST; // another system than Linux
  }
}

function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: "0.0.0.0", exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
