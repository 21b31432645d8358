/**
 * Declares the server's tables.
 *
 * Keys have COLLATE "C", so that they compare byte by byte as in every other engine.
 */
import { EMA_PERIODS } from "../../market/moving-averages.ts";
import {
  type ColumnType,
  KIND_NAMES,
  keyColumns,
  kindOf,
  NOTES_TABLE,
  type RowKind,
  tableColumns,
} from "../model/kinds.ts";
import { columnSql } from "./sql-text.ts";

const DECLARATIONS: Record<ColumnType, string> = {
  text: 'text COLLATE "C"',
  double: "double precision",
  // Holds whole numbers of 64 bits and fractions with all their digits.
  count: "numeric",
  json: "text",
  date: "date",
  second: "timestamptz",
  instant: "timestamptz",
};

export interface Table {
  name: string;
  columns: string[];
  key: string;
}

export const EMA_COLUMNS = EMA_PERIODS.map((period) => `ema_${period}`);

export const TABLES: Table[] = [
  ...KIND_NAMES.map((name) => tableOf(kindOf(name))),
  {
    // The state before the row of `date`: see ARCHITECTURE.md "Moving averages".
    name: "daily_checkpoints",
    columns: [
      'ticker text COLLATE "C" NOT NULL',
      "date date NOT NULL",
      "closes integer NOT NULL",
      ...EMA_COLUMNS.map((name) => `${name} double precision NOT NULL`),
    ],
    key: "ticker, date",
  },
  {
    // See ARCHITECTURE.md "Updates and positions".
    name: "update_log",
    columns: [
      // The order of writing over all tickers: the oldest are trimmed first.
      "id bigint GENERATED ALWAYS AS IDENTITY",
      'ticker text COLLATE "C" NOT NULL',
      "seq bigint NOT NULL",
      'type text COLLATE "C" NOT NULL',
      // Milliseconds since 1970.
      "saved_at bigint NOT NULL",
      'save_id text COLLATE "C" NOT NULL',
      "frame text NOT NULL",
      // See storage/save-counts.ts.
      'request_key text COLLATE "C"',
      'counts text COLLATE "C"',
    ],
    key: "ticker, seq",
  },
  {
    // Each ticker's newest update, in the log or trimmed.
    name: "update_positions",
    columns: ['ticker text COLLATE "C" NOT NULL', "seq bigint NOT NULL", "saved_at bigint NOT NULL"],
    key: "ticker",
  },
  {
    // The updates after the previous part's `last_id` have so many bytes.
    name: "update_log_parts",
    columns: ["last_id bigint NOT NULL", "bytes bigint NOT NULL"],
    key: "last_id",
  },
  {
    // One row: see UpdateReader.
    name: "update_epoch",
    columns: ["epoch text NOT NULL"],
    key: "epoch",
  },
  {
    // Texts by name: see `NoteChange` in contract.ts.
    name: NOTES_TABLE,
    columns: ['name text COLLATE "C" NOT NULL', "value text NOT NULL"],
    key: "name",
  },
];

/** `id text COLLATE "C"`. */
export function definitionIn(table: string, column: string): string {
  const { columns } = TABLES.find(({ name }) => name === table)!;
  return columns.find((definition) => definition.replace(/"/g, "").startsWith(`${column} `))!;
}

/** The key finds the last quote at once, however many trades came after it. */
function tableOf(kind: RowKind): Table {
  const declarations = new Map<string, string>([
    ["ticker", 'text COLLATE "C" NOT NULL'],
    [kind.stamp.name, `${DECLARATIONS[kind.stamp.type]} NOT NULL`],
    ...(kind.part === null ? [] : [[kind.part, 'text COLLATE "C" NOT NULL'] as const]),
    ...kind.values.map(({ name, type }) => [name, DECLARATIONS[type]] as const),
    ...kind.computed.map((name) => [name, "double precision"] as const),
    ["write_timestamp", "timestamptz DEFAULT now()"],
    ["seq", "bigint NOT NULL DEFAULT 0"],
  ]);
  return {
    name: kind.table,
    columns: tableColumns(kind).map((name) => `${columnSql(name)} ${declarations.get(name)}`),
    key: keyColumns(kind).map(columnSql).join(", "),
  };
}
