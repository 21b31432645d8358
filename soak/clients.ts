/**
 * `npm run soak -- --clients LANGUAGE`: a feed handler and bots of a client, each of a few lines,
 * while workers, the hub and the whole server are killed. What they say themselves is judged: each
 * bot has to have told every trade that the feed was given, once and in order.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../test/support/free-port.ts";
import { randomNumbers } from "../test/support/random.ts";
import { type RunningServer, startServer, waitUntil } from "../test/support/server.ts";
import { Chaos, type Kills } from "./chaos.ts";
import {
  type ClientCommands,
  type ClientFaults,
  type ClientLanguage,
  commandsOf,
  TradesSeen,
} from "./client-programs.ts";

export interface ClientSoakPlan {
  language: ClientLanguage;
  seconds: number;
  workers: number;
  bots: number;
  seed: number;
}

export interface ClientSoakResult {
  trades: number;
  bots: ClientFaults[];
  kills: Kills;
  serverKills: number;
  completeAfterMs: number | null;
  stderr: string;
}

const TICKERS = ["SOAK0", "SOAK1", "SOAK2", "SOAK3"];
/** Trades that the feed is given at once, and the pause after them. */
const BURST = 20;
const BURST_PAUSE_MS = 10;
/** Between two kills of the whole server; workers and hubs die in between. */
const SERVER_KILL_MS = 10_000;
const SERVER_AWAY_MS_MAX = 2_000;
const COMPLETE_MS = 120_000;
const UPDATE_LOG_MB = 100_000;

export async function runClientSoak(plan: ClientSoakPlan): Promise<ClientSoakResult> {
  const commands = commandsOf(plan.language);
  await using resources = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "stock-db-clients-"));
  resources.defer(() => rm(dir, { recursive: true, force: true }));
  const server = resources.use(await RestartableServer.start(plan, join(dir, "soak.db")));
  const random = randomNumbers(plan.seed);
  const programs = resources.use(new Programs(commands, server.url, dir));
  for (let bot = 0; bot < plan.bots; bot++) programs.startBot(bot);
  // A stream without a state begins when it is there: then its state names each ticker.
  await waitUntil("every bot watches", () => programs.areWatching());
  programs.startFeed();
  const endsAt = performance.now() + plan.seconds * 1000;
  let serverKills = 0;
  while (performance.now() < endsAt) {
    await server.underKills(Math.min(endsAt - performance.now(), SERVER_KILL_MS), random);
    if (performance.now() >= endsAt && serverKills > 0) break;
    await server.restart(random() * SERVER_AWAY_MS_MAX);
    serverKills++;
  }
  await programs.endFeed();
  const restsSince = performance.now();
  const isComplete = await waitUntil("every bot has all", () => programs.areComplete(), COMPLETE_MS).catch(
    () => false,
  );
  return {
    trades: [...programs.sent.values()].reduce((sum, count) => sum + count, 0),
    bots: programs.bots.map((bot) => bot.faults(programs.sent)),
    kills: server.kills,
    serverKills,
    completeAfterMs: isComplete ? performance.now() - restsSince : null,
    stderr: programs.stderr,
  };
}

/** @returns lines for whoever reads them, and whether nothing was wrong. */
export function formatClientSoak(result: ClientSoakResult): { text: string; isGood: boolean } {
  const sum = (name: keyof ClientFaults) => result.bots.reduce((all, bot) => all + bot[name], 0);
  const faults = { lost: sum("lost"), repeated: sum("repeated"), outOfOrder: sum("outOfOrder") };
  const isGood = result.completeAfterMs !== null && faults.lost + faults.repeated + faults.outOfOrder === 0;
  const { worker, hub } = result.kills;
  const lines = [
    `trades given to the feed  ${result.trades}`,
    `kills                     ${worker} workers, ${hub} hubs, ${result.serverKills} servers`,
    `bots                      ${result.bots.length}`,
    `complete                  ${result.completeAfterMs === null ? "no" : `after ${Math.round(result.completeAfterMs)} ms`}`,
    `lost / repeated / out of order  ${faults.lost} / ${faults.repeated} / ${faults.outOfOrder}`,
  ];
  if (!isGood) lines.push("what the programs said:", result.stderr);
  return { text: lines.join("\n"), isGood };
}

/** One address and database, over kills of all its processes. */
class RestartableServer implements AsyncDisposable {
  readonly kills: Kills = { worker: 0, hub: 0, broker: 0 };
  readonly #plan: ClientSoakPlan;
  readonly #dbFile: string;
  readonly #port: number;
  #running: RunningServer;

  static async start(plan: ClientSoakPlan, dbFile: string): Promise<RestartableServer> {
    const port = await freePort();
    return new RestartableServer(plan, dbFile, port, await startOne(plan, dbFile, port));
  }

  private constructor(plan: ClientSoakPlan, dbFile: string, port: number, running: RunningServer) {
    this.#plan = plan;
    this.#dbFile = dbFile;
    this.#port = port;
    this.#running = running;
  }

  get url(): string {
    return this.#running.url;
  }

  /** Workers and hubs die for that time. */
  async underKills(ms: number, random: () => number): Promise<void> {
    const chaos = new Chaos({ servers: [this.#running], workers: this.#plan.workers, broker: null }, random);
    chaos.start();
    await Bun.sleep(Math.max(0, ms));
    await chaos.stop();
    this.kills.worker += chaos.kills.worker;
    this.kills.hub += chaos.kills.hub;
  }

  /** All its processes die at once. */
  async restart(awayMs: number): Promise<void> {
    await this.#running.stop("SIGKILL");
    await Bun.sleep(awayMs);
    this.#running = await startOne(this.#plan, this.#dbFile, this.#port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running[Symbol.asyncDispose]();
  }
}

function startOne({ workers }: ClientSoakPlan, dbFile: string, port: number): Promise<RunningServer> {
  return startServer({
    workers,
    dbFile,
    flags: ["--port", String(port), "--update-log-mb", String(UPDATE_LOG_MB), "--heartbeat-interval", "0.5"],
  });
}

type Program = Bun.Subprocess<"pipe", "pipe", "pipe">;

/** A feed and bots as processes. */
class Programs implements AsyncDisposable {
  readonly bots: TradesSeen[] = [];
  /** Trades that the feed was given, by ticker. */
  readonly sent = new Map(TICKERS.map((ticker) => [ticker, 0]));
  stderr = "";
  readonly #commands: ClientCommands;
  readonly #url: string;
  readonly #dir: string;
  readonly #running: Program[] = [];
  #feed: Program | null = null;
  #feeding: Promise<void> = Promise.resolve();
  #isEnding = false;

  constructor(commands: ClientCommands, url: string, dir: string) {
    this.#commands = commands;
    this.#url = url;
    this.#dir = dir;
  }

  startBot(number: number): void {
    const seen = new TradesSeen();
    this.bots.push(seen);
    const bot = this.#start(this.#commands.bot(this.#url, this.#stateOf(number), TICKERS));
    void readTo(bot.stdout, (text) => seen.take(text));
  }

  startFeed(): void {
    this.#feed = this.#start(this.#commands.feed(this.#url, join(this.#dir, "feed.spool")));
    this.#feeding = this.#give(this.#feed);
  }

  /** The end of its input; resolves when it has ended, which says that all is stored. */
  async endFeed(): Promise<void> {
    this.#isEnding = true;
    await this.#feeding;
    const code = await this.#feed!.exited;
    if (code !== 0) throw new Error(`the feed ended with ${code}: ${this.stderr}`);
  }

  async areWatching(): Promise<boolean> {
    const states = await Promise.all(this.bots.map((_, number) => readFile(this.#stateOf(number), "utf8")));
    return states.every((state) => TICKERS.every((ticker) => state.includes(ticker)));
  }

  areComplete(): boolean {
    return this.bots.every(({ sizes }) =>
      [...this.sent].every(([ticker, count]) => sizes.get(ticker)?.at(-1) === count),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    for (const program of this.#running) program.kill("SIGKILL");
    await Promise.all(this.#running.map(({ exited }) => exited));
  }

  #stateOf(number: number): string {
    return join(this.#dir, `bot-${number}.json`);
  }

  #start(command: string[]): Program {
    const program = Bun.spawn(command, {
      env: { ...process.env, ...this.#commands.env },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#running.push(program);
    void readTo(program.stderr, (text) => {
      this.stderr += text;
    });
    return program;
  }

  async #give({ stdin }: Program): Promise<void> {
    while (!this.#isEnding) {
      for (let i = 0; i < BURST; i++) {
        const ticker = TICKERS[i % TICKERS.length]!;
        const size = this.sent.get(ticker)! + 1;
        this.sent.set(ticker, size);
        stdin.write(`${ticker} ${size}\n`);
      }
      await stdin.flush();
      await Bun.sleep(BURST_PAUSE_MS);
    }
    await stdin.end();
  }
}

async function readTo(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const bytes of stream) take(decoder.decode(bytes, { stream: true }));
}
