/** The command line of `import`. */
import { quoted, UsageError } from "../../config/usage-error.ts";
import { TARGETS } from "../../market/column-names.ts";
import { DATE_ORDERS } from "../../market/date-order.ts";
import { EPOCH_UNITS } from "../../market/epoch-unit.ts";
import { INTERVAL_EXPECTED, parseInterval } from "../../market/interval.ts";
import { type Zone, zoneOf } from "../../market/zone.ts";
import { describeDatabase } from "../../storage/engines.ts";
import { DEFAULT_SERVER, parseFlags, readCount, readServerUrl } from "../flags.ts";
import { ACTION_RULES } from "./action-columns.ts";
import { TEXT_ENCODINGS } from "./csv-rows.ts";
import { faultOfPattern, TickerPattern } from "./file-ticker.ts";
import type { PrepareOptions } from "./prepare.ts";
import { isRowKind, ROW_KINDS } from "./row-columns.ts";
import { BARS_ON_DUPLICATE, type DuplicateRule, TICKS_ON_DUPLICATE } from "./save-command.ts";
import { STANDARD_INPUT } from "./source.ts";

export interface ImportOptions extends PrepareOptions {
  target: { serverUrl: string } | { dbFile: string };
  onDuplicate: DuplicateRule | null;
  batchRows: number;
  planOnly: boolean;
  restart: boolean;
  json: boolean;
  quiet: boolean;
}

const DEFAULT_BATCH_ROWS = 15_000;
const BATCH_ROWS_MAX = 30_000;
const SKIPPED_LINES_MAX = 10_000;
const SEPARATORS: Record<string, string> = { comma: ",", semicolon: ";", tab: "\t", bar: "|", space: " " };
const DECIMAL_MARKS = ["point", "comma"] as const;
const SCALE_EXPONENT_MIN = -18;

export const IMPORT_HELP = `Usage: stock-db-server import FILE… [--ticker T] [options]

Reads CSV, TSV, NDJSON, Parquet and Arrow, plain or packed by gzip, zstd or zip, and saves the rows.
FILE may be a folder or a pattern; "-" is standard input. First it says what it will do; where the files
leave a doubt it stops, and asks. An import can be repeated without harm.

Whose rows they are:
  --ticker T             all rows are of T; an error when a column names others
  --ticker-from P        the names of the files say it: "filename", or a pattern such as 'daily-{ticker}.csv'
  --ticker-column NAME   the column that names it (default: ticker, symbol, …); "none": no column does
What they are:
  --interval I           bars: daily, hourly, or another length such as 5min, 90s, 2hour, 1week
  --type T               ticks: quote or trade; options, financial (figures), actions (of companies)
                         Without either, columns and stamps tell.
How they are written:
  --column TARGET=NAME   the column of the file that is TARGET: ${TARGETS.slice(0, 6).join(", ")},
                         ${TARGETS.slice(6).join(", ")}; may be repeated
  --drop NAME            leave a column out; others that are no target are kept as "extra"
  --no-header            the first row is data; --columns A,B,… names its columns, a blank one is left out
  --skip-lines N         lines above the header
  --separator S          comma, semicolon, tab, bar or space (default: the lines tell)
  --encoding E           ${TEXT_ENCODINGS.join(", ")} (default: the first bytes tell)
  --tz ZONE              of stamps without a zone, and in which days begin, such as America/New_York
                         (default UTC)
  --date-order O         dmy, mdy or ymd, for dates that don't say it
  --epoch U              s, ms, us or ns, for stamps that are numbers
  --decimal D            point or comma
  --actions A            save "Dividends" and "Stock Splits" as corporate actions, and the bars as they were
                         traded; A says what the file's prices are adjusted for: split, all (dividends
                         too), raw (nothing), or auto: "Adj Close" beside them tells
  --scale F              what prices in fixed point are to be multiplied by, such as 1e-9 or 0.0001
Where they go:
  --to URL               a running server (default ${DEFAULT_SERVER})
  --db-file PATH         straight into a database file that no server has open
  --on-duplicate D       for bars ${BARS_ON_DUPLICATE.join(", ")} (default replace);
                         for ticks ${TICKS_ON_DUPLICATE.join(", ")}
  --plan                 say what would be done, and stop
  --restart              begin at the beginning, also after an interruption
  --skip-bad             leave out bad rows and count them; otherwise the first one stops the import
  --batch N              rows to a request, 1 to ${BATCH_ROWS_MAX} (default ${DEFAULT_BATCH_ROWS})
  --json                 print the summary, or the plan, as one JSON object
  --quiet                no plan and no progress
  --help

Exit codes: 0 all rows are stored, 1 the import stopped, 2 wrong usage.
`;

const FLAGS = {
  ticker: { type: "string" },
  "ticker-from": { type: "string" },
  "ticker-column": { type: "string" },
  interval: { type: "string" },
  type: { type: "string" },
  column: { type: "string", multiple: true },
  drop: { type: "string", multiple: true },
  "no-header": { type: "boolean" },
  columns: { type: "string" },
  "skip-lines": { type: "string" },
  separator: { type: "string" },
  encoding: { type: "string" },
  tz: { type: "string" },
  "date-order": { type: "string" },
  epoch: { type: "string" },
  decimal: { type: "string" },
  scale: { type: "string" },
  actions: { type: "string" },
  to: { type: "string" },
  "db-file": { type: "string" },
  "on-duplicate": { type: "string" },
  plan: { type: "boolean" },
  restart: { type: "boolean" },
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
  const onDuplicates = [...new Set([...BARS_ON_DUPLICATE, ...TICKS_ON_DUPLICATE])];
  return {
    files: positionals,
    ...readTicker(values.ticker, values["ticker-from"], values["ticker-column"]),
    kind: readKind(values.interval, values.type),
    columns: readColumns(values.column ?? []),
    drop: values.drop ?? [],
    ...readHeader(values["no-header"] ?? false, values.columns),
    skipLines: readSkippedLines(values["skip-lines"]),
    separator: readSeparator(values.separator),
    encoding: readOneOf("encoding", values.encoding, TEXT_ENCODINGS),
    zone: readZone(values.tz),
    dateOrder: readOneOf("date-order", values["date-order"], DATE_ORDERS),
    epoch: readOneOf("epoch", values.epoch, EPOCH_UNITS),
    decimal: readOneOf("decimal", values.decimal, DECIMAL_MARKS),
    scale: readScale(values.scale),
    actions: readOneOf("actions", values.actions, ACTION_RULES),
    target: readTarget(values.to, values["db-file"]),
    onDuplicate: readOneOf("on-duplicate", values["on-duplicate"], onDuplicates),
    planOnly: values.plan ?? false,
    restart: values.restart ?? false,
    skipBad: values["skip-bad"] ?? false,
    batchRows: readCount("import: --batch", values.batch, BATCH_ROWS_MAX) ?? DEFAULT_BATCH_ROWS,
    json: values.json ?? false,
    quiet: values.quiet ?? false,
  };
}

function readTicker(
  ticker: string | undefined,
  from: string | undefined,
  column: string | undefined,
): Pick<ImportOptions, "ticker" | "tickerFrom" | "tickerColumn"> {
  if (ticker === "") throw new UsageError('import: --ticker "": expected a ticker');
  if (ticker !== undefined && from !== undefined)
    throw new UsageError("import: expected --ticker or --ticker-from, got both");
  if (column !== undefined && column !== "none" && (ticker ?? from) !== undefined) {
    throw new UsageError(
      `import: expected --ticker-column or ${ticker === undefined ? "--ticker-from" : "--ticker"}, got both`,
    );
  }
  const fault = from === undefined ? null : faultOfPattern(from);
  if (fault !== null) throw new UsageError(`import: --ticker-from ${quoted(from!)}: ${fault}`);
  return {
    ticker: ticker ?? null,
    tickerFrom: from === undefined ? null : new TickerPattern(from),
    tickerColumn: column ?? null,
  };
}

function readKind(interval: string | undefined, type: string | undefined): ImportOptions["kind"] {
  if (interval !== undefined && type !== undefined) {
    throw new UsageError("import: expected --interval (bars) or --type (ticks), got both");
  }
  if (interval !== undefined) {
    const length = parseInterval(interval);
    if (length === null)
      throw new UsageError(`import: --interval "${interval}": expected ${INTERVAL_EXPECTED}`);
    return length;
  }
  if (type === "quote" || type === "trade" || isRowKind(type ?? null)) return type as ImportOptions["kind"];
  if (type !== undefined)
    throw new UsageError(`import: --type "${type}": expected quote, trade, ${ROW_KINDS.join(", ")}`);
  return null;
}

function readColumns(texts: readonly string[]): { target: string; column: string }[] {
  const columns = texts.map(readColumn);
  const twice = columns.find(({ target }, at) => columns.findIndex((each) => each.target === target) < at);
  if (twice === undefined) return columns;
  throw new UsageError(`import: --column ${twice.target}=… is given twice, expected one column`);
}

function readColumn(text: string): { target: string; column: string } {
  const at = text.indexOf("=");
  const [target, column] = [text.slice(0, at).trim().toLowerCase(), text.slice(at + 1).trim()];
  if (at > 0 && column !== "" && TARGETS.includes(target)) return { target, column };
  throw new UsageError(
    `import: --column ${quoted(text)}: expected TARGET=NAME, where TARGET is one of ${TARGETS.join(", ")}`,
  );
}

function readHeader(
  noHeader: boolean,
  columns: string | undefined,
): Pick<ImportOptions, "noHeader" | "columnNames"> {
  if (columns !== undefined && !noHeader)
    throw new UsageError("import: --columns is for files without a header: expected --no-header too");
  return { noHeader, columnNames: columns?.split(",").map((name) => name.trim()) ?? null };
}

function readSkippedLines(text: string | undefined): number {
  if (text === "0") return 0;
  return readCount("import: --skip-lines", text, SKIPPED_LINES_MAX) ?? 0;
}

function readSeparator(text: string | undefined): string | null {
  if (text === undefined) return null;
  const separator = Object.hasOwn(SEPARATORS, text) ? SEPARATORS[text]! : text;
  if (separator.length === 1 && !/[\w"\r\n]/.test(separator)) return separator;
  throw new UsageError(
    `import: --separator ${quoted(text)}: expected ${Object.keys(SEPARATORS).join(", ")}, or one sign`,
  );
}

function readZone(text: string | undefined): Zone | null {
  if (text === undefined) return null;
  const zone = zoneOf(text);
  if (zone !== null) return zone;
  throw new UsageError(
    `import: --tz ${quoted(text)}: expected the IANA name of a zone such as America/New_York, Asia/Tokyo or UTC`,
  );
}

/** @returns the power of ten: prices in fixed point are integers of one. */
function readScale(text: string | undefined): number | null {
  if (text === undefined) return null;
  const exponent = Math.round(Math.log10(Number(text)));
  const isPower = /^[\d.e+-]+$/i.test(text) && Number(text) === Number(`1e${exponent}`);
  if (isPower && exponent <= 0 && exponent >= SCALE_EXPONENT_MIN) return exponent;
  throw new UsageError(
    `import: --scale ${quoted(text)}: expected 1 or a negative power of ten such as 1e-9 or 0.0001`,
  );
}

function readOneOf<T extends string>(flag: string, text: string | undefined, known: readonly T[]): T | null {
  if (text === undefined) return null;
  const found = known.find((each) => each === text);
  if (found !== undefined) return found;
  throw new UsageError(`import: --${flag} ${quoted(text)}: expected ${known.join(", ")}`);
}

function readTarget(to: string | undefined, dbFile: string | undefined): ImportOptions["target"] {
  if (dbFile === undefined) return { serverUrl: readServerUrl("import: --to", to ?? DEFAULT_SERVER) };
  if (to !== undefined) throw new UsageError("import: expected --to or --db-file, got both");
  const { placement } = describeDatabase(dbFile, "import: --db-file").engine;
  if (placement.saves !== "upstream") return { dbFile };
  return { serverUrl: readServerUrl("import: --to", dbFile.includes("://") ? dbFile : `http://${dbFile}`) };
}
