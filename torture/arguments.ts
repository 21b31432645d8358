/** The flags of the torture. */
import { parseArgs } from "node:util";
import { ENGINES, type EngineName, readCount, readWord } from "../test/support/flags.ts";

export interface TortureArguments {
  engines: EngineName[];
  workers: number[];
  /** Of each storm. */
  seconds: number;
  /** Part of an attack's name; null: all attacks. */
  only: string | null;
  /** Null: latencies are printed, not judged, as they depend on the machine. */
  p99Ms: number | null;
  seed: number;
}

const WORKERS = [1, 3];
const P99_MS = 50;

export const TORTURE_HELP = `npm run torture -- [flags]
  --engine E      sqlite, duckdb, postgres, or all (default)
  --workers N     1, 3, or both (default)
  --seconds S     time of each storm (default 8)
  --only TEXT     only attacks with this in their name
  --p99-ms N      what other clients may wait at the 99th percentile; 0 judges no latency (default ${P99_MS})
  --seed N        of what happens at random (default: another each time)
  --list          print the attacks and end`;

/** @throws Error With a sentence for the user. */
export function readTortureArguments(argv: string[]): TortureArguments | "help" | "list" {
  const { values } = parseArgs({
    args: argv,
    options: {
      engine: { type: "string", default: "all" },
      workers: { type: "string", default: "both" },
      seconds: { type: "string", default: "8" },
      only: { type: "string" },
      "p99-ms": { type: "string", default: String(P99_MS) },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  if (values.list) return "list";
  const p99Ms = readCount("--p99-ms", values["p99-ms"], { min: 0, max: 60_000 });
  return {
    engines: values.engine === "all" ? [...ENGINES] : [readWord("--engine", values.engine, ENGINES)],
    workers:
      values.workers === "both" ? WORKERS : [readCount("--workers", values.workers, { min: 1, max: 16 })],
    seconds: readCount("--seconds", values.seconds, { min: 1, max: 3_600 }),
    only: values.only ?? null,
    p99Ms: p99Ms === 0 ? null : p99Ms,
    seed: readCount("--seed", values.seed, { min: 0, max: 2 ** 32 }),
  };
}
