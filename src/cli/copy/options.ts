/** Reads the command line of `copy`. */
import { UsageError } from "../../config/usage-error.ts";
import { describeDatabase } from "../../storage/engines.ts";
import { KIND_NAMES, KINDS, type KindName } from "../../storage/model/kinds.ts";
import { parseFlags, readNames, readTime } from "../flags.ts";

export interface CopyOptions {
  /** Accepts what `--db-file` does. It may hold a password. */
  from: string;
  to: string;
  /** Without repetitions; null: all. */
  tickers: string[] | null;
  /** Inclusive, in each kind's stored form. */
  since: Record<KindName, string> | null;
  dryRun: boolean;
  list: boolean;
  json: boolean;
  quiet: boolean;
}

export const COPY_HELP = `Usage: stock-db-server copy --from SRC --to DST [options]

Copies bars, ticks, options and financial figures from one database to another, of any engine, and reads them
back. It writes only what is missing or different in DST and deletes nothing there, so a copy that was
interrupted is simply started again.

  --from SRC        as serve's --db-file, also the address of a server; a server may have it open, except DuckDB
  --to DST          the same; created if it isn't there; no server may have a file open: name that server
  --tickers A,B     only these; can be given several times (default: all)
  --since TIME      only rows from then on, such as 2024-01-01; UTC unless it says otherwise
  --dry-run         compare only, and say what would be written
  --list            a line for each ticker and kind of row: rows and checksum
  --json            print the summary, and each line of --list, as one JSON object
  --quiet           no progress
  --help

Exit codes: 0 DST has every row, 1 it has not, or the copy stopped, 2 wrong usage.
`;

const FLAGS = {
  from: { type: "string" },
  to: { type: "string" },
  tickers: { type: "string", multiple: true },
  since: { type: "string" },
  "dry-run": { type: "boolean" },
  list: { type: "boolean" },
  json: { type: "boolean" },
  quiet: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** @returns null: help was asked for. @throws UsageError */
export function parseCopyOptions(argv: string[]): CopyOptions | null {
  const { values } = parseFlags("copy", argv, FLAGS);
  if (values.help) return null;
  const { from, to } = values;
  if (!from) throw new UsageError("copy: expected --from SRC");
  if (!to) throw new UsageError("copy: expected --to DST");
  describeDatabase(from, "copy: --from");
  describeDatabase(to, "copy: --to");
  if (from === to) throw new UsageError("copy: --from and --to are the same database");
  return {
    from,
    to,
    tickers: readNames("copy: --tickers", values.tickers, "tickers"),
    since: values.since === undefined ? null : readSince(values.since),
    dryRun: values["dry-run"] ?? false,
    list: values.list ?? false,
    json: values.json ?? false,
    quiet: values.quiet ?? false,
  };
}

function readSince(text: string): Record<KindName, string> {
  const bound = (kind: KindName) => readTime("copy: --since", text, "start", KINDS[kind].stamp.type);
  return Object.fromEntries(KIND_NAMES.map((kind) => [kind, bound(kind)])) as Record<KindName, string>;
}
