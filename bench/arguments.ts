/** The benchmark's own flags. */
import { parseArgs } from "node:util";

export interface BenchArguments {
  runs: number;
  seconds: number;
  /** Keys of the scenarios to run, in their own order; null = all. */
  only: string[] | null;
  json: boolean;
  markdown: boolean;
  floorsOnly: boolean;
  /** Folder for the databases; null = the system's temporary folder. */
  dir: string | null;
}

export const BENCH_HELP = `npm run bench -- [flags]
  --runs N          measurements of each target, interleaved (default 5)
  --seconds S       length of one measurement (default 2.5)
  --only A,B        some of: price, bars, saves, fanout, fanout200, bulk, million, memory,
                    stopping
  --dir FOLDER      put the databases on this folder's disk (default: the temporary folder)
  --floors-only     measure the bare servers alone
  --markdown        print the tables as Markdown
  --json            print everything measured as JSON`;

/** @throws Error With a sentence for the user: an unknown flag or a wrong value. */
export function readBenchArguments(argv: string[], keys: string[]): BenchArguments | "help" {
  const { values } = parseArgs({
    args: argv,
    options: {
      runs: { type: "string", default: "5" },
      seconds: { type: "string", default: "2.5" },
      only: { type: "string" },
      dir: { type: "string" },
      json: { type: "boolean", default: false },
      markdown: { type: "boolean", default: false },
      "floors-only": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const only = values.only?.split(",") ?? null;
  const unknown = only?.find((key) => !keys.includes(key));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: expected some of ${keys.join(", ")}`);
  return {
    runs: Math.round(readNumber("--runs", values.runs, { min: 1, max: 100 })),
    seconds: readNumber("--seconds", values.seconds, { min: 0.2, max: 60 }),
    only,
    json: values.json,
    markdown: values.markdown,
    floorsOnly: values["floors-only"],
    dir: values.dir ?? null,
  };
}

function readNumber(flag: string, text: string, { min, max }: { min: number; max: number }): number {
  const value = Number(text);
  if (!(value >= min && value <= max))
    throw new Error(`${flag} ${text}: expected a number from ${min} to ${max}`);
  return value;
}
