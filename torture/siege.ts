/**
 * One server with its other clients, which attacks are let loose on one after the other; each is
 * judged by itself. At the end, what the other clients were promised is held against what is
 * stored, and the server has to stop, pass `doctor` and start again.
 */
import { constants, setPriority } from "node:os";
import type { EngineName } from "../test/support/flags.ts";
import { runCli } from "../test/support/run-cli.ts";
import { BUN_LAUNCHER, type RunningServer, startServer, waitUntil } from "../test/support/server.ts";
import type { TortureArguments } from "./arguments.ts";
import type { Attack, Target } from "./attack.ts";
import { type RunningBystanders, startBystanders } from "./bystanders.ts";
import type { Window } from "./bystanders-protocol.ts";
import { compareFingerprints, type Fingerprint, fingerprintOf } from "./fingerprint.ts";
import { MemoryWatch } from "./memory.ts";
import { aimAt } from "./target.ts";

/** Of the server; it leaves SQL runners enough for what is asked of them. */
const MEMORY_MB = 1_536;
/** What is seen between two looks of the server's own watch. */
const MEMORY_SLACK_MB = 256;
const SQL_TIMEOUT_S = 5;
/** Nobody waits so long for a server that works, on however slow a machine. */
const HANG_MS = 30_000;
const READY_MS = 60_000;
const STOP_MS = 45_000;
/**
 * Time in which other clients have asked some hundred times; without a judgement of latencies, a
 * few times.
 */
const WINDOW_MS = 3_000;
const WINDOW_UNJUDGED_MS = 500;
const COMPLAINTS_MAX = 12;
/** Lines that no client should be able to cause. */
const FAULTS = /\[CRITICAL\]|Unexpected:|Request failed outside|broke off with exit code/;

export interface AttackResult {
  attack: Attack;
  complaints: string[];
  window: Window | null;
  peakMb: number;
}

export interface SiegeResult {
  attacks: AttackResult[];
  /** Of the end. */
  complaints: string[];
  answeredSaves: number;
  updatesSeen: number;
}

export interface SiegePlan extends Pick<TortureArguments, "seconds" | "p99Ms" | "seed"> {
  engine: EngineName;
  workers: number;
  /** Path or connection string of a database that is empty. */
  database: string;
  attacks: readonly Attack[];
}

/** @param progress gets a result as soon as it is there. */
export async function besiege(
  plan: SiegePlan,
  progress: (result: AttackResult) => void,
): Promise<SiegeResult> {
  const siege = await Siege.begin(plan);
  const results: AttackResult[] = [];
  try {
    for (const attack of plan.attacks) {
      const result = await siege.attack(attack);
      results.push(result);
      progress(result);
      if (siege.hasFallen) break;
    }
    const end = await siege.end();
    return { attacks: results, ...end };
  } finally {
    await siege.abandon();
  }
}

class Siege {
  readonly #plan: SiegePlan;
  #server: RunningServer;
  readonly #bystanders: RunningBystanders;
  readonly #memory: MemoryWatch;
  readonly #target: Target;
  readonly #before: Fingerprint;
  #complaints: string[] = [];
  #ended = false;
  hasFallen = false;

  static async begin(plan: SiegePlan): Promise<Siege> {
    const server = await startServer(serverOptions(plan));
    void server.exited.then(() => undefined);
    const memory = new MemoryWatch(server.pid);
    const complaints: string[] = [];
    const target = aimAt(server, { ...plan, complain: (what) => void complaints.push(what) });
    await ready(target);
    const before = await fingerprintOf(target);
    const { wsUrl, port, url } = server;
    const bystanders = await startBystanders({ wsUrl, port, url, seed: plan.seed });
    stepBack();
    return new Siege({ plan, server, bystanders, memory, target, before, complaints });
  }

  private constructor(parts: {
    plan: SiegePlan;
    server: RunningServer;
    bystanders: RunningBystanders;
    memory: MemoryWatch;
    target: Target;
    before: Fingerprint;
    complaints: string[];
  }) {
    this.#plan = parts.plan;
    this.#server = parts.server;
    this.#bystanders = parts.bystanders;
    this.#memory = parts.memory;
    this.#target = parts.target;
    this.#before = parts.before;
    this.#complaints = parts.complaints;
    void this.#server.exited.then(() => {
      this.hasFallen = !this.#ended;
    });
  }

  async attack(attack: Attack): Promise<AttackResult> {
    const complaints = this.#complaints;
    complaints.length = 0;
    const logFrom = this.#server.log().length;
    const startedAt = performance.now();
    this.#memory.takePeakMb();
    await this.#bystanders.window();
    try {
      await attack.run(this.#target);
    } catch (error) {
      complaints.push(`the attack broke off: ${error instanceof Error ? error.message : String(error)}`);
    }
    // Else the p99 of a short attack would be its worst answer.
    const windowMs = this.#plan.p99Ms === null ? WINDOW_UNJUDGED_MS : WINDOW_MS;
    await Bun.sleep(Math.max(0, windowMs - (performance.now() - startedAt)));
    if (this.hasFallen) {
      const last = this.#server.log().slice(logFrom).slice(-2_000);
      return result(attack, [...complaints, `the server has ended; its last lines:\n${last}`], null, 0);
    }
    const window = await this.#bystanders.window();
    const peakMb = this.#memory.takePeakMb();
    complaints.push(
      ...judgeWindow(attack, window, this.#plan.p99Ms),
      ...judgeMemory(peakMb),
      ...judgeLog(attack, this.#server.log().slice(logFrom)),
    );
    await ready(this.#target).catch((error: Error) => complaints.push(error.message));
    return result(attack, complaints, window, peakMb);
  }

  async end(): Promise<Pick<SiegeResult, "complaints" | "answeredSaves" | "updatesSeen">> {
    if (this.hasFallen) return { complaints: [], answeredSaves: 0, updatesSeen: 0 };
    const { violations, ...seen } = await this.#bystanders.finish();
    const complaints = [
      ...violations,
      ...compareFingerprints(this.#before, await fingerprintOf(this.#target)),
    ];
    complaints.push(...(await this.#stopAndStartAgain()));
    return { complaints, ...seen };
  }

  async abandon(): Promise<void> {
    this.#ended = true;
    this.#memory.stop();
    await this.#bystanders.stop();
    await dispose(this.#server);
  }

  async #stopAndStartAgain(): Promise<string[]> {
    this.#ended = true;
    const code = await this.#server.stop("SIGTERM", STOP_MS);
    const complaints = code === 0 ? [] : [`the server ended with ${code}, expected 0`];
    const { engine, database } = this.#plan;
    // PostgreSQL's role here is a superuser, which doctor rightly dislikes.
    if (engine !== "postgres") {
      const doctor = await runCli(["doctor", "--db-file", database]);
      if (doctor.code !== 0)
        complaints.push(`doctor ended with ${doctor.code}: ${doctor.stdout.slice(0, 2_000)}${doctor.stderr}`);
    }
    await using again = await startServer(serverOptions(this.#plan));
    const target = aimAt(again, { ...this.#plan, complain: (what) => void complaints.push(what) });
    await ready(target);
    complaints.push(...compareFingerprints(this.#before, await fingerprintOf(target)));
    return complaints.map((what) => `after the end: ${what}`);
  }
}

/** A server of its own for one attack, without other clients. */
export async function attackAlone(plan: SiegePlan, attack: Attack): Promise<AttackResult> {
  const complaints: string[] = [];
  const usual = serverOptions(plan);
  const launcher = attack.ownServer?.launcher?.(BUN_LAUNCHER);
  const server = await startServer({
    ...usual,
    flags: [...usual.flags, ...(attack.ownServer?.flags ?? [])],
    ...(launcher === undefined ? {} : { launcher }),
  });
  const memory = new MemoryWatch(server.pid);
  try {
    const target = aimAt(server, { ...plan, complain: (what) => void complaints.push(what) });
    await ready(target);
    await attack.run(target);
    complaints.push(...judgeMemory(memory.takePeakMb()), ...judgeLog(attack, server.log()));
  } catch (error) {
    complaints.push(`the attack broke off: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    memory.stop();
    await server.stop("SIGTERM", STOP_MS).catch((error: Error) => complaints.push(error.message));
    await dispose(server);
  }
  return result(attack, complaints, null, memory.takePeakMb());
}

/**
 * An attacker has a machine of his own. Here his work would be taken from the processors of the
 * server and its other clients, so he gets what they leave. Processes that were started before keep
 * their priority.
 */
function stepBack(): void {
  setPriority(constants.priority.PRIORITY_LOW);
}

function serverOptions({ engine, workers, database }: SiegePlan) {
  const engineFlags = {
    sqlite: [],
    duckdb: ["--duckdb-memory-mb", "256"],
    postgres: ["--db-pool-size", "6"],
  };
  return {
    workers,
    dbFile: database,
    flags: [
      ...["--sample", "--sql-timeout", String(SQL_TIMEOUT_S), "--memory-mb", String(MEMORY_MB)],
      ...engineFlags[engine],
    ],
  };
}

function result(attack: Attack, complaints: string[], window: Window | null, peakMb: number): AttackResult {
  const more = complaints.length - COMPLAINTS_MAX;
  const kept = complaints.slice(0, COMPLAINTS_MAX);
  return { attack, complaints: more > 0 ? [...kept, `… and ${more} more`] : [...kept], window, peakMb };
}

function judgeWindow(attack: Attack, window: Window, p99Ms: number | null): string[] {
  const complaints: string[] = [];
  const { requests, sql } = window;
  if (attack.mayDelay === undefined) {
    if (p99Ms !== null && requests.p99 > p99Ms)
      complaints.push(
        `other clients waited ${Math.round(requests.p99)} ms at p99, at most ${p99Ms} ms are allowed`,
      );
    const worst = Math.max(requests.worst, sql.worst);
    if (worst > HANG_MS) complaints.push(`another client waited ${Math.round(worst / 1000)} s`);
  }
  if (attack.mayRefuse === undefined && window.refusedCount > 0)
    complaints.push(`${window.refusedCount} requests of others were refused: ${window.refused.join(" | ")}`);
  if (attack.mayRefuse === undefined && attack.mayRefuseSql === undefined && window.sqlRefused !== null)
    complaints.push(`SQL of another address was refused: ${window.sqlRefused}`);
  if (attack.mayRefuse === undefined && window.broken > 0)
    complaints.push(`${window.broken} connections of others broke`);
  return complaints;
}

function judgeMemory(peakMb: number): string[] {
  const most = MEMORY_MB + MEMORY_SLACK_MB;
  return peakMb > most ? [`the server's processes took ${peakMb} MB, at most ${most} MB are allowed`] : [];
}

function judgeLog({ expects = [] }: Attack, log: string): string[] {
  return log
    .split("\n")
    .filter((line) => FAULTS.test(line) && !expects.some((expected) => expected.test(line)))
    .slice(0, COMPLAINTS_MAX)
    .map((line) => `the log says: ${line.slice(0, 400)}`);
}

/** A server that has ended before is told of elsewhere. */
async function dispose(server: RunningServer): Promise<void> {
  try {
    await server[Symbol.asyncDispose]();
  } catch {
    // It says why on standard error.
  }
}

async function ready(target: Target): Promise<void> {
  let last = "";
  await waitUntil(
    "the server is ready again, for SQL too",
    async () => {
      const { status, text } = await target.get("/ready");
      last = text;
      if (status !== 200) return false;
      const sql = await target.sql("select", "SELECT 1 AS one");
      last = sql.text;
      return sql.status === 200;
    },
    READY_MS,
  ).catch((error: Error) => {
    throw new Error(`${error.message}: ${last.slice(0, 300)}`);
  });
}
