/** The server's tables in a SQLite file, and the names that belong to the server. */
import {
  type ColumnType,
  KIND_NAMES,
  keyColumns,
  kindOf,
  NOTES_TABLE,
  type RowKind,
  TABLE_NAMES,
  tableColumns,
} from "../model/kinds.ts";

export interface ServerTable {
  name: string;
  columns: ReadonlyMap<string, string>;
  /** Empty: the table has a rowid. */
  key: string[];
}

const DECLARATIONS: Record<ColumnType, string> = {
  text: "TEXT",
  double: "REAL",
  count: "INTEGER",
  json: "TEXT",
  date: "DATE",
  second: "DATETIME",
  instant: "DATETIME",
};

export function declarationOf(type: ColumnType): string {
  return DECLARATIONS[type];
}

export function shapeOf(kind: RowKind): ServerTable {
  const declarations = new Map<string, string>([
    ["ticker", "TEXT NOT NULL"],
    [kind.stamp.name, `${DECLARATIONS[kind.stamp.type]} NOT NULL`],
    ...(kind.part === null ? [] : [[kind.part, "TEXT NOT NULL"] as const]),
    ...kind.values.map(({ name, type }) => [name, DECLARATIONS[type]] as const),
    ...kind.computed.map((name) => [name, "REAL"] as const),
    ["write_timestamp", "DATETIME DEFAULT CURRENT_TIMESTAMP"],
    ["seq", "INTEGER NOT NULL DEFAULT 0"],
  ]);
  return {
    name: kind.table,
    columns: new Map(tableColumns(kind).map((column) => [column, declarations.get(column)!])),
    key: keyColumns(kind),
  };
}

/** Users may change the rows of these, but not their shape. */
export const DATA_TABLES: readonly ServerTable[] = KIND_NAMES.map((name) => shapeOf(kindOf(name)));

/** A row holds the state of the averages before the bar of its date. */
export const CHECKPOINTS: ServerTable = {
  name: "daily_checkpoints",
  columns: declared(`ticker TEXT NOT NULL, date TEXT NOT NULL, closes INTEGER NOT NULL,
    ema_8 REAL NOT NULL, ema_21 REAL NOT NULL, ema_34 REAL NOT NULL, ema_55 REAL NOT NULL,
    ema_89 REAL NOT NULL`),
  key: ["ticker", "date"],
};

/** The file must hold exactly these texts, apart from blanks. */
export const CHECKPOINT_TRIGGERS: Readonly<Record<string, string>> = {
  daily_checkpoints_insert: `CREATE TRIGGER daily_checkpoints_insert AFTER INSERT ON daily_prices BEGIN
     DELETE FROM daily_checkpoints WHERE ticker = NEW.ticker AND date > NEW.date; END`,
  daily_checkpoints_delete: `CREATE TRIGGER daily_checkpoints_delete AFTER DELETE ON daily_prices BEGIN
     DELETE FROM daily_checkpoints WHERE ticker = OLD.ticker AND date > OLD.date; END`,
  daily_checkpoints_update: `CREATE TRIGGER daily_checkpoints_update
   AFTER UPDATE OF ticker, date, close ON daily_prices
   WHEN OLD.close IS NOT NEW.close OR OLD.date IS NOT NEW.date OR OLD.ticker IS NOT NEW.ticker BEGIN
     DELETE FROM daily_checkpoints WHERE ticker = OLD.ticker AND date > OLD.date;
     DELETE FROM daily_checkpoints WHERE ticker = NEW.ticker AND date > NEW.date; END`,
};

/** See DESIGN.md "The update log". */
export const UPDATE_LOG: readonly ServerTable[] = [
  {
    name: "update_log",
    // The frame comes last, so that a walk over the rows reads none of a long frame's pages.
    columns: declared(`id INTEGER PRIMARY KEY, ticker TEXT NOT NULL, seq INTEGER NOT NULL,
      type TEXT NOT NULL, saved_at INTEGER NOT NULL, save_id TEXT, request_key TEXT, counts TEXT,
      frame TEXT NOT NULL`),
    key: [],
  },
  {
    name: "update_log_index",
    columns: declared("ticker TEXT NOT NULL, seq INTEGER NOT NULL, id INTEGER NOT NULL"),
    key: ["ticker", "seq"],
  },
  {
    // The newest indexed update of each ticker. A row outlives the update.
    name: "update_positions",
    columns: declared("ticker TEXT NOT NULL, seq INTEGER NOT NULL, saved_at INTEGER NOT NULL"),
    key: ["ticker"],
  },
  {
    // One row. Updates after id indexed_to are in no index yet.
    name: "update_log_state",
    columns: declared(`id INTEGER PRIMARY KEY CHECK (id = 1), epoch TEXT NOT NULL,
      indexed_to INTEGER NOT NULL`),
    key: [],
  },
];

/** Columns of the update log that files before it had no counts of saves lack. */
export const SAVE_COUNT_COLUMNS = ["request_key", "counts"] as const;
/** Only saves that bring an identity have an entry. */
export const REQUEST_INDEX = {
  name: "update_log_requests",
  sql: `CREATE INDEX IF NOT EXISTS update_log_requests ON update_log (request_key)
    WHERE request_key IS NOT NULL`,
};

/** Texts by name: see `NoteChange` in contract.ts. */
export const NOTES: ServerTable = {
  name: NOTES_TABLE,
  columns: declared("name TEXT NOT NULL, value TEXT NOT NULL"),
  key: ["name"],
};

export const SERVER_TABLES: readonly ServerTable[] = [...DATA_TABLES, CHECKPOINTS, ...UPDATE_LOG, NOTES];

const DATA: ReadonlySet<string> = new Set(TABLE_NAMES);
const BOOKKEEPING: ReadonlySet<string> = new Set([CHECKPOINTS, ...UPDATE_LOG, NOTES].map(({ name }) => name));
const TRIGGERS: ReadonlySet<string> = new Set(Object.keys(CHECKPOINT_TRIGGERS));

/** Here and below, as SQLite does, the case of letters is ignored. */
export function isServerTable(name: string): boolean {
  return DATA.has(name.toLowerCase()) || isBookkeeping(name);
}

/** Only the server writes these tables. */
export function isBookkeeping(name: string): boolean {
  return BOOKKEEPING.has(name.toLowerCase());
}

export function isServerTrigger(name: string): boolean {
  return TRIGGERS.has(name.toLowerCase());
}

/** A virtual table `x` has tables named `x_…`. One could get the name of a server's table. */
export function wouldOwnServerTable(name: string): boolean {
  const prefix = `${name.toLowerCase()}_`;
  return SERVER_TABLES.some((table) => table.name.startsWith(prefix));
}

export function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

function declared(columns: string): Map<string, string> {
  return new Map(
    columns.split(/,\s+/).map((column) => {
      const end = column.indexOf(" ");
      return [column.slice(0, end), column.slice(end + 1)];
    }),
  );
}
