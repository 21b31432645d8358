/**
 * How long a killed worker keeps its subscribers from their updates: from SIGKILL to the first
 * update that each had missed, after it has connected again, to another worker, with its position.
 * Saves go on meanwhile.
 */
import { waitUntil } from "../../test/support/server.ts";
import { Subscriber } from "../../test/support/subscriber.ts";
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
  const followers = Array.from({ length: SUBSCRIBERS }, () => new Follower(server.port));
  const saves = saveOn(server.port, saving.signal);
  try {
    const haveUpdates = () => followers.every(({ updates }) => updates >= UPDATES_BEFORE);
    await waitUntil("every subscriber has updates", haveUpdates, READY_MS);
    const victim = readTreeMemory(server.pid).find(({ role }) => role === "worker 0");
    if (victim === undefined) throw new Error("no worker 0 to kill");
    const killedAt = performance.now();
    process.kill(victim.pid, "SIGKILL");
    const areBack = () => {
      const lost = followers.filter(({ isLost }) => isLost);
      return lost.length > 0 && lost.every(({ backAt }) => backAt !== null);
    };
    await waitUntil("every subscriber of the killed worker is back", areBack, RECOVERED_MS);
    // With updates lost or repeated there is nothing to measure.
    const [fault] = followers.flatMap(({ subscriber }) => subscriber.faults);
    if (fault !== undefined) throw new Error(`recovery: ${fault}`);
    return followers.flatMap(({ backAt }) => (backAt === null ? [] : [backAt - killedAt]));
  } finally {
    saving.abort();
    await saves;
    for (const { subscriber } of followers) subscriber.leave();
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

/** A subscriber that comes back by itself, to whichever worker takes it. */
class Follower {
  updates = 0;
  /** When its first update after those of the lost connection came. */
  backAt: number | null = null;
  readonly subscriber: Subscriber;

  constructor(port: number) {
    this.subscriber = Subscriber.connect(`ws://${LOOPBACK}:${port}`, TICKER, {
      returnsAfterMs: RETRY_MS,
      onFrame: ({ data, atMs }) => {
        if (data.type !== "trade") return;
        this.updates++;
        if (this.isLost) this.backAt ??= atMs;
      },
    });
  }

  get isLost(): boolean {
    return this.subscriber.connections > 1 || this.subscriber.closed !== null;
  }
}
