/** The command line of `export`. */
import { statSync } from "node:fs";
import { quoted, UsageError } from "../../config/usage-error.ts";
import { FORMATS, type Format } from "../../formats/open-encoder.ts";
import { INTERVAL_EXPECTED } from "../../market/interval.ts";
import { describeDatabase } from "../../storage/engines.ts";
import { KINDS } from "../../storage/model/kinds.ts";
import { DEFAULT_SERVER, parseFlags, readNames, readTime } from "../flags.ts";
import { type KindSelection, selectKinds } from "./kind-names.ts";
import { PACKINGS, type Packing } from "./sink.ts";

export const STANDARD_OUTPUT = "-";

/** What the name of a file, or of a format, says. */
export interface FileForm {
  format: Format;
  packing: Packing | null;
}

export interface ExportOptions {
  /** Accepts what `--db-file` does. It may hold a password. */
  from: string;
  /** Without repetitions; null: all. */
  tickers: string[] | null;
  /** In the order of the kinds. */
  kinds: KindSelection[];
  form: FileForm;
  to: string;
  /** All rows in one file, or on standard output. */
  isOneFile: boolean;
  overwrite: boolean;
  json: boolean;
  quiet: boolean;
}

export const EXPORT_HELP = `Usage: stock-db-server export --to DIR|FILE [options]

Writes rows into files: a file for each ticker in a new folder DIR, or all rows of a kind into
one FILE, such as trades.parquet. Either has its name only once it is whole. "-" is standard output.

  --to DIR|FILE     FILE if its name ends in that of a format, such as .csv, .csv.gz, .ndjson.zst or .parquet
  --format F        csv, ndjson, arrow, arrows (Arrow's stream) or parquet; text also as csv.gz, ndjson.zst …
                    (default: by the name of FILE)
  --kind A,B        daily, hourly, or another length of bars such as 5min; trades, quotes, or ticks:TYPE;
                    interval (all other lengths), ticks (all types); options, financial, actions;
                    several times if you like (default: all)
  --tickers A,B     only these; can be given several times (default: all)
  --start TIME      only rows from then on, such as 2024-01-01; UTC unless it says otherwise
  --end TIME        and until then; a date means the end of that day
  --from SRC        a running server, or as serve's --db-file (default ${DEFAULT_SERVER})
  --db-file PATH    the same as --from; a server may have the file open, except DuckDB
  --overwrite       FILE may be there, and is replaced once the new one is whole
  --json            print the summary as one JSON object
  --quiet           no progress
  --help

Exit codes: 0 all rows are written, 1 they are not, or a ticker has no rows, 2 wrong usage, 130 interrupted.
`;

const FLAGS = {
  from: { type: "string" },
  "db-file": { type: "string" },
  tickers: { type: "string", multiple: true },
  kind: { type: "string", multiple: true },
  start: { type: "string" },
  end: { type: "string" },
  format: { type: "string" },
  to: { type: "string" },
  overwrite: { type: "boolean" },
  json: { type: "boolean" },
  quiet: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

const FORMS: readonly (FileForm & { name: string })[] = FORMATS.flatMap((format) => [
  { name: format, format, packing: null },
  ...(format === "csv" || format === "ndjson"
    ? PACKINGS.map((packing) => ({ name: `${format}.${packing}`, format, packing }))
    : []),
]);

/** What the names of its files end in. */
export function endingOf({ format, packing }: FileForm): string {
  return FORMS.find((form) => form.format === format && form.packing === packing)!.name;
}

/** @returns null: help was asked for. @throws UsageError */
export function parseExportOptions(argv: string[]): ExportOptions | null {
  const { values } = parseFlags("export", argv, FLAGS);
  if (values.help) return null;
  const { to, overwrite = false } = values;
  if (!to) throw new UsageError("export: expected --to DIR or --to FILE");
  const named = formOfFile(to);
  const form = readForm(values.format, to, named);
  const isOneFile = to === STANDARD_OUTPUT || (named !== null && !isFolder(to));
  const bound = (edge: "start" | "end", text: string | undefined) => (kind: keyof typeof KINDS) =>
    text === undefined ? null : readTime(`export: --${edge}`, text, edge, KINDS[kind].stamp.type);
  const kinds = selectKinds(readNames("export: --kind", values.kind, "kinds of rows"), {
    label: "export: --kind",
    from: bound("start", values.start),
    to: bound("end", values.end),
    expected: `expected daily, hourly, interval, trades, quotes, ticks, ticks:TYPE, options, financial, actions or a length of bars: ${INTERVAL_EXPECTED}`,
  });
  if (isOneFile && kinds.length > 1)
    throw new UsageError(
      `export: --to ${quoted(to)}: one file has rows of one --kind, such as daily or trades`,
    );
  if (overwrite && !isOneFile)
    throw new UsageError(
      "export: --overwrite is for a FILE: expected a DIR that isn't there yet, or is empty",
    );
  return {
    from: readSource(values.from, values["db-file"]),
    tickers: readNames("export: --tickers", values.tickers, "tickers"),
    kinds,
    form,
    to,
    isOneFile,
    overwrite,
    json: values.json ?? false,
    quiet: values.quiet ?? false,
  };
}

function readSource(from: string | undefined, dbFile: string | undefined): string {
  if (from !== undefined && dbFile !== undefined)
    throw new UsageError("export: expected --from or --db-file, got both");
  const source = from ?? dbFile ?? DEFAULT_SERVER;
  describeDatabase(source, dbFile === undefined ? "export: --from" : "export: --db-file");
  return source;
}

function readForm(name: string | undefined, to: string, named: FileForm | null): FileForm {
  if (name === undefined) {
    if (named !== null) return named;
    throw new UsageError(`export: expected --format for ${quoted(to)}: ${formNames()}`);
  }
  const form = FORMS.find((each) => each.name === name.toLowerCase());
  if (form === undefined) throw new UsageError(`export: --format ${quoted(name)}: expected ${formNames()}`);
  const isSame = named === null || endingOf(named) === form.name || isFolder(to);
  if (!isSame) throw new UsageError(`export: --format ${form.name} doesn't fit the name of ${quoted(to)}`);
  return form;
}

/** By its name; null: it is no name of a file. */
function formOfFile(path: string): FileForm | null {
  const name = path.toLowerCase();
  return FORMS.find((form) => name.endsWith(`.${form.name}`)) ?? null;
}

function formNames(): string {
  return `${FORMS.slice(0, -1)
    .map(({ name }) => name)
    .join(", ")} or ${FORMS.at(-1)!.name}`;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
