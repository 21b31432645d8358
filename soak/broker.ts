/** A real NATS or Redis server, which can be stopped and started again on its port. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { freePort } from "../test/support/free-port.ts";
import { waitUntil } from "../test/support/server.ts";

export type BrokerName = "nats" | "redis";

export interface Broker extends AsyncDisposable {
  url: string;
  /** At once, without a word to its clients. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** Where distributions put servers, and the path of a plain user doesn't reach. */
const PATH = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`;

const COMMANDS: Record<BrokerName, (port: number) => string[]> = {
  nats: (port) => ["nats-server", "-a", "127.0.0.1", "-p", String(port)],
  redis: (port) => ["redis-server", "--bind", "127.0.0.1", "--port", String(port), "--save", ""],
};

export function hasBroker(name: BrokerName): boolean {
  return Bun.which(COMMANDS[name](0)[0]!, { PATH }) !== null;
}

/** @throws Error it isn't installed, or doesn't listen in time. */
export async function startBroker(name: BrokerName): Promise<Broker> {
  const port = await freePort();
  const [program, ...args] = COMMANDS[name](port);
  const path = Bun.which(program!, { PATH });
  if (path === null) throw new Error(`${program} is not installed`);
  const folder = mkdtempSync(join(tmpdir(), "stock-db-broker-"));
  let child: Subprocess | null = null;
  const start = async (): Promise<void> => {
    const output = Bun.file(join(folder, "log"));
    child = Bun.spawn([path, ...args], { cwd: folder, stdin: "ignore", stdout: output, stderr: output });
    await waitUntil(`${program} listens`, () => isListening(port));
  };
  const kill = async (): Promise<void> => {
    child?.kill("SIGKILL");
    await child?.exited;
  };
  await start();
  return {
    url: `${name}://127.0.0.1:${port}`,
    kill,
    start,
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function isListening(port: number): Promise<boolean> {
  const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
  socket.terminate();
  return true;
}
