/**
 * Runs the kinds of random input against one server, and says what did harm, as small as it could
 * be made.
 */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { get } from "../../test/support/requests.ts";
import { type RunningServer, startServer } from "../../test/support/server.ts";
import { childrenOf, roleOf } from "../../test/support/server-processes.ts";
import { compareFingerprints, fingerprintOf } from "../fingerprint.ts";
import { MemoryWatch } from "../memory.ts";
import { aimAt } from "../target.ts";
import type { FuzzArguments } from "./arguments.ts";
import { FUZZES, type Fuzz, type FuzzTarget } from "./fuzzes.ts";

/** What memory may be more at the end than after the first third; caches fill. */
const GROWTH_MB_MAX = 200;
const REST_MS = 3_000;
const FAULTS = /\[CRITICAL\]|Unexpected:|Request failed outside|broke off with exit code/;
const RUNS_MAX = 2 ** 30;
const SHOWN_CHARACTERS = 3_000;

export interface FuzzResult {
  name: string;
  runs: number;
  /** Null: it held. */
  harm: string | null;
}

export interface FuzzRun {
  results: FuzzResult[];
  /** Of the end. */
  complaints: string[];
}

/** @param runtimeDir an empty folder for the server's sockets. */
export async function runFuzz(
  args: Omit<FuzzArguments, "only"> & { only?: string | null; database: string; runtimeDir: string },
  progress: (result: FuzzResult) => void = () => undefined,
): Promise<FuzzRun> {
  mkdirSync(args.runtimeDir, { recursive: true, mode: 0o700 });
  await using server = await startServer({
    workers: args.workers,
    dbFile: args.database,
    flags: ["--sample", "--sql-timeout", "3"],
    env: { XDG_RUNTIME_DIR: args.runtimeDir },
  });
  const complaints: string[] = [];
  const target = targetOf(server, args, complaints);
  const before = await fingerprintOf(target);
  const pids = pidsOf(server);
  const memory = new MemoryWatch(server.pid);
  const chosen = FUZZES.filter(({ name }) => args.only == null || name === args.only);
  const results: FuzzResult[] = [];
  const seconds = args.seconds / chosen.length;
  // In two rounds, so that what the second adds to the memory is seen.
  const peaks: number[] = [];
  for (const [round, share] of [1 / 3, 2 / 3].entries()) {
    for (const fuzz of chosen) {
      const result = await runOne(fuzz, target, seconds * share, args.seed + round);
      results.push(result);
      progress(result);
    }
    await Bun.sleep(REST_MS);
    memory.takePeakMb();
    await Bun.sleep(100);
    peaks.push(memory.takePeakMb());
  }
  memory.stop();
  const [first = 0, last = 0] = peaks;
  if (last - first > GROWTH_MB_MAX)
    complaints.push(
      `memory at rest grew from ${first} to ${last} MB, at most ${GROWTH_MB_MAX} MB more are allowed`,
    );
  const after = pidsOf(server);
  for (const [pid, role] of pids) if (!after.has(pid)) complaints.push(`${role} ${pid} has ended`);
  // The random statements may change rows, but no object of the server.
  const differences = compareFingerprints({ ...before, rows: {} }, await fingerprintOf(target));
  const faults = server
    .log()
    .split("\n")
    .filter((line) => FAULTS.test(line));
  complaints.push(...differences, ...faults.slice(0, 5));
  const ready = await get(`${server.url}/ready`);
  if (ready.status !== 200) complaints.push(`/ready: ${JSON.stringify(ready.body)}`);
  return { results, complaints: [...new Set(complaints)] };
}

async function runOne(fuzz: Fuzz, target: FuzzTarget, seconds: number, seed: number): Promise<FuzzResult> {
  const property = fc.asyncProperty(fuzz.input(target), (input) => fuzz.send(target, input));
  const details = await fc.check(property, {
    seed,
    numRuns: RUNS_MAX,
    interruptAfterTimeLimit: seconds * 1_000,
    markInterruptAsFailure: false,
    // What did harm is made smaller only as long as the time lasts.
    skipAllAfterTimeLimit: seconds * 2_000 + 10_000,
  });
  const harm =
    details.failed && details.counterexample !== null
      ? `${String(details.errorInstance)}\n  seed ${details.seed}, path ${details.counterexamplePath}: ${fc
          .stringify(details.counterexample[0])
          .slice(0, SHOWN_CHARACTERS)}`
      : null;
  return { name: fuzz.name, runs: details.numRuns, harm };
}

function targetOf(
  server: RunningServer,
  args: Pick<FuzzArguments, "engine" | "workers" | "seconds" | "seed"> & { runtimeDir: string },
  complaints: string[],
): FuzzTarget {
  const folder = readdirSync(args.runtimeDir).find((name) => name.startsWith("stock-db-server-"));
  if (folder === undefined) throw new Error(`no folder of the server in ${args.runtimeDir}`);
  const target = aimAt(server, { ...args, complain: (what) => void complaints.push(what) });
  return Object.assign(target, { hubSocket: join(args.runtimeDir, folder, "hub.sock") });
}

/** Role of each process but the SQL runners, which come and go. */
function pidsOf(server: RunningServer): Map<number, string> {
  const roles = childrenOf(server.pid).map((pid): [number, string] => [pid, roleOf(pid)]);
  return new Map(roles.filter(([, role]) => role === "hub" || role === "worker"));
}
