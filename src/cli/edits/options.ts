/** The command lines of `delete` and `rename`. */
import { UsageError } from "../../config/usage-error.ts";
import { INTERVAL_EXPECTED } from "../../market/interval.ts";
import type { Removal, Renaming } from "../../storage/contract.ts";
import { describeDatabase } from "../../storage/engines.ts";
import { type KindName, kindOf } from "../../storage/model/kinds.ts";
import { selectKinds } from "../export/kind-names.ts";
import { DEFAULT_SERVER, parseFlags, readNames, readTime } from "../flags.ts";

export interface EditOptions<E extends Removal | Renaming> {
  edits: E[];
  /** Accepts what `--db-file` does. It may hold a password. */
  to: string;
  dryRun: boolean;
  json: boolean;
}

const WHERE = `  --to DST          a running server, or as serve's --db-file (default ${DEFAULT_SERVER})
  --db-file PATH    the same as --to; no server may have a file open: name that server
  --dry-run         say how many rows it would be, and change nothing
  --json            print the summary as one JSON object
  --help
`;

export const DELETE_HELP = `Usage: stock-db-server delete --tickers A,B --kind K [options]

Deletes ticks or bars. All rows of a ticker and kind go in one transaction, and subscribers see it
as an update.

  --tickers A,B     of these; can be given several times
  --kind A,B        trades, quotes, ticks:TYPE, or ticks (all types); daily, hourly, or another
                    length of bars such as 5min
  --start TIME      only rows from then on, such as 2024-01-01; UTC unless it says otherwise
  --end TIME        and until then; a date means the end of that day
  --ids A,B         only ticks that were saved with one of these ids; can be given several times
  --all             all rows, where neither --start, --end nor --ids says which
${WHERE}
Exit codes: 0 done, also where there was no such row, 1 not all is done, 2 wrong usage.
`;

export const RENAME_HELP = `Usage: stock-db-server rename OLD NEW [options]

Gives all rows of the ticker OLD, of every kind, the ticker NEW, which must have none.

${WHERE}
Exit codes: 0 done, also where OLD has no row, 1 it is not, 2 wrong usage.
`;

const COMMON = {
  to: { type: "string" },
  "db-file": { type: "string" },
  "dry-run": { type: "boolean" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

const DELETE_FLAGS = {
  tickers: { type: "string", multiple: true },
  kind: { type: "string", multiple: true },
  start: { type: "string" },
  end: { type: "string" },
  ids: { type: "string", multiple: true },
  all: { type: "boolean" },
  ...COMMON,
} as const;

/** @returns null: help was asked for. @throws UsageError */
export function parseDeleteOptions(argv: string[]): EditOptions<Removal> | null {
  const { values } = parseFlags("delete", argv, DELETE_FLAGS);
  if (values.help) return null;
  const { start, end } = values;
  const tickers = readNames("delete: --tickers", values.tickers, "tickers");
  const names = readNames("delete: --kind", values.kind, "kinds of rows");
  const ids = readNames("delete: --ids", values.ids, "ids");
  if (tickers === null) throw new UsageError("delete: expected --tickers A,B");
  if (names === null) throw new UsageError("delete: expected --kind K, such as trades or daily");
  const isBounded = start !== undefined || end !== undefined || ids !== null;
  if (!isBounded && values.all !== true)
    throw new UsageError("delete: expected --start, --end or --ids, or --all to delete all rows");
  if (isBounded && values.all === true)
    throw new UsageError("delete: --all is for all rows: expected no --start, --end and --ids beside it");
  const bound = (edge: "start" | "end", text: string | undefined) => (kind: KindName) =>
    text === undefined ? null : readTime(`delete: --${edge}`, text, edge, kindOf(kind).stamp.type);
  const kinds = selectKinds(names, {
    label: "delete: --kind",
    from: bound("start", start),
    to: bound("end", end),
    expected: `expected trades, quotes, ticks, ticks:TYPE, daily, hourly or a length of bars: ${INTERVAL_EXPECTED}`,
  });
  const series = kinds.flatMap(({ kind, parts, from, to }) =>
    (parts ?? [null]).map((part) => ({ kind, part, from, to })),
  );
  for (const { kind, part } of series) checkKind(kind, part, ids);
  const edits = tickers.flatMap((ticker) =>
    series.map((each): Removal => ({ what: "removal", ticker, ...each, ids })),
  );
  return { edits, ...readCommon("delete", values) };
}

/** @throws UsageError */
function checkKind(kind: KindName, part: string | null, ids: string[] | null): void {
  const { noun, part: column } = kindOf(kind);
  if (noun !== "bars" && noun !== "ticks")
    throw new UsageError(`delete: --kind ${kind}: expected ticks or bars`);
  if (noun === "bars" && column !== null && part === null)
    throw new UsageError(`delete: --kind ${kind}: expected a length of bars: ${INTERVAL_EXPECTED}`);
  if (noun === "bars" && ids !== null) throw new UsageError("delete: --ids is for ticks: bars have none");
}

/** @returns null: help was asked for. @throws UsageError */
export function parseRenameOptions(argv: string[]): EditOptions<Renaming> | null {
  const { values, positionals } = parseFlags("rename", argv, COMMON, { allowPositionals: true });
  if (values.help) return null;
  const [ticker, newTicker, ...more] = positionals;
  if (!ticker || !newTicker || more.length > 0)
    throw new UsageError(`rename: expected OLD and NEW, got ${positionals.length} tickers`);
  if (ticker === newTicker) throw new UsageError("rename: OLD and NEW are the same ticker");
  return { edits: [{ what: "renaming", ticker, newTicker }], ...readCommon("rename", values) };
}

function readCommon(
  command: string,
  values: Partial<Record<"to" | "db-file", string> & Record<"dry-run" | "json", boolean>>,
): Omit<EditOptions<never>, "edits"> {
  const { to, "db-file": dbFile } = values;
  if (to !== undefined && dbFile !== undefined)
    throw new UsageError(`${command}: expected --to or --db-file, got both`);
  const target = to ?? dbFile ?? DEFAULT_SERVER;
  describeDatabase(target, dbFile === undefined ? `${command}: --to` : `${command}: --db-file`);
  return { to: target, dryRun: values["dry-run"] ?? false, json: values.json ?? false };
}
