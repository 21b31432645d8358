/** Rows of a table of an answer as Alpaca's clients read them. */
import { stampOfMicros } from "../market/stamp-micros.ts";
import type { PriceTable } from "../market-data/answer-columns.ts";
import { type Cell, cellReader } from "../market-data/cell-reader.ts";
import type { ColumnBatch, TextColumn } from "../storage/model/columns.ts";
import { AlpacaTime } from "./alpaca-time.ts";
import { barMembers, type Details, type Members, quoteMembers, tradeMembers } from "./market-messages.ts";

type RowCells = (name: string) => Cell;

/** @returns the symbol and the members of a row; null members: Alpaca has no such row. */
export function rowReader(
  table: PriceTable,
  { columns }: ColumnBatch,
): (row: number) => { symbol: string; members: Members | null } {
  const readers = new Map([...columns].map(([name, data]) => [name, cellReader(data)]));
  const symbols = columns.get("symbol") as TextColumn;
  const members = MEMBERS[table];
  return (row) => ({
    symbol: symbols.dictionary[symbols.codes[row]!]!,
    members: members((name) => readers.get(name)?.(row) ?? null),
  });
}

const MEMBERS: Record<PriceTable, (cells: RowCells) => Members | null> = {
  bars(cells) {
    const [open, high, low, close] = ["open", "high", "low", "close"].map((name) => real(cells(name)));
    if (open == null || high == null || low == null || close == null) return null;
    const volume = count(cells("volume"));
    const tradeCount = count(cells("trade_count"));
    const vwap = real(cells("vwap"));
    return barMembers({ t: timeOf(cells), open, high, low, close, volume, tradeCount, vwap });
  },
  trades(cells) {
    const price = real(cells("price"));
    if (price === null) return null;
    const id = cells("id");
    const size = count(cells("size"));
    return tradeMembers(
      { t: timeOf(cells), price, size, id: id === null ? null : String(id) },
      detailsOf(cells),
    );
  },
  quotes: (cells) =>
    quoteMembers(
      {
        t: timeOf(cells),
        bidPrice: real(cells("bid_price")),
        bidSize: count(cells("bid_size")),
        askPrice: real(cells("ask_price")),
        askSize: count(cells("ask_size")),
      },
      detailsOf(cells),
    ),
};

function timeOf(cells: RowCells): AlpacaTime {
  return new AlpacaTime(stampOfMicros(Number(cells("timestamp"))));
}

function real(cell: Cell): number | null {
  return cell === null ? null : Number(cell);
}

function count(cell: Cell): number | bigint | null {
  if (cell === null || typeof cell === "number") return cell;
  const number = Number(cell);
  if (Number.isSafeInteger(number) || !/^-?\d+$/.test(String(cell))) return number;
  return BigInt(cell);
}

/** Conditions are the JSON of a list, or of what else the feed has sent. */
function detailsOf(cells: RowCells): Details {
  return (name) => {
    const cell = cells(name);
    return name === "conditions" && cell !== null ? JSON.parse(String(cell)) : cell;
  };
}
