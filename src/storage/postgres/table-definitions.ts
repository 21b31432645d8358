/**
 * The tables of the server and their columns.
 *
 * Keys are compared byte by byte (COLLATE "C"), as every other engine does, whatever the language
 * of the database.
 */
import { AVERAGE_COLUMNS } from "../../market/moving-averages.ts";

const PRICES = ["open", "high", "low", "close"];
const reals = (names: readonly string[]): string[] => names.map((name) => `${name} double precision`);
// Whole numbers of 64 bits and fractions, both with all their digits.
const VOLUME = "volume numeric";
const WRITTEN = "write_timestamp timestamptz DEFAULT now()";

export interface Table {
  name: string;
  /** As CREATE TABLE takes them. */
  columns: string[];
  key: string;
}

export const TABLES: Table[] = [
  {
    name: "daily_prices",
    columns: [
      'ticker text COLLATE "C" NOT NULL',
      "date date NOT NULL",
      ...reals(PRICES),
      VOLUME,
      ...reals(AVERAGE_COLUMNS),
      WRITTEN,
    ],
    key: "ticker, date",
  },
  {
    name: "hourly_prices",
    columns: [
      'ticker text COLLATE "C" NOT NULL',
      "datetime timestamptz NOT NULL",
      ...reals(PRICES),
      VOLUME,
      WRITTEN,
    ],
    key: "ticker, datetime",
  },
  {
    name: "realtime_data",
    columns: [
      'ticker text COLLATE "C" NOT NULL',
      '"timestamp" timestamptz NOT NULL',
      'type text COLLATE "C" NOT NULL',
      "price double precision",
      "size numeric",
      "ask_price double precision",
      "ask_size numeric",
      WRITTEN,
      "seq bigint NOT NULL DEFAULT 0",
    ],
    // The last quote is found at once however many trades came after it.
    key: 'ticker, type, "timestamp", seq',
  },
  {
    // See ARCHITECTURE.md "Moving averages": the state before the row of `date`.
    name: "daily_checkpoints",
    columns: [
      'ticker text COLLATE "C" NOT NULL',
      "date date NOT NULL",
      "closes integer NOT NULL",
      ...["ema_8", "ema_21", "ema_34", "ema_55", "ema_89"].map((name) => `${name} double precision NOT NULL`),
    ],
    key: "ticker, date",
  },
  {
    // See ARCHITECTURE.md "Updates and positions".
    name: "update_log",
    columns: [
      // In the order in which they were written, over all tickers: the oldest go first.
      "id bigint GENERATED ALWAYS AS IDENTITY",
      'ticker text COLLATE "C" NOT NULL',
      "seq bigint NOT NULL",
      'type text COLLATE "C" NOT NULL',
      // Milliseconds since 1970.
      "saved_at bigint NOT NULL",
      'save_id text COLLATE "C" NOT NULL',
      "frame text NOT NULL",
    ],
    key: "ticker, seq",
  },
  {
    // Of each ticker's newest update, whether it is still in the log or not.
    name: "update_positions",
    columns: ['ticker text COLLATE "C" NOT NULL', "seq bigint NOT NULL", "saved_at bigint NOT NULL"],
    key: "ticker",
  },
  {
    // What trimming has counted: the updates up to `last_id`, from the row before on, have so many
    // bytes.
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
];
