/**
 * How long a killed worker keeps its subscribers from their updates: from SIGKILL to the first
 * update that each had missed, after it has connected again, to another worker, with its position.
 * Saves go on meanwhile.
 */
import { LOOPBACK } from "../load-plan.ts";
import { readTreeMemory } from "../memory.ts";
import { tickStamp } from "../requests.ts";
import type { BenchContext, Fact } from "../scenario.ts";
import { sendCommand, startServer, type Target } from "../targets.ts";

export const RECOVERY_WORKERS = 4;
const SUBSCRIBERS = 40;
const TICKER = "AAPL";
/**
 * A server of its own for each: a second worker to die soon after the first is made to wait on
 * purpose.
 */
const KILLS = 5;
const PAUSE_BETWEEN_SAVES_MS = 10;
const RETRY_MS = 5;
/** Updates that all have before the kill. */
const UPDATES_BEFORE = 5;
const READY_MS = 10_000;
const RECOVERED_MS = 30_000;

export interface Recovery {
  facts: Fact[];
  /** Of each subscriber of a killed worker. */
  ms: number[];
}

export async function measureRecovery(context: BenchContext): Promise<Recovery> {
  const kills: number[][] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    context.progress(`recovery: kill ${kill + 1} of ${KILLS}`);
    const { folder } = context;
    const server = await startServer({ folder, name: `recovery-${kill}`, workers: RECOVERY_WORKERS });
    try {
      kills.push(await killUnderLoad(server));
    } finally {
      await server.stop();
    }
  }
  const name = `a worker of ${RECOVERY_WORKERS} killed: until its subscribers have the first update they missed`;
  const middle = kills.map((ms) => ms.sort((a, b) => a - b)[ms.length >> 1]!);
  return {
    ms: kills.flat(),
    facts: [
      { name: `${name}, the median subscriber`, unit: "ms", values: middle, max: null },
      { name: "… the last one", unit: "ms", values: kills.map((ms) => Math.max(...ms)), max: null },
    ],
  };
}

/** @returns of each subscriber that lost its connection. */
async function killUnderLoad(server: Target): Promise<number[]> {
  const saving = new AbortController();
  const subscribers = Array.from({ length: SUBSCRIBERS }, () => new ReturningSubscriber(server.port));
  const saves = saveOn(server.port, saving.signal);
  try {
    await until(READY_MS, "every subscriber has updates", () =>
      subscribers.every(({ updates }) => updates >= UPDATES_BEFORE),
    );
    const victim = readTreeMemory(server.pid).find(({ role }) => role === "worker 0");
    if (victim === undefined) throw new Error("no worker 0 to kill");
    const killedAt = performance.now();
    process.kill(victim.pid, "SIGKILL");
    await until(RECOVERED_MS, "every subscriber of the killed worker is back", () => {
      const fault = subscribers.find((subscriber) => subscriber.fault !== null)?.fault;
      if (fault !== undefined) throw new Error(`recovery: ${fault}`);
      const lost = subscribers.filter(({ isLost }) => isLost);
      return lost.length > 0 && lost.every(({ backAt }) => backAt !== null);
    });
    return subscribers.flatMap(({ backAt }) => (backAt === null ? [] : [backAt - killedAt]));
  } finally {
    saving.abort();
    await saves;
    for (const subscriber of subscribers) subscriber.end();
  }
}

/** Each on a connection of its own; one that meets the dying worker is not repeated. */
async function saveOn(port: number, signal: AbortSignal): Promise<void> {
  for (let i = 0; !signal.aborted; i++) {
    const data = [{ timestamp: tickStamp(i), price: 1, size: 1 }];
    const save = { ticker: TICKER, data_type: "trade", index_col: "timestamp", data };
    await sendCommand(port, "save_realtime_data", save).catch(() => null);
    await Bun.sleep(PAUSE_BETWEEN_SAVES_MS);
  }
}

class ReturningSubscriber {
  updates = 0;
  isLost = false;
  /** When the first update after those of the lost connection came. */
  backAt: number | null = null;
  /** Set when updates were lost or repeated: then there is nothing to measure. */
  fault: string | null = null;
  #last = 0;
  #epoch = "";
  #hasEnded = false;
  #socket: WebSocket;
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
    this.#socket = this.#connect();
  }

  end(): void {
    this.#hasEnded = true;
    this.#socket.close();
  }

  #connect(): WebSocket {
    const since = this.#epoch === "" ? "" : `&since=${this.#last}&epoch=${this.#epoch}`;
    const socket = new WebSocket(`ws://${LOOPBACK}:${this.#port}/ws?symbol=${TICKER}${since}`);
    socket.onmessage = ({ data }) => this.#take(JSON.parse(String(data)) as PositionedFrame);
    socket.onclose = () => {
      if (this.#hasEnded) return;
      this.isLost = true;
      setTimeout(() => {
        this.#socket = this.#connect();
      }, RETRY_MS);
    };
    return socket;
  }

  #take({ seq, epoch, data }: PositionedFrame): void {
    if (epoch !== undefined) this.#epoch = epoch;
    if (data.type !== "trade") {
      // Where a subscription begins; later ones tell what is known already.
      if (this.updates === 0) this.#last = seq;
      return;
    }
    if (seq !== this.#last + 1) this.fault ??= `update ${seq} came after ${this.#last}`;
    if (this.isLost) this.backAt ??= performance.now();
    this.#last = seq;
    this.updates++;
  }
}

interface PositionedFrame {
  seq: number;
  epoch?: string;
  data: { type: string };
}

async function until(ms: number, what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`);
    await Bun.sleep(1);
  }
}
