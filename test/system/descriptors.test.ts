/**
 * More clients than the system lets a process have: no worker spins, those that are there are
 * served, and it ends by itself.
 */
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { readProc } from "../support/processes.ts";
import { RawWebSocket } from "../support/raw-web-socket.ts";
import { BUN_LAUNCHER, type RunningServer, startServer, waitUntil } from "../support/server.ts";
import { childrenOf, processesOf, roleOf } from "../support/server-processes.ts";

setDefaultTimeout(180_000);

const LIMIT = 256;
const OBSERVED_MS = 3_000;

const limited = (how: string) => ["sh", "-c", `ulimit ${how}; exec "$0" "$@"`, ...BUN_LAUNCHER];
const SAVE = JSON.stringify({
  command: "save_realtime_data",
  params: {
    ticker: "A",
    index_col: "timestamp",
    data_type: "trade",
    data: [{ timestamp: "2024-01-02 15:00:00", price: 7, size: 1 }],
  },
});

const open: Disposable[] = [];
const closeAll = () => {
  for (const client of open.splice(0)) client[Symbol.dispose]();
};
afterEach(closeAll);

/** Sends its beginning, and the rest when told to. */
class HalfSentSave implements Disposable {
  readonly socket: Socket;
  answer = "";

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    open.push(this);
    this.socket.on("data", (bytes) => {
      this.answer += bytes.toString();
    });
    this.socket.on("error", () => {});
    this.socket.write(
      `POST /db_command HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${SAVE.length}\r\n\r\n${SAVE.slice(0, 10)}`,
    );
  }

  async finish(): Promise<number> {
    this.socket.write(SAVE.slice(10));
    await waitUntil("the save is answered", () => this.answer.includes("\r\n\r\n"));
    return Number(this.answer.split(" ")[1]);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

async function openSocket(port: number): Promise<RawWebSocket> {
  const socket = await RawWebSocket.open(port, "/ws?symbol=A");
  open.push(socket);
  return socket;
}

/** @returns how many of them became WebSockets. */
async function openSockets(port: number, count: number): Promise<number> {
  let opened = 0;
  for (let done = 0; done < count; done += 50) {
    const group = await Promise.allSettled(Array.from({ length: 50 }, () => openSocket(port)));
    opened += group.filter(({ status }) => status === "fulfilled").length;
  }
  return opened;
}

/**
 * Seconds in which the main thread ran, or would have, had a CPU been free: a spin shows on a busy
 * machine too.
 */
function wantedCpuS(pid: number): number {
  const [ran, waited] = readProc(pid, `task/${pid}/schedstat`).split(" ");
  return (Number(ran) + Number(waited)) / 1e9;
}

const servingPids = (server: RunningServer, workers: number) =>
  workers === 1 ? [server.pid] : processesOf(server).workers;

const ready = async (server: RunningServer) => {
  const answer = await fetch(`${server.url}/ready`, { headers: { connection: "close" } });
  return { status: answer.status, text: await answer.text() };
};

test.skipIf(process.platform !== "linux")(
  "the soft limit is raised to the hard one in every process, and a low one is told",
  async () => {
    await using server = await startServer({ workers: 2, launcher: limited("-Sn 300; ulimit -Hn 700") });
    await server.command("execute_sql", { sql_query: "SELECT 1", query_type: "select" });
    const { hub, workers } = processesOf(server);
    const runners = workers.flatMap(childrenOf).filter((pid) => roleOf(pid) === "sql-runner");
    expect(runners).not.toEqual([]);
    for (const pid of [server.pid, hub, ...workers, ...runners])
      expect(readProc(pid, "limits")).toMatch(/^Max open files\s+700\s+700\s/m);
    await server.logged("Each process may have 700 descriptors");
  },
);

for (const workers of [1, 2]) {
  test.skipIf(process.platform !== "linux")(
    `${workers} workers: WebSockets beyond the descriptors are refused, and the rest goes on`,
    async () => {
      await using server = await startServer({ workers, launcher: limited(`-n ${LIMIT}`) });
      const subscriber = await openSocket(server.port);
      const opened = await openSockets(server.port, (LIMIT + 100) * workers);
      expect(opened).toBeGreaterThan((LIMIT / 2) * workers);
      expect(opened).toBeLessThan(LIMIT * 0.93 * workers);
      await server.logged(/\[WARNING\] .*of 256 descriptors are in use/);

      const answer = await waitUntil("a full worker answers /ready", async () => {
        const { status, text } = await ready(server);
        return status === 503 && text;
      });
      expect(answer).toContain("of 256 descriptors are in use");
      const saved = await server.command("save_realtime_data", JSON.parse(SAVE).params);
      expect(saved.status).toBe(200);
      await waitUntil("the subscriber has the update", () =>
        subscriber.texts.some((text) => text.includes('"price":7')),
      );

      closeAll();
      await waitUntil("all is well again", async () => {
        const answers = await Promise.all([ready(server), ready(server), ready(server), ready(server)]);
        return answers.every(({ status }) => status === 200);
      });
      await server.logged("Enough descriptors again");
      await openSocket(server.port);
    },
  );

  test.skipIf(process.platform !== "linux")(
    `${workers} workers: connections beyond the descriptors don't make a worker spin, and those before are served`,
    async () => {
      await using server = await startServer({ workers, launcher: limited(`-n ${LIMIT}`) });
      const subscriber = await openSocket(server.port);
      const early = new HalfSentSave(server.port);
      await waitUntil("it is accepted", () => early.socket.remotePort !== undefined);
      await Bun.sleep(200);
      const crowd = Array.from({ length: (LIMIT + 100) * workers }, () => new HalfSentSave(server.port));
      await server.logged(/\[ERROR\] .*Out of descriptors: \S+ of 256 are in use/);

      const pids = servingPids(server, workers);
      const before = pids.map(wantedCpuS);
      const started = performance.now();
      await Bun.sleep(OBSERVED_MS);
      const seconds = (performance.now() - started) / 1_000;
      for (const [index, pid] of pids.entries()) {
        const share = (wantedCpuS(pid) - before[index]!) / seconds;
        expect(share).toBeLessThan(0.5);
      }

      subscriber.messages.length = 0;
      expect(await early.finish()).toBe(200);
      await waitUntil("the subscriber has the update", () =>
        subscriber.texts.some((text) => text.includes('"price":7')),
      );
      // Told once in a while, not at every look.
      expect(server.log().split("Out of descriptors").length - 1).toBeLessThan(2 * workers + 2);

      for (const client of crowd) client[Symbol.dispose]();
      await waitUntil("all is well again", async () => {
        const answers = await Promise.all([ready(server), ready(server), ready(server), ready(server)]);
        return answers.every(({ status }) => status === 200);
      });
      expect((await server.command("get_latest_price", { ticker: "A" })).status).toBe(200);
    },
  );
}
