/** The flags of the fuzz. */
import { parseArgs } from "node:util";
import { ENGINES, type EngineName, readCount, readWord } from "../../test/support/flags.ts";
import { FUZZES } from "./fuzzes.ts";

export interface FuzzArguments {
  engine: EngineName;
  workers: number;
  /** Of all kinds together. */
  seconds: number;
  seed: number;
  /** A kind, or null: all. */
  only: string | null;
}

export const FUZZ_HELP = `npm run fuzz -- [flags]
  --engine E      sqlite (default), duckdb or postgres
  --workers N     (default 2)
  --seconds S     of all kinds together (default 60; an hour is 3600)
  --only KIND     one of ${FUZZES.map(({ name }) => name).join(", ")}
  --seed N        the same input again (default: another each time)`;

/** @throws Error With a sentence for the user. */
export function readFuzzArguments(argv: string[]): FuzzArguments | "help" {
  const { values } = parseArgs({
    args: argv,
    options: {
      engine: { type: "string", default: "sqlite" },
      workers: { type: "string", default: "2" },
      seconds: { type: "string", default: "60" },
      only: { type: "string" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const kinds = FUZZES.map(({ name }) => name);
  return {
    engine: readWord("--engine", values.engine, ENGINES),
    workers: readCount("--workers", values.workers, { min: 1, max: 16 }),
    seconds: readCount("--seconds", values.seconds, { min: 1, max: 1_000_000 }),
    seed: readCount("--seed", values.seed, { min: 1, max: 2 ** 31 }),
    only: values.only === undefined ? null : readWord("--only", values.only, kinds),
  };
}
