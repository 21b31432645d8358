/**
 * The kinds of rows that a database holds. Each is declared once, here; drivers, the hub, the
 * cache, copies, `import` and the remote driver work from the declaration.
 *
 * A series is the rows of one ticker, or of one ticker and one value of the kind's `part` column.
 * Within it, rows are in order of their stamp, then of `seq` where the kind has one.
 */
import { AVERAGE_COLUMNS } from "../../market/moving-averages.ts";
import type { StampType } from "../../market/timestamp.ts";

/**
 * - `double`: a price.
 * - `count`: a volume or size; an integer of 64 bits, or a double where it isn't whole.
 * - `date`, `second`, `instant`: a stamp in UTC, as `YYYY-MM-DD`, `YYYY-MM-DD HH:MM:SS` or
 *   `YYYY-MM-DD HH:MM:SS.ffffff`.
 */
export type ColumnType = "text" | "double" | "count" | "json" | StampType;

export interface KindColumn {
  name: string;
  type: ColumnType;
  /** A second name: answers have both, and a save may use either. */
  alias?: string;
  /** Only answers that are asked for it have it. */
  onRequest?: true;
}

/** A column of an answer. `type`: how it is shown; `written` is `write_timestamp`. */
export interface AnswerColumn {
  name: string;
  /** The column of the table. */
  column: string;
  type: ColumnType | "seq" | "written";
}

/** A value of a row; text holds the digits of a count, or a text. */
export type SeriesValue = number | string | null;

/** The stamp and the kind's values, in order; then `seq` where the kind has one. */
export type SeriesRow = [stamp: string, ...values: SeriesValue[]];

/** How the commands of the server name a kind and the parts of it. */
interface WireNames {
  save: string;
  read: string;
  /**
   * The parameter that names the part; for a kind without parts it holds the kind's name. Null: the
   * commands are of this kind alone.
   */
  part: string | null;
  /** Each record of a save names its part: one save has rows of many. */
  partInRecords: boolean;
  from: string;
  to: string;
  /** `read` answers the newest row alone when it has no bound. */
  newestUnbounded: boolean;
  /** What reads the newest rows of a series, with `limit` and these bounds. */
  newest: { command: string; from: string; to: string };
}

export interface RowKind {
  /** For people. */
  label: string;
  /** What a row is, behind the name of a part: `trade ticks`. */
  noun: "bars" | "ticks" | "snapshots" | "figures" | "actions";
  table: string;
  /** The text column that splits the rows of a ticker into series; null: a ticker is one series. */
  part: string | null;
  stamp: { name: string; type: StampType };
  /** What a save brings beside the stamp, in the order of a row. */
  values: readonly KindColumn[];
  /**
   * Rows that share a stamp are told apart by the column `seq`: the last member of a row, and the
   * end of the key. Ticks get one where they bring none; rows of other kinds bring theirs. But for
   * ticks, a save of a taken key replaces, keeps or refuses.
   */
  hasSeq: boolean;
  /** Doubles that a rule writes, and no save: the moving averages of daily bars. */
  computed: readonly string[];
  /** How answers show `write_timestamp`: `2024-01-02 10:00:00.123456+00:00`, or as other stamps. */
  writtenForm: "offset" | "wire";
  /** What subscribers call an update of this kind; null: by its part, as with `trade`. */
  updateType: string | null;
  /** The parts whose newest row is part of a snapshot; null: all of them, none if it is empty. */
  snapshotParts: readonly string[] | null;
  wire: WireNames;
}

/** What a record brings beside the columns of its kind: a JSON object, null without any. */
const EXTRA: KindColumn = { name: "extra", type: "json", onRequest: true };

const PRICES: readonly KindColumn[] = [
  { name: "open", type: "double" },
  { name: "high", type: "double" },
  { name: "low", type: "double" },
  { name: "close", type: "double" },
  { name: "volume", type: "count" },
];

const NEWEST_OF_PRICES = { command: "get_historical_data", from: "start_date", to: "end_date" };

const BARS_WIRE: WireNames = {
  save: "save_stock_data",
  read: "get_stock_data",
  part: "interval",
  partInRecords: false,
  from: "start_date",
  to: "end_date",
  newestUnbounded: false,
  newest: NEWEST_OF_PRICES,
};

const BAR = {
  noun: "bars",
  hasSeq: false,
  computed: [],
  writtenForm: "offset",
  updateType: "bar",
  snapshotParts: null,
  wire: BARS_WIRE,
} as const;

function doubles(...names: string[]): KindColumn[] {
  return names.map((name) => ({ name, type: "double" }));
}

/** In the order in which a copy walks them. New ones come last. */
export const KINDS = {
  daily: {
    ...BAR,
    label: "daily bars",
    table: "daily_prices",
    part: null,
    stamp: { name: "date", type: "date" },
    values: [...PRICES, EXTRA],
    computed: AVERAGE_COLUMNS,
  },
  hourly: {
    ...BAR,
    label: "hourly bars",
    table: "hourly_prices",
    part: null,
    stamp: { name: "datetime", type: "second" },
    values: [...PRICES, EXTRA],
  },
  ticks: {
    label: "ticks",
    noun: "ticks",
    table: "realtime_data",
    part: "type",
    stamp: { name: "timestamp", type: "instant" },
    values: [
      { name: "price", type: "double" },
      { name: "size", type: "count" },
      { name: "ask_price", type: "double" },
      { name: "ask_size", type: "count" },
      // The one that the tick brought.
      { name: "id", type: "text", onRequest: true },
      EXTRA,
    ],
    hasSeq: true,
    computed: [],
    writtenForm: "wire",
    updateType: null,
    snapshotParts: ["quote", "trade"],
    wire: {
      save: "save_realtime_data",
      read: "get_realtime_data",
      part: "data_type",
      partInRecords: false,
      from: "start_datetime",
      to: "end_datetime",
      newestUnbounded: false,
      newest: NEWEST_OF_PRICES,
    },
  },
  // Named as market/interval.ts names lengths.
  interval: {
    ...BAR,
    label: "interval bars",
    table: "interval_prices",
    part: "interval",
    stamp: { name: "datetime", type: "second" },
    values: [...PRICES, { name: "vwap", type: "double" }, { name: "trade_count", type: "count" }, EXTRA],
  },
  options: {
    label: "option snapshots",
    noun: "snapshots",
    table: "options_data",
    part: "option_ticker",
    stamp: { name: "timestamp", type: "instant" },
    values: [
      { name: "expiration_date", type: "date" },
      { name: "strike_price", type: "double" },
      { name: "option_type", type: "text" },
      { name: "last_quote_timestamp", type: "instant" },
      ...doubles("price", "bid", "ask", "day_close", "fmv"),
      ...doubles("delta", "gamma", "theta", "vega", "rho", "implied_volatility"),
      { name: "volume", type: "count" },
      { name: "open_interest", type: "count" },
    ],
    hasSeq: false,
    computed: [],
    writtenForm: "wire",
    updateType: "option",
    // A chain has thousands.
    snapshotParts: [],
    wire: {
      save: "save_options_data",
      read: "get_option_history",
      part: "option_ticker",
      partInRecords: true,
      from: "start_datetime",
      to: "end_datetime",
      newestUnbounded: false,
      newest: { command: "get_option_history", from: "start_datetime", to: "end_datetime" },
    },
  },
  financial: {
    label: "financial figures",
    noun: "figures",
    table: "financial_info",
    part: null,
    stamp: { name: "date", type: "date" },
    values: [
      { name: "price", type: "double" },
      { name: "market_cap", type: "count" },
      ...doubles("earnings_per_share", "price_to_earnings", "price_to_book", "price_to_sales"),
      ...doubles("price_to_cash_flow", "price_to_free_cash_flow", "dividend_yield"),
      ...doubles("return_on_assets", "return_on_equity", "debt_to_equity"),
      { name: "current_ratio", type: "double", alias: "current" },
      { name: "quick_ratio", type: "double", alias: "quick" },
      { name: "cash_ratio", type: "double", alias: "cash" },
      ...doubles("ev_to_sales", "ev_to_ebitda"),
      { name: "enterprise_value", type: "count" },
      { name: "free_cash_flow", type: "count" },
      ...doubles("iv_30d", "iv_90d", "iv_rank", "iv_90d_rank", "iv_rank_diff", "relative_rank"),
      ...doubles("week_52_low", "week_52_high"),
      { name: "iv_analysis_json", type: "text" },
      { name: "iv_analysis_spare", type: "text" },
    ],
    hasSeq: false,
    computed: [],
    writtenForm: "wire",
    updateType: "financial",
    snapshotParts: [],
    wire: {
      save: "save_financial_info",
      read: "get_financial_info",
      part: null,
      partInRecords: false,
      from: "start_date",
      to: "end_date",
      newestUnbounded: true,
      newest: { command: "get_financial_info", from: "start_date", to: "end_date" },
    },
  },
  // What the columns hold, and `seq`: market/corporate-actions.ts.
  actions: {
    label: "corporate actions",
    noun: "actions",
    table: "corporate_actions",
    part: null,
    stamp: { name: "ex_date", type: "date" },
    values: [
      { name: "type", type: "text" },
      { name: "ratio", type: "double" },
      { name: "cash", type: "double" },
      { name: "basis", type: "text" },
      { name: "new_ticker", type: "text" },
    ],
    hasSeq: true,
    computed: [],
    writtenForm: "offset",
    updateType: "corporate_action",
    snapshotParts: [],
    wire: {
      save: "save_corporate_actions",
      read: "get_corporate_actions",
      part: null,
      partInRecords: false,
      from: "start_date",
      to: "end_date",
      newestUnbounded: false,
      newest: { command: "get_historical_data", from: "start_date", to: "end_date" },
    },
  },
} as const satisfies Record<string, RowKind>;

export type KindName = keyof typeof KINDS;
export const KIND_NAMES = Object.keys(KINDS) as KindName[];
export const TABLE_NAMES: readonly string[] = KIND_NAMES.map((name) => KINDS[name].table);

/** Texts by name: see `NoteChange` in contract.ts. */
export const NOTES_TABLE = "server_notes";

/** A kind, columns of the kinds before it that have them, or a table of bookkeeping. */
type Addition = { kind: KindName } | { columns: readonly string[] } | { table: string };
/**
 * What was added to the model since the schema version that a driver calls its base: each adds one
 * to every driver's version. A new one comes last.
 */
const ADDITIONS: readonly Addition[] = [
  { kind: "interval" },
  { columns: ["id", "extra"] },
  { kind: "options" },
  { kind: "financial" },
  { kind: "actions" },
  { table: NOTES_TABLE },
];
export const ADDITIONS_MADE = ADDITIONS.length;
/** So many additions have a database whose update log tells what each save did. */
export const ADDITIONS_OF_SAVE_COUNTS = 2;

function additionsAfter(made: number): readonly Addition[] {
  return ADDITIONS.slice(Math.max(0, made));
}

/** The kinds that a database lacks. @param made so many additions it has already. */
export function kindsAfter(made: number): RowKind[] {
  return additionsAfter(made).flatMap((addition) => ("kind" in addition ? [kindOf(addition.kind)] : []));
}

/** The tables of bookkeeping that it lacks, as `kindsAfter`. */
export function tablesAfter(made: number): string[] {
  return additionsAfter(made).flatMap((addition) => ("table" in addition ? [addition.table] : []));
}

/** The columns that its tables lack, as `kindsAfter`. */
export function columnsAfter(made: number): { kind: RowKind; columns: KindColumn[] }[] {
  const names = new Set(additionsAfter(made).flatMap((each) => ("columns" in each ? each.columns : [])));
  const lacking = kindsAfter(made);
  return KIND_NAMES.map(kindOf)
    .filter((kind) => !lacking.includes(kind))
    .map((kind) => ({ kind, columns: kind.values.filter(({ name }) => names.has(name)) }))
    .filter(({ columns }) => columns.length > 0);
}

/** The declaration, with the optional parts that not every kind has. */
export function kindOf(name: KindName): RowKind {
  return KINDS[name];
}

export function isKindName(name: unknown): name is KindName {
  return typeof name === "string" && Object.hasOwn(KINDS, name);
}

/** Something for each kind, such as its statements. */
export function byKind<T>(make: (kind: RowKind, name: KindName) => T): Record<KindName, T> {
  return Object.fromEntries(KIND_NAMES.map((name) => [name, make(KINDS[name], name)])) as Record<KindName, T>;
}

/** The parts of which a snapshot holds the newest row. @param stored those that the ticker has. */
export function snapshotParts(name: KindName, stored: () => string[]): (string | null)[] {
  const { part, snapshotParts } = kindOf(name);
  if (part === null) return snapshotParts === null ? [null] : [];
  return snapshotParts === null ? stored() : [...snapshotParts];
}

/** A row of the kind without its `seq`. */
export function withoutSeq<R extends unknown[]>(name: KindName, row: R): R {
  return (kindOf(name).hasSeq ? row.slice(0, -1) : row) as R;
}

/** The key of a row within its series, and for people: a stamp, or `2024-01-02 seq 1`. */
export function keyText({ hasSeq }: RowKind, row: SeriesRow): string {
  return hasSeq ? `${row[0]} seq ${row.at(-1)}` : row[0];
}

/** The columns that name a series. */
export function seriesColumns({ part }: RowKind): string[] {
  return part === null ? ["ticker"] : ["ticker", part];
}

/** The unique key. */
export function keyColumns(kind: RowKind): string[] {
  return [...seriesColumns(kind), kind.stamp.name, ...(kind.hasSeq ? ["seq"] : [])];
}

/** All columns, in the order of the table. */
export function tableColumns(kind: RowKind): string[] {
  return [
    "ticker",
    kind.stamp.name,
    ...(kind.part === null ? [] : [kind.part]),
    ...kind.values.map(({ name }) => name),
    ...kind.computed,
    "write_timestamp",
    ...(kind.hasSeq ? ["seq"] : []),
  ];
}

/** What the rows of an answer have beside the plain columns, at their end. */
export interface AnswerForm {
  /** `seq`, where the kind has one. */
  withSeq?: boolean | undefined;
  /** The columns that come on request. */
  withExtra?: boolean | undefined;
}

/** The columns of an answer, in its order. */
export function answerColumns(kind: RowKind, { withSeq, withExtra }: AnswerForm = {}): AnswerColumn[] {
  const { stamp, part, values, computed } = kind;
  const plain = (name: string, type: AnswerColumn["type"]): AnswerColumn => ({ name, column: name, type });
  const shown = (onRequest: boolean): AnswerColumn[] =>
    values
      .filter((column) => (column.onRequest === true) === onRequest)
      .flatMap(({ name, type, alias }) => [
        plain(name, type),
        ...(alias === undefined ? [] : [{ name: alias, column: name, type }]),
      ]);
  return [
    plain(stamp.name, stamp.type),
    plain("ticker", "text"),
    ...(part === null ? [] : [plain(part, "text")]),
    ...shown(false),
    ...computed.map((name) => plain(name, "double")),
    plain("write_timestamp", "written"),
    ...(withSeq === true && kind.hasSeq ? [plain("seq", "seq")] : []),
    ...(withExtra === true ? shown(true) : []),
  ];
}

/** Those of these names, in order. @param names null: all that aren't on request. */
export function answerColumnsOf(kind: RowKind, names: readonly string[] | null): AnswerColumn[] {
  const columns = answerColumns(kind);
  return names === null ? columns : columns.filter(({ name }) => names.includes(name));
}

/** The type of a column of values. */
export function valueType({ values }: RowKind, column: string): ColumnType {
  return values.find(({ name }) => name === column)?.type ?? "text";
}

/** Whether answers that are asked for it end with `extra`. */
export function hasExtra({ values }: RowKind): boolean {
  return values.at(-1)?.name === EXTRA.name;
}

/** Names of the columns that hold counts. */
export function countColumns({ values }: RowKind): string[] {
  return values.filter(({ type }) => type === "count").map(({ name }) => name);
}

/** `5min`, `trade`, or the kind's name where it has no parts. */
export function partName(kind: KindName, part: string | null): string {
  return part ?? kind;
}

/** `daily bars`, `trade ticks`. */
export function seriesLabel(kind: KindName, part: string | null): string {
  return part === null ? KINDS[kind].label : `${part} ${KINDS[kind].noun}`;
}

/** The bars that a snapshot names so: `daily`, or a part of bars. Null: it knows none. */
export function barSeries(name: string): { kind: KindName; part: string | null } | null {
  if (isKindName(name) && kindOf(name).noun === "bars" && kindOf(name).part === null)
    return { kind: name, part: null };
  const kind = KIND_NAMES.find((each) => kindOf(each).noun === "bars" && kindOf(each).part !== null);
  return kind === undefined ? null : { kind, part: name };
}

/** Whose update: that of a save, or of an edit. */
export type UpdateOf =
  | { kind: KindName; part: string | null; updateType?: undefined }
  | { updateType: string };

/** What a subscription to types goes by. */
export function updateTypeOf(of: UpdateOf): string {
  if (of.updateType !== undefined) return of.updateType;
  return KINDS[of.kind].updateType ?? of.part ?? of.kind;
}
