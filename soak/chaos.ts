/**
 * Kills what the servers have to survive: workers, hubs, and the broker between servers.
 * Supervisors are left alone.
 */
import type { RunningServer } from "../test/support/server.ts";
import { processesOf } from "../test/support/server-processes.ts";
import type { Broker } from "./broker.ts";

export interface Kills {
  worker: number;
  hub: number;
  broker: number;
}

type Victim = keyof Kills;

/**
 * Between two kills, on average. A child that dies again and again is kept away for longer by its
 * supervisor.
 */
const PAUSE_MS = 3_000;
const BROKER_AWAY_MS_MAX = 2_000;

export interface Targets {
  servers: readonly RunningServer[];
  workers: number;
  broker: Broker | null;
}

export class Chaos {
  readonly kills: Kills = { worker: 0, hub: 0, broker: 0 };
  readonly #targets: Targets;
  readonly #random: () => number;
  readonly #stopping = Promise.withResolvers<void>();
  #isStopping = false;
  #running: Promise<void> = Promise.resolve();

  constructor(targets: Targets, random: () => number) {
    this.#targets = targets;
    this.#random = random;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Resolves when nothing is killed any more, and the broker is there. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#stopping.resolve();
    await this.#running;
  }

  /** Kills one of these now. @returns false if there is none: it is being replaced. */
  async kill(victim: Victim): Promise<boolean> {
    if (victim === "broker") return await this.#killBroker();
    const { hub, workers } = processesOf(this.#pick(this.#targets.servers));
    const pid = victim === "hub" ? hub : workers.length === 0 ? 0 : this.#pick(workers);
    if (pid === 0 || !signal(pid)) return false;
    this.kills[victim]++;
    return true;
  }

  async #run(): Promise<void> {
    for (;;) {
      await Promise.race([this.#stopping.promise, Bun.sleep(PAUSE_MS * (0.5 + this.#random()))]);
      if (this.#isStopping) return;
      if (this.#allThere()) await this.kill(this.#pickVictim());
    }
  }

  async #killBroker(): Promise<boolean> {
    const { broker } = this.#targets;
    if (broker === null) return false;
    await broker.kill();
    this.kills.broker++;
    await Promise.race([this.#stopping.promise, Bun.sleep(this.#random() * BROKER_AWAY_MS_MAX)]);
    await broker.start();
    return true;
  }

  #allThere(): boolean {
    return this.#targets.servers.every((server) => {
      const { hub, workers } = processesOf(server);
      return hub !== 0 && workers.length === this.#targets.workers;
    });
  }

  #pickVictim(): Victim {
    const at = this.#random();
    if (this.#targets.broker !== null && at < 0.3) return "broker";
    return at < 0.6 ? "hub" : "worker";
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)]!;
  }
}

/** @returns false: it has ended by itself. */
function signal(pid: number): boolean {
  try {
    process.kill(pid, "SIGKILL");
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}
