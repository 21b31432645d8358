/** The flags of the fuzz. */
import { parseArgs } from "node:util";
import { ENGINES, type EngineName } from "../arguments.ts";
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
  const engine = ENGINES.find((name) => name === values.engine);
  if (engine === undefined)
    throw new Error(`--engine ${values.engine}: expected one of ${ENGINES.join(", ")}`);
  if (values.only !== undefined && !FUZZES.some(({ name }) => name === values.only))
    throw new Error(`--only ${values.only}: expected one of ${FUZZES.map(({ name }) => name).join(", ")}`);
  return {
    engine,
    workers: readCount("--workers", values.workers, 16),
    seconds: readCount("--seconds", values.seconds, 1_000_000),
    seed: readCount("--seed", values.seed, 2 ** 31),
    only: values.only ?? null,
  };
}

function readCount(flag: string, text: string, max: number): number {
  const value = Number(text);
  if (!(Number.isInteger(value) && value >= 1 && value <= max))
    throw new Error(`${flag} ${text}: expected a whole number from 1 to ${max}`);
  return value;
}
