/**
 * One soak: servers, writers, subscribers, kills; then rest, and judgement. Nothing in here waits
 * for a time to pass but the load itself.
 */
import { randomNumbers } from "../test/support/random.ts";
import { type RunningServer, startServer, waitUntil } from "../test/support/server.ts";
import { untilReady } from "../test/support/server-processes.ts";
import { Subscriber } from "../test/support/subscriber.ts";
import type { SoakArguments } from "./arguments.ts";
import { Books, type TickerBook } from "./books.ts";
import type { Broker } from "./broker.ts";
import { Chaos, type Kills } from "./chaos.ts";
import { judgeStored, judgeSubscriber, type StoredTicker } from "./judge.ts";
import type { Kind } from "./numbered-saves.ts";
import { SeenUpdates } from "./seen-updates.ts";
import { readStored } from "./stored-updates.ts";
import { SoakSubscriber, type Style } from "./subscriber.ts";
import { SubscriberCheck } from "./subscriber-check.ts";
import { Violations } from "./violations.ts";
import { Writers } from "./writers.ts";

export interface SoakPlan
  extends Pick<SoakArguments, "seconds" | "workers" | "writers" | "subscribers" | "seed"> {
  /** How many servers, each with these flags. */
  servers: number;
  flags: string[];
  /** Default: a new SQLite file. */
  database?: string;
  broker: Broker | null;
  /** At random, or exactly these, evenly over the time. */
  kills: "random" | (keyof Kills)[];
}

export interface SoakResult {
  tickers: { book: TickerBook; updates: number }[];
  subscribers: SoakSubscriber[];
  kills: Kills;
  /**
   * From the last answered save until every subscriber had everything; null: not within the
   * deadline.
   */
  completeAfterMs: number | null;
  violations: Violations;
  /** Of each server. */
  warnings: string[];
}

const FIRST_TICKERS = ["SOAK0", "SOAK1", "SOAK2", "SOAK3", "QUIET"];
/** Nobody saves to them at first. */
const LATER_TICKERS = ["NEW0", "NEW1", "NEW2", "NEW3"];
const TICKERS = [...FIRST_TICKERS, ...LATER_TICKERS];
/** By this share of the time all of them are there. */
const NEW_SHARE = 0.6;
/** Sockets that watch a new ticker by name in the moment of its first save, and go. */
const PASSERS_BY = 4;
const PASSING_MS = 200;
const STYLES: Style[] = ["symbol", "symbols", "types", "*", "messages", "symbol, since 0"];
const TYPES: Kind[][] = [["trade"], ["quote", "bar"], ["bar"], ["depth", "trade"]];
/** Subscribers come one after the other during this share of the time. */
const ARRIVING_SHARE = 0.2;
const EVERY_TICKER_MS = 60_000;
const COMPLETE_MS = 120_000;
/** After the writers and the kills. */
const FIRST_SUBSCRIBER = 2;
const WARNINGS_MAX = 60;
const ACTORS_MAX = 10_000;
/** Far more than one soak writes: a position that isn't kept any more would be a loss. */
const UPDATE_LOG_MB = 100_000;

/** @param progress gets a line now and then. */
export async function runSoak(plan: SoakPlan, progress: (line: string) => void): Promise<SoakResult> {
  await using servers = new AsyncDisposableStack();
  const running: RunningServer[] = [];
  for (let i = 0; i < plan.servers; i++) running.push(servers.use(await startOne(plan)));

  // Of each its own: how fast the others are must not change what it chooses.
  const randomOf = (actor: number) => randomNumbers(plan.seed * ACTORS_MAX + actor);
  const violations = new Violations();
  const books = new Books(TICKERS);
  const seen = new Map(TICKERS.map((ticker) => [ticker, new SeenUpdates()]));
  const subscribers = Array.from({ length: plan.subscribers }, (_, i) => {
    const random = randomOf(FIRST_SUBSCRIBER + i);
    const check = new SubscriberCheck(interestOf(i, random), (ticker) => seen.get(ticker)!, violations);
    const { wsUrl } = running[i % running.length]!;
    return new SoakSubscriber(check, styleOf(i), wsUrl, random);
  });
  const writers = new Writers(books, violations, randomOf(0));
  const chaos = new Chaos({ servers: running, workers: plan.workers, broker: plan.broker }, randomOf(1));
  try {
    writers.start(
      running.map(({ port }) => port),
      plan.writers,
      FIRST_TICKERS.length,
    );
    const begin = (): void => passBy(running, writers.nextTicker());
    await underLoad(plan, { subscribers, chaos, begin });
    // A slow machine may not have come to all of them, of which the last is seldom chosen.
    await waitUntil(
      "every ticker was saved to",
      () => books.tickers.every(({ answeredSaves }) => answeredSaves > 0),
      EVERY_TICKER_MS,
    );
    progress("resting");
    await chaos.stop();
    await writers.stop();
    const restsSince = performance.now();
    for (const subscriber of subscribers) subscriber.settle();
    await Promise.all(running.map(untilReady));

    const stored = new Map<string, StoredTicker>();
    for (const book of books.tickers) {
      const updates = readStored(running[0]!.url, book.ticker);
      const ticker = { book, seen: seen.get(book.ticker)!, stored: updates };
      stored.set(book.ticker, await judgeStored(ticker, violations));
    }
    const isComplete = await untilComplete(subscribers, stored);
    const completeAfterMs = isComplete ? performance.now() - restsSince : null;
    for (const { check } of subscribers) judgeSubscriber(check, stored, violations);
    const tickers = books.tickers.map((book) => ({ book, updates: stored.get(book.ticker)!.length - 1 }));
    const warnings = running.map((server, i) => warningsOf(server, i));
    return { tickers, subscribers, kills: chaos.kills, completeAfterMs, violations, warnings };
  } finally {
    await chaos.stop();
    await writers.stop();
    for (const subscriber of subscribers) subscriber.end();
  }
}

function startOne(plan: SoakPlan): Promise<RunningServer> {
  return startServer({
    workers: plan.workers,
    flags: ["--update-log-mb", String(UPDATE_LOG_MB), "--heartbeat-interval", "0.5", ...plan.flags],
    ...(plan.database === undefined ? {} : { dbFile: plan.database }),
  });
}

/** What a server found worth a warning, for whoever looks for the cause of a violation. */
function warningsOf(server: RunningServer, index: number): string {
  const lines = server
    .log()
    .split("\n")
    .filter((line) => /\[(WARNING|ERROR|CRITICAL)\]/.test(line))
    .slice(-WARNINGS_MAX);
  return `server ${index}, its last warnings:\n${lines.join("\n")}`;
}

function styleOf(index: number): Style {
  return STYLES[index % STYLES.length]!;
}

function interestOf(index: number, random: () => number): SubscriberCheck["interest"] {
  const style = styleOf(index);
  const name = `subscriber ${index} (${style})`;
  const start = Math.floor(random() * TICKERS.length);
  const several = (count: number) =>
    Array.from({ length: count }, (_, i) => TICKERS[(start + i) % TICKERS.length]!);
  if (style === "*")
    return { name, tickers: null, types: random() < 0.5 ? null : TYPES[index % TYPES.length]! };
  if (style.startsWith("symbol") && style !== "symbols") return { name, tickers: several(1), types: null };
  const types = style === "types" || (style === "messages" && random() < 0.5) ? randomTypes(random) : null;
  return { name, tickers: several(2 + Math.floor(random() * 3)), types };
}

function randomTypes(random: () => number): Kind[] {
  return TYPES[Math.floor(random() * TYPES.length)]!;
}

async function underLoad(
  plan: SoakPlan,
  { subscribers, chaos, begin }: { subscribers: SoakSubscriber[]; chaos: Chaos; begin(): void },
): Promise<void> {
  const ms = plan.seconds * 1000;
  const arrivals = subscribers.map((subscriber, i) =>
    setTimeout(() => subscriber.start(), (i / subscribers.length) * ARRIVING_SHARE * ms),
  );
  LATER_TICKERS.forEach((_, i) => {
    arrivals.push(setTimeout(begin, ((i + 1) / LATER_TICKERS.length) * NEW_SHARE * ms));
  });
  try {
    if (plan.kills === "random") {
      chaos.start();
      await Bun.sleep(ms);
      return;
    }
    const pause = ms / (plan.kills.length + 1);
    for (const victim of plan.kills) {
      await Bun.sleep(pause);
      await waitUntil(`a ${victim} is killed`, () => chaos.kill(victim));
    }
    await Bun.sleep(pause);
  } finally {
    for (const timer of arrivals) clearTimeout(timer);
  }
}

/** Whoever opens a ticker by name must not take anything from those who watch all of them. */
function passBy(servers: readonly RunningServer[], ticker: string): void {
  for (let i = 0; i < PASSERS_BY; i++) {
    // A worker that was just killed doesn't let it in, which is no fault.
    const passer = Subscriber.connect(servers[i % servers.length]!.wsUrl, ticker);
    setTimeout(() => passer.leave(), PASSING_MS);
  }
}

/**
 * @returns false: some subscriber still lacks something at the deadline, which its judgement tells.
 */
async function untilComplete(
  subscribers: readonly SoakSubscriber[],
  stored: ReadonlyMap<string, StoredTicker>,
): Promise<boolean> {
  const hasAll = ({ check }: SoakSubscriber) =>
    [...(check.interest.tickers ?? stored.keys())].every((ticker) => {
      const newest = stored.get(ticker)!.length - 1;
      const of = check.tickers.get(ticker);
      return newest === 0 || (of !== undefined && of.last >= newest && of.heartbeat >= newest);
    });
  const deadline = performance.now() + COMPLETE_MS;
  while (performance.now() < deadline) {
    if (subscribers.every(hasAll)) return true;
    await Bun.sleep(50);
  }
  return false;
}
