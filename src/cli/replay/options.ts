/** The command line of `replay`. */
import { redact } from "../../config/redact.ts";
import { quoted, UsageError } from "../../config/usage-error.ts";
import { parseSpeed } from "../../replay/replay-query.ts";
import { describeDatabase } from "../../storage/engines.ts";
import { DEFAULT_SERVER, parseFlags, readCount, readNames, readServerUrl, readTime } from "../flags.ts";
import { STANDARD_INPUT } from "../import/source.ts";

export interface ReplayFile {
  path: string;
  /** null: a column of the file has it. */
  ticker: string | null;
  /** null: the columns decide. */
  type: "quote" | "trade" | null;
}

type ReplaySource =
  | { files: ReplayFile[] }
  /** null: all. */
  | { dbFile: string; tickers: string[] | null; types: string[] | null };

export interface ReplayOptions {
  source: ReplaySource;
  serverUrl: string;
  /** Infinity: as fast as the server saves. */
  speed: number;
  gapMicrosMax: number;
  /** In the stored form of ticks, inclusive; null is unbounded. */
  start: string | null;
  end: string | null;
  restamp: boolean;
  batchRows: number;
  json: boolean;
  quiet: boolean;
}

const DEFAULT_BATCH_ROWS = 500;
/** A JSON record has under 250 bytes: this is half of a server's smallest body limit, 1 MB. */
const BATCH_ROWS_MAX = 2_000;
/** Files that are open at once. */
const FILES_MAX = 500;

export const REPLAY_HELP = `Usage: stock-db-server replay FILE… --ticker T [options]
       stock-db-server replay --from DB [--tickers A,B] [--types trade,quote] [options]

Plays ticks into a running server as if they happened now, at their own rhythm, merged by time. "-" is standard input.

  --ticker T        what a file's ticks are of: once, or once for each FILE; a column ticker or symbol says it too
  --type T          quote or trade: once, or once for each FILE (default: the columns tell)
  --from DB         ticks of a database, as serve's --db-file; a server may have it open, except DuckDB
  --tickers A,B     only these of --from
  --types A,B       only these of --from, such as trade,quote
  --start TIME      only ticks from then on
  --end TIME        and until then; a date means the end of that day
  --speed N|max     times as fast as it happened, such as 10 or 0.5; max: as fast as the server saves (default 1)
  --max-gap S       play longer gaps, such as nights, as S seconds
  --restamp         save each tick with the time at which it is played; not with --speed max
                    Otherwise it keeps its own: then a replay can be repeated without harm, and ticks that
                    the server has already are no updates.
  --to URL          a running server (default ${DEFAULT_SERVER})
  --batch N         most ticks to a request when they are late, 1 to ${BATCH_ROWS_MAX} (default ${DEFAULT_BATCH_ROWS})
  --json            print the summary as one JSON object
  --quiet           no progress
  --help

Exit codes: 0 all ticks are saved, 1 the replay stopped, 2 wrong usage, 130 ended by Ctrl-C.
`;

const FLAGS = {
  ticker: { type: "string", multiple: true },
  type: { type: "string", multiple: true },
  from: { type: "string" },
  tickers: { type: "string", multiple: true },
  types: { type: "string", multiple: true },
  start: { type: "string" },
  end: { type: "string" },
  speed: { type: "string" },
  "max-gap": { type: "string" },
  restamp: { type: "boolean" },
  to: { type: "string" },
  batch: { type: "string" },
  json: { type: "boolean" },
  quiet: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** @returns null when help was asked for. @throws UsageError */
export function parseReplayOptions(argv: string[]): ReplayOptions | null {
  const { values, positionals } = parseFlags("replay", argv, FLAGS, { allowPositionals: true });
  if (values.help) return null;
  const speed = readSpeed(values.speed ?? "1");
  const restamp = values.restamp ?? false;
  if (restamp && speed === Number.POSITIVE_INFINITY)
    throw new UsageError("replay: --restamp needs a rhythm: expected another --speed than max");
  const start = readBound("start", values.start);
  const end = readBound("end", values.end);
  if (start !== null && end !== null && start > end)
    throw new UsageError(`replay: --start ${quoted(values.start!)} is after --end ${quoted(values.end!)}`);
  return {
    source: values.from === undefined ? readFiles(positionals, values) : readDatabase(positionals, values),
    serverUrl: readServerUrl("replay: --to", values.to ?? DEFAULT_SERVER),
    speed,
    gapMicrosMax: readGap(values["max-gap"]),
    start,
    end,
    restamp,
    batchRows: readCount("replay: --batch", values.batch, BATCH_ROWS_MAX) ?? DEFAULT_BATCH_ROWS,
    json: values.json ?? false,
    quiet: values.quiet ?? false,
  };
}

type Values = ReturnType<typeof parseFlags<typeof FLAGS>>["values"];

function readFiles(paths: string[], { ticker, type, tickers, types }: Values): ReplaySource {
  if (paths.length === 0)
    throw new UsageError('replay: expected at least one FILE, "-" for standard input, or --from DB');
  if (paths.length > FILES_MAX)
    throw new UsageError(
      `replay: got ${paths.length} files, expected at most ${FILES_MAX}, as all are read side by side`,
    );
  if (paths.filter((path) => path === STANDARD_INPUT).length > 1)
    throw new UsageError('replay: "-" can be given only once');
  if (tickers ?? types)
    throw new UsageError(
      "replay: --tickers and --types choose from --from DB; for files expected --ticker and --type",
    );
  for (const given of type ?? [])
    if (given !== "quote" && given !== "trade")
      throw new UsageError(`replay: --type ${quoted(given)}: expected quote or trade`);
  const tickerOf = oneForEach("--ticker", ticker ?? [], paths.length);
  const typeOf = oneForEach("--type", type ?? [], paths.length);
  return {
    files: paths.map((path, at) => ({ path, ticker: tickerOf(at), type: typeOf(at) as ReplayFile["type"] })),
  };
}

function oneForEach(flag: string, given: string[], files: number): (at: number) => string | null {
  if (given.includes("")) throw new UsageError(`replay: ${flag} "": expected a name`);
  if (given.length > 1 && given.length !== files)
    throw new UsageError(
      `replay: got ${given.length} ${flag} for ${files} files, expected one, or one for each file`,
    );
  return (at) => (given.length > 1 ? given[at]! : (given[0] ?? null));
}

function readDatabase(paths: string[], { from, ticker, type, tickers, types }: Values): ReplaySource {
  if (paths.length > 0)
    throw new UsageError(`replay: expected files or --from, got both: ${quoted(paths[0]!)}`);
  if (ticker ?? type)
    throw new UsageError(
      "replay: --ticker and --type are for files; with --from expected --tickers and --types",
    );
  const dbFile = from!;
  if (dbFile === "") throw new UsageError('replay: --from "": expected a database');
  if (describeDatabase(dbFile, "replay: --from").engine.placement.reads === "upstream") {
    throw new UsageError(
      `replay: --from: ${quoted(redact(dbFile))} is another server, not a database; its /ws/replay plays what it holds`,
    );
  }
  return {
    dbFile,
    tickers: readNames("replay: --tickers", tickers),
    types: readNames("replay: --types", types),
  };
}

function readSpeed(text: string): number {
  const speed = parseSpeed(text);
  if (speed === null)
    throw new UsageError(`replay: --speed ${quoted(text)}: expected a number above 0, or max`);
  return speed;
}

function readGap(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  const seconds = text.trim() === "" ? Number.NaN : Number(text);
  if (!(seconds >= 0)) throw new UsageError(`replay: --max-gap ${quoted(text)}: expected seconds from 0`);
  return seconds * 1e6;
}

function readBound(edge: "start" | "end", text: string | undefined): string | null {
  return text === undefined ? null : readTime(`replay: --${edge}`, text, edge, "instant");
}
