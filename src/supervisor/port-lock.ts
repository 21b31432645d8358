/**
 * Makes sure that only this server has a port.
 *
 * Workers bind with SO_REUSEPORT, so a second server could silently bind the same port and take a
 * share of the clients; on 127.0.0.1, all local clients of a server on 0.0.0.0. Two checks prevent
 * that: a lock that servers take before they bind, and a short-lived listener without SO_REUSEPORT,
 * which the kernel refuses if any program listens on an overlapping address.
 */
import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";

/** Another program may have the port that is tried, or another server have locked it. */
const FREE_PORT_TRIES_MAX = 10;
const FREE_PORTS_FIRST = 10_000;
const RANGE_FILE = "/proc/sys/net/ipv4/ip_local_port_range";

/** The port is not available. The message for the user names address, port and reason. */
export class PortTakenError extends Error {
  override readonly name = "PortTakenError";
}

export interface PortLock {
  /** Never 0. */
  readonly port: number;
  release(): void;
}

/**
 * Locks and probes `host:port`. The lock ends with `release` or with this process, however it dies.
 * @param port 0 picks a free one.
 * @throws PortTakenError Another program has the port, or this machine lacks the address.
 */
export async function portLock(host: string, port: number): Promise<PortLock> {
  const address = await resolveAddress(host, port);
  if (port !== 0) return lockAndProbe(address, port, host);
  for (let attempt = 1; ; attempt++) {
    try {
      return lockAndProbe(address, outsideOfKernels() ?? probe(address, 0, host), host);
    } catch (error) {
      if (!(error instanceof PortTakenError) || attempt >= FREE_PORT_TRIES_MAX) throw error;
    }
  }
}

/**
 * A port that the kernel gives to nobody by itself. One of those that it gives could go to a
 * connection between the probe and the first worker's listening. Null: it gives nearly all.
 */
function outsideOfKernels(): number | null {
  try {
    const end = Number(readFileSync(RANGE_FILE, "utf8").split(/\s+/)[0]);
    const count = end - FREE_PORTS_FIRST;
    return count > FREE_PORT_TRIES_MAX ? FREE_PORTS_FIRST + Math.floor(Math.random() * count) : null;
  } catch {
    return null; // another system than Linux
  }
}

function lockAndProbe(address: string, port: number, host: string): PortLock {
  const release = lock(address, port, host);
  try {
    probe(address, port, host);
  } catch (error) {
    release();
    throw error;
  }
  return { port, release };
}

/** A name and its address must share one lock. */
async function resolveAddress(host: string, port: number): Promise<string> {
  if (isIP(host) !== 0) return host.toLowerCase();
  try {
    // IPv4 first, as Bun.serve does for names with both.
    return (await lookup(host, { order: "ipv4first" })).address;
  } catch (error) {
    throw new PortTakenError(`Cannot listen on ${host}:${port}: the host name is unknown`, { cause: error });
  }
}

/** An abstract Unix socket ends with its owner, and has a port's scope: the network namespace. */
function lock(address: string, port: number, host: string): () => void {
  if (process.platform !== "linux") return () => {}; // no abstract sockets: only the probe protects
  try {
    const listener = Bun.listen({ unix: `\0stock-db-server:${address}:${port}`, socket: { data() {} } });
    return () => listener.stop(true);
  } catch (error) {
    if (errorCode(error) !== "EADDRINUSE") throw error;
    throw new PortTakenError(
      `Port ${port} on ${host} is already served by another stock-db-server; stop it or choose another --port`,
    );
  }
}

/** @returns the free port: `port`, or the kernel's choice for 0. */
function probe(address: string, port: number, host: string): number {
  try {
    const listener = Bun.listen({ hostname: address, port, exclusive: true, socket: { data() {} } });
    const free = listener.port;
    listener.stop(true);
    return free;
  } catch (error) {
    throw new PortTakenError(refusal(errorCode(error), port, host), { cause: error });
  }
}

function refusal(code: string | undefined, port: number, host: string): string {
  switch (code) {
    case "EADDRINUSE":
      return `Port ${port} on ${host} is already in use by another program; stop it or choose another --port`;
    case "EADDRNOTAVAIL":
      return `Cannot listen on ${host}:${port}: this machine has no such address; choose another --host`;
    case "EACCES":
      return `Cannot listen on ${host}:${port}: ports below 1024 need a privilege; choose another --port`;
    default:
      return `Cannot listen on ${host}:${port}: ${code ?? "the system refused"}`;
  }
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
