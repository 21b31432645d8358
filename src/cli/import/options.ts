/** The command line of `import`. */
import { parseArgs } from "node:util";
import { describeDatabase } from "../../config/database-url.ts";
import { UsageError } from "../../config/usage-error.ts";
import type { CsvKind } from "../../market/csv.ts";
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

const DEFAULT_SERVER = "http://localhost:8080";
const DEFAULT_BATCH_ROWS = 2_000;
const BATCH_ROWS_MAX = 20_000;

export const IMPORT_HELP = `Usage: stock-db-server import FILE… --ticker T [options]

Reads CSV, plain or gzip, and saves its rows. "-" is standard input. An import can be repeated without harm.

  --ticker T             what the rows are of
  --interval I           bars: daily or hourly
  --type T               ticks: quote or trade
                         Without either, the columns tell; where they can't, the import asks for one of them.
  --to URL               a running server (default ${DEFAULT_SERVER})
  --db-file PATH         straight into a database file that no server has open
  --skip-bad             leave out bad rows and count them; otherwise the first one stops the import
  --batch N              rows to a request, 1 to ${BATCH_ROWS_MAX} (default ${DEFAULT_BATCH_ROWS})
  --json                 print the summary as one JSON object
  --quiet                no progress
  --help

Columns, in any order and case: date, datetime or timestamp; open, high, low, close, volume for bars;
price, size, ask_price, ask_size and seq for ticks. Others are left out.
Exit codes: 0 all rows are stored, 1 the import stopped, 2 wrong usage.
`;

/** @returns null when help was asked for. @throws UsageError */
export function parseImportOptions(argv: string[]): ImportOptions | null {
  const { values, positionals } = parseFlags(argv);
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
    batchRows: readBatchRows(values.batch),
    json: values.json ?? false,
    quiet: values.quiet ?? false,
  };
}

function parseFlags(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
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
      },
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // What follows the first sentence explains a "--" that nobody here needs.
    throw new UsageError(`import: ${message.split(". ", 1)[0]}; see import --help`);
  }
}

function readKind(interval: string | undefined, type: string | undefined): CsvKind | null {
  if (interval !== undefined && type !== undefined) {
    throw new UsageError("import: expected --interval (bars) or --type (ticks), got both");
  }
  if (interval === "daily" || interval === "hourly") return interval;
  if (interval !== undefined)
    throw new UsageError(`import: --interval "${interval}": expected daily or hourly`);
  if (type === "quote" || type === "trade") return type;
  if (type !== undefined) throw new UsageError(`import: --type "${type}": expected quote or trade`);
  return null;
}

function readTarget(to: string | undefined, dbFile: string | undefined): ImportOptions["target"] {
  if (dbFile === undefined) return { serverUrl: readServerUrl(to ?? DEFAULT_SERVER) };
  if (to !== undefined) throw new UsageError("import: expected --to or --db-file, got both");
  if (describeDatabase(dbFile, "import: --db-file").engine !== "remote") return { dbFile };
  return { serverUrl: readServerUrl(dbFile.includes("://") ? dbFile : `http://${dbFile}`) };
}

function readServerUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`import: --to "${text}": expected a URL such as ${DEFAULT_SERVER}`);
  }
  return url.href.replace(/\/+$/, "");
}

function readBatchRows(text: string | undefined): number {
  if (text === undefined) return DEFAULT_BATCH_ROWS;
  const rows = Number(text);
  if (!/^\d+$/.test(text) || rows < 1 || rows > BATCH_ROWS_MAX) {
    throw new UsageError(`import: --batch "${text}": expected a whole number from 1 to ${BATCH_ROWS_MAX}`);
  }
  return rows;
}
