/** Rows of a table of an answer as Polygon's clients read them. */
import type { PriceTable } from "../market-data/answer-columns.ts";
import { type Cell, cellReader } from "../market-data/cell-reader.ts";
import type { ColumnBatch } from "../storage/model/columns.ts";

type CellsOfRow = (name: string) => Cell;
/** Those that are undefined are left out. */
type RowMembers = Record<string, number | bigint | string | (number | bigint)[] | undefined>;

/** @returns the members of a row; null: it lacks a price, and there is no such row. */
export type RowForm = (cells: CellsOfRow) => RowMembers | null;

/** Reads row by row. */
export function rowReader({ columns }: ColumnBatch, form: RowForm): (row: number) => RowMembers | null {
  const readers = new Map([...columns].map(([name, data]) => [name, cellReader(data)]));
  return (row) => form((name) => readers.get(name)?.(row) ?? null);
}

/** @param withTicker as in answers of several tickers. */
export function barForm(withTicker: boolean): RowForm {
  return (cells) => {
    const [open, high, low, close] = ["open", "high", "low", "close"].map((name) => real(cells(name)));
    if (open === undefined || high === undefined || low === undefined || close === undefined) return null;
    return {
      ...(withTicker ? { T: String(cells("symbol")) } : {}),
      ...{ v: count(cells("volume")) ?? 0, vw: real(cells("vwap")), o: open, c: close, h: high, l: low },
      ...{ t: Number(cells("timestamp")) / 1_000, n: count(cells("trade_count")) },
    };
  };
}

export const TICK_FORMS: Record<Exclude<PriceTable, "bars">, RowForm> = {
  trades(cells) {
    const price = real(cells("price"));
    if (price === undefined) return null;
    const stamp = nanoseconds(cells);
    return {
      conditions: conditions(cells),
      exchange: integer(cells("exchange")),
      id: text(cells("id")),
      participant_timestamp: stamp,
      price,
      sequence_number: integer(cells("seq")),
      sip_timestamp: stamp,
      size: count(cells("size")) ?? 0,
      tape: tape(cells("tape")),
    };
  },
  quotes(cells) {
    const stamp = nanoseconds(cells);
    return {
      ask_exchange: integer(cells("ask_exchange")),
      ask_price: real(cells("ask_price")) ?? 0,
      ask_size: count(cells("ask_size")) ?? 0,
      bid_exchange: integer(cells("bid_exchange")),
      bid_price: real(cells("bid_price")) ?? 0,
      bid_size: count(cells("bid_size")) ?? 0,
      conditions: conditions(cells),
      participant_timestamp: stamp,
      sequence_number: integer(cells("seq")),
      sip_timestamp: stamp,
      tape: tape(cells("tape")),
    };
  },
};

/** The same in the short names of the newest rows. */
export function lastForm(table: Exclude<PriceTable, "bars">, ticker: string): RowForm {
  return (cells) => {
    const row = TICK_FORMS[table](cells);
    if (row === null) return null;
    const stamp = row.sip_timestamp;
    const ofAll = { T: ticker, t: stamp, y: stamp, q: row.sequence_number, z: row.tape, c: row.conditions };
    if (table === "trades") return { ...ofAll, i: row.id, p: row.price, s: row.size, x: row.exchange };
    return {
      ...{ ...ofAll, P: row.ask_price, S: row.ask_size, X: row.ask_exchange },
      ...{ p: row.bid_price, s: row.bid_size, x: row.bid_exchange },
    };
  };
}

/** All digits: a double can't hold them. */
function nanoseconds(cells: CellsOfRow): bigint {
  return BigInt(Number(cells("timestamp"))) * 1_000n;
}

function real(cell: Cell): number | undefined {
  return cell === null ? undefined : Number(cell);
}

function text(cell: Cell): string | undefined {
  return cell === null ? undefined : String(cell);
}

function count(cell: Cell): number | bigint | undefined {
  if (cell === null) return undefined;
  return typeof cell === "number" ? cell : (integer(cell) ?? Number(cell));
}

/** Polygon numbers exchanges and conditions; what isn't a number has no place here. */
function integer(value: unknown): number | bigint | undefined {
  if (value === null || !/^-?\d{1,19}$/.test(String(value))) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : BigInt(String(value));
}

function conditions(cells: CellsOfRow): (number | bigint)[] | undefined {
  const cell = cells("conditions");
  if (cell === null) return undefined;
  const sent: unknown = JSON.parse(String(cell));
  const numbers = (Array.isArray(sent) ? sent : [sent]).map(integer).filter((each) => each !== undefined);
  return numbers.length === 0 ? undefined : numbers;
}

function tape(cell: Cell): number | bigint | undefined {
  const letter = "ABC".indexOf(String(cell));
  return cell !== null && letter >= 0 && cell !== "" ? letter + 1 : integer(cell);
}
