/**
 * What a subscription costs the server in memory, beyond its socket: 60 sockets that watch 1,000
 * tickers each of their own, and 200 sockets that watch the same 1,000. The server is one process;
 * its resident memory is read before and after they subscribe.
 */
import { RawWebSocket } from "../../test/support/raw-web-socket.ts";
import { readTreeMemory } from "../memory.ts";
import type { BenchContext, Scenario, ScenarioReport } from "../scenario.ts";
import { startServer } from "../targets.ts";

const TICKERS = 1_000;
const CASES = [
  { name: "of tickers of its own", sockets: 60, isShared: false },
  { name: "of the tickers of 200 sockets", sockets: 200, isShared: true },
] as const;
/** Longer than a run: what is measured is a subscription, not its heartbeats. */
const FLAGS = ["--heartbeat-interval", "600"];
const SUBSCRIBED_MS = 120_000;
/**
 * The lowest of so many readings counts: what was needed only to subscribe is given back by then.
 */
const READINGS = 10;
const READING_MS = 500;

export const subscriptions: Scenario = { key: "subscriptions", optIn: true, run: measureSubscriptions };

async function measureSubscriptions(context: BenchContext): Promise<ScenarioReport> {
  const report: ScenarioReport = { comparisons: [], facts: [], python: [], invalid: [] };
  if (context.floorsOnly) return report;
  const values = CASES.map(() => [] as number[]);
  for (let run = 0; run < context.runs; run++) {
    for (const [i, one] of CASES.entries()) {
      context.progress(`run ${run + 1} of ${context.runs}: a subscription ${one.name}`);
      values[i]!.push(await measure(context, one));
    }
  }
  report.facts = CASES.map(({ name }, i) => ({
    name: `a subscription ${name}`,
    unit: "B",
    values: values[i]!,
    max: null,
  }));
  return report;
}

/** @returns bytes of each subscription. */
async function measure(
  context: BenchContext,
  { sockets, isShared }: (typeof CASES)[number],
): Promise<number> {
  const { folder } = context;
  const server = await startServer({ folder, name: "subscriptions", workers: 1, flags: FLAGS });
  const clients: Client[] = [];
  try {
    for (let i = 0; i < sockets; i++) clients.push(await Client.open(server.port));
    const before = await settledBytes(server.pid);
    for (const [i, client] of clients.entries()) {
      const symbols = Array.from({ length: TICKERS }, (_, n) => `${isShared ? "ALL" : `OWN${i}`}-${n}`);
      await client.subscribe(symbols);
    }
    return ((await settledBytes(server.pid)) - before) / sockets / TICKERS;
  } finally {
    for (const client of clients) client.end();
    await server.stop();
  }
}

async function settledBytes(pid: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let reading = 0; reading < READINGS; reading++) {
    await Bun.sleep(READING_MS);
    least = Math.min(least, readTreeMemory(pid)[0]!.rssMb * 1024 * 1024);
  }
  return least;
}

/** Counts its frames, and reads none of them: there are 200,000. By the raw reader, for speed. */
class Client {
  #socket: RawWebSocket | null = null;
  #frames = 0;
  #awaited: { frames: number; resolve: () => void } | null = null;

  static async open(port: number): Promise<Client> {
    const client = new Client();
    client.#socket = await RawWebSocket.open(port, "/ws?symbols=", { onText: () => client.#count() });
    return client;
  }

  /** Resolves when the last of the symbols, which have no price, has its heartbeat. */
  async subscribe(symbols: string[]): Promise<void> {
    const done = Promise.withResolvers<void>();
    // The answer to the handshake, that to the message, and a heartbeat for each.
    this.#awaited = { frames: symbols.length + 2, resolve: done.resolve };
    this.#socket!.sendText({ action: "subscribe", symbols, snapshot: false });
    const late = setTimeout(() => done.reject(new Error(`${this.#frames} frames came`)), SUBSCRIBED_MS);
    await done.promise;
    clearTimeout(late);
  }

  #count(): void {
    this.#frames++;
    if (this.#frames === this.#awaited?.frames) this.#awaited.resolve();
  }

  end(): void {
    this.#socket?.[Symbol.dispose]();
  }
}
