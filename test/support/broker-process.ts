/**
 * A real message broker for a test, on a port of its own, which can die, come back and stand still.
 */
import type { Subprocess } from "bun";
import { freePort } from "./free-port.ts";
import { waitUntil } from "./server.ts";
import { tempDir } from "./temp-dir.ts";

export interface BrokerProcess extends AsyncDisposable {
  readonly port: number;
  /** Without any order: connections break. */
  kill(): Promise<void>;
  /** Again, on the same port. */
  start(): Promise<void>;
  /** It stands still, and its connections stay open. */
  freeze(): void;
  thaw(): void;
}

/** Where Debian puts servers, too. */
export function findProgram(name: string): string | null {
  return Bun.which(name, { PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` });
}

export async function startBroker(
  command: (at: { port: number; dir: string }) => string[],
): Promise<BrokerProcess> {
  const dir = tempDir();
  const port = await freePort();
  let child: Subprocess | null = null;

  const kill = async (): Promise<void> => {
    child?.kill("SIGKILL");
    await child?.exited;
  };
  const broker: BrokerProcess = {
    port,
    kill,
    async start() {
      child = Bun.spawn(command({ port, dir: dir.path }), {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "ignore",
      });
      await waitUntil("the broker listens", async () => {
        const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
        socket.end();
        return true;
      });
    },
    freeze: () => child?.kill("SIGSTOP"),
    thaw: () => child?.kill("SIGCONT"),
    async [Symbol.asyncDispose]() {
      await kill();
      dir[Symbol.dispose]();
    },
  };
  try {
    await broker.start();
  } catch (error) {
    await broker[Symbol.asyncDispose]();
    throw error;
  }
  return broker;
}
