/** The programs of the clients that take part in a soak, and what they say. */
import { join, resolve } from "node:path";

const CLIENTS = resolve(import.meta.dir, "../clients");

export const CLIENT_LANGUAGES = ["python", "typescript"] as const;
export type ClientLanguage = (typeof CLIENT_LANGUAGES)[number];

export interface ClientCommands {
  /** Its input has a trade on each line: `TICKER SIZE`. It ends with its input. */
  feed(url: string, spool: string): string[];
  /** Tells a trade on each line: `TICKER POSITION SIZE`. */
  bot(url: string, state: string, tickers: readonly string[]): string[];
  env: Record<string, string>;
}

/** @throws Error what has to be installed. */
export function commandsOf(language: ClientLanguage): ClientCommands {
  const folder = join(CLIENTS, language, "soak");
  const { program, env } = language === "python" ? pythonIn(folder) : bunIn(folder);
  return {
    feed: (url, spool) => [...program("feed"), url, spool],
    bot: (url, state, tickers) => [...program("bot"), url, state, tickers.join(",")],
    env,
  };
}

interface Interpreter {
  program(name: string): string[];
  env: Record<string, string>;
}

function pythonIn(folder: string): Interpreter {
  const env = { PYTHONPATH: join(folder, "../src"), PYTHONUNBUFFERED: "1" };
  const python = process.env.STOCK_DB_TEST_PYTHON ?? "python3";
  const tried = Bun.spawnSync([python, "-c", "import stock_db"], { env: { ...process.env, ...env } });
  if (tried.exitCode !== 0)
    throw new Error(
      `${python} can't import stock_db: ${tried.stderr.toString().trim().split("\n").at(-1)}; ` +
        "expected one that has what clients/python needs: pip install ./clients/python, or name another in STOCK_DB_TEST_PYTHON",
    );
  return { program: (name) => [python, join(folder, `${name}.py`)], env };
}

function bunIn(folder: string): Interpreter {
  return { program: (name) => [process.execPath, "--no-orphans", join(folder, `${name}.ts`)], env: {} };
}

/** What a bot has told. */
export class TradesSeen {
  readonly sizes = new Map<string, number[]>();
  readonly positions = new Map<string, number[]>();
  #rest = "";

  take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const [ticker = "", position, size] = line.split(" ");
      push(this.sizes, ticker, Number(size));
      push(this.positions, ticker, Number(position));
    }
  }

  /** @param sent how many trades of each ticker, whose sizes are 1, 2, 3 … */
  faults(sent: ReadonlyMap<string, number>): ClientFaults {
    const faults: ClientFaults = { lost: 0, repeated: 0, outOfOrder: 0 };
    for (const [ticker, count] of sent) {
      const sizes = this.sizes.get(ticker) ?? [];
      const positions = this.positions.get(ticker) ?? [];
      const different = new Set(sizes);
      faults.lost += count - different.size;
      faults.repeated += sizes.length - different.size;
      faults.outOfOrder += descents(sizes) + descents(positions);
    }
    return faults;
  }
}

export interface ClientFaults {
  lost: number;
  repeated: number;
  outOfOrder: number;
}

function push(lists: Map<string, number[]>, key: string, value: number): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

function descents(list: readonly number[]): number {
  return list.reduce((sum, value, index) => sum + (index > 0 && value < list[index - 1]! ? 1 : 0), 0);
}
