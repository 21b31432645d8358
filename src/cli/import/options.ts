/** The command line of `import`. */
import { UsageError } from "../../config/usage-error.ts";
import type { CsvKind } from "../../market/csv.ts";
import { INTERVAL_EXPECTED, parseInterval } from "../../market/interval.ts";
import { describeDatabase } from "../../storage/engines.ts";
import { DEFAULT_SERVER, parseFlags, readCount, readServerUrl } from "../flags.ts";
import { STANDARD_INPUT } from "./source.ts";

export interface ImportOptions {
  files: string[];
  ticker: string;
  /** null: to be seen from the columns. */
  kind: CsvKind | null;
  target: { serverUrl: string } | { dbFile: string };
  skipBad: boolean;
  batchRows: number;
  json: boolean;
  quiet: boolean;
}

const DEFAULT_BATCH_ROWS = 2_000;
const BATCH_ROWS_MAX = 20_000;

export const IMPORT_HELP = `Usage: stock-db-server import FILE… --ticker T [options]

Reads CSV, plain or gzip, and saves its rows. "-" is standard input. An import can be repeated without harm.

  --ticker T             what the rows are of
  --interval I           bars: daily, hourly, or another length such as 5min, 90s, 2hour, 1week
  --type T               ticks: quote or trade
                         Without either, the columns tell; where they can't, the import asks for one of them.
  --to URL               a running server (default ${DEFAULT_SERVER})
  --db-file PATH         straight into a database file that no server has open
  --skip-bad             leave out bad rows and count them; otherwise the first one stops the import
  --batch N              rows to a request, 1 to ${BATCH_ROWS_MAX} (default ${DEFAULT_BATCH_ROWS})
  --json                 print the summary as one JSON object
  --quiet                no progress
  --help

Columns, in any order and case: date, datetime or timestamp; open, high, low, close, volume for bars,
vwap and trade_count for those that are neither daily nor hourly; price, size, ask_price, ask_size
and seq for ticks. Others are left out.
Exit codes: 0 all rows are stored, 1 the import stopped, 2 wrong usage.
`;

const FLAGS = {
  ticker: { type: "string" },
  interval: { type: "string" },
  type: { type: "string" },
  to: { type: "string" },
  "db-file": { type: "string" },
  "skip-bad": { type: "boolean" },
  batch: { type: "string" },
  json: { type: "boolean" },
  quiet: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** @returns null when help was asked for. @throws UsageError */
export function parseImportOptions(argv: string[]): ImportOptions | null {
  const { values, positionals } = parseFlags("import", argv, FLAGS, { allowPositionals: true });
  if (values.help) return null;

  if (positionals.length === 0)
    throw new UsageError(`import: expected at least one FILE, or "-" for standard input`);
  if (positionals.filter((file) => file === STANDARD_INPUT).length > 1) {
    throw new UsageError('import: "-" can be given only once');
  }
  if (!values.ticker) throw new UsageError("import: expected --ticker T");
  return {
    files: positionals,
    ticker: values.ticker,
    kind: readKind(values.interval, values.type),
    target: readTarget(values.to, values["db-file"]),
    skipBad: values["skip-bad"] ?? false,
    batchRows: readCount("import: --batch", values.batch, BATCH_ROWS_MAX) ?? DEFAULT_BATCH_ROWS,
    json: values.json ?? false,
    quiet: values.quiet ?? false,
  };
}

function readKind(interval: string | undefined, type: string | undefined): CsvKind | null {
  if (interval !== undefined && type !== undefined) {
    throw new UsageError("import: expected --interval (bars) or --type (ticks), got both");
  }
  if (interval !== undefined) {
    const length = parseInterval(interval);
    if (length === null)
      throw new UsageError(`import: --interval "${interval}": expected ${INTERVAL_EXPECTED}`);
    return length;
  }
  if (type === "quote" || type === "trade") return type;
  if (type !== undefined) throw new UsageError(`import: --type "${type}": expected quote or trade`);
  return null;
}

function readTarget(to: string | undefined, dbFile: string | undefined): ImportOptions["target"] {
  if (dbFile === undefined) return { serverUrl: readServerUrl("import: --to", to ?? DEFAULT_SERVER) };
  if (to !== undefined) throw new UsageError("import: expected --to or --db-file, got both");
  const { placement } = describeDatabase(dbFile, "import: --db-file").engine;
  if (placement.saves !== "upstream") return { dbFile };
  return { serverUrl: readServerUrl("import: --to", dbFile.includes("://") ? dbFile : `http://${dbFile}`) };
}
