/** The benchmark's own flags. */
import { parseArgs } from "node:util";
import { ENGINES, type EngineName, readWord } from "../test/support/flags.ts";

export interface BenchArguments {
  runs: number;
  seconds: number;
  /** Keys of the scenarios to run, in their own order; null = all. */
  only: string[] | null;
  /** Of the scenario `engines`. */
  engines: EngineName[];
  json: boolean;
  markdown: boolean;
  floorsOnly: boolean;
  /** Write the plots of docs/. */
  plots: boolean;
  /** Folder for the databases; null = the system's temporary folder. */
  dir: string | null;
}

export const BENCH_HELP = `npm run bench -- [flags]
  --runs N          measurements of each target, interleaved (default 5; engines alone: 3; latency: 1)
  --seconds S       length of one measurement (default 2.5; engines alone: 1.5; latency: 5)
  --only A,B        some of: price, bars, saves, fanout, fanout200, bulk, million, memory,
                    stopping; and engines, import, imports, latency, subscriptions, answers,
                    duckdb-bulk, columns and questions, which run only when they are named
  --engines A,B     --only engines, and of these: sqlite, duckdb, postgres (default all)
  --dir FOLDER      put the databases on this folder's disk (default: the temporary folder)
  --floors-only     measure the bare servers alone
  --plots           write the plots of what was measured to docs/plots
  --markdown        print the tables as Markdown
  --json            print everything measured as JSON`;

/** @throws Error With a sentence for the user: an unknown flag or a wrong value. */
export function readBenchArguments(argv: string[], keys: string[]): BenchArguments | "help" {
  const { values } = parseArgs({
    args: argv,
    options: {
      runs: { type: "string" },
      seconds: { type: "string" },
      only: { type: "string" },
      engines: { type: "string" },
      dir: { type: "string" },
      json: { type: "boolean", default: false },
      markdown: { type: "boolean", default: false },
      "floors-only": { type: "boolean", default: false },
      plots: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const only = values.only?.split(",") ?? (values.engines === undefined ? null : ["engines"]);
  const unknown = only?.find((key) => !keys.includes(key));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: expected some of ${keys.join(", ")}`);
  const [runs, seconds] = defaultLength(only);
  return {
    runs: Math.round(readNumber("--runs", values.runs ?? runs, { min: 1, max: 100 })),
    seconds: readNumber("--seconds", values.seconds ?? seconds, { min: 0.2, max: 60 }),
    only,
    engines: values.engines?.split(",").map((name) => readWord("--engines", name, ENGINES)) ?? [...ENGINES],
    json: values.json,
    markdown: values.markdown,
    floorsOnly: values["floors-only"],
    plots: values.plots,
    dir: values.dir ?? null,
  };
}

function defaultLength(only: string[] | null): [runs: string, seconds: string] {
  // Six targets for each engine instead of two.
  if (only?.every((key) => key === "engines")) return ["3", "1.5"];
  // Five targets, six loads each; and a rare latency needs many saves.
  if (only?.every((key) => key === "latency")) return ["1", "5"];
  return ["5", "2.5"];
}

function readNumber(flag: string, text: string, { min, max }: { min: number; max: number }): number {
  const value = Number(text);
  if (!(value >= min && value <= max))
    throw new Error(`${flag} ${text}: expected a number from ${min} to ${max}`);
  return value;
}
