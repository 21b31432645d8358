/** bun:sqlite: arrays of values, a ticker at a time; a prepared insert a row. */
import { Database } from "bun:sqlite";
import { TICKS, type TickBatch } from "../column-data.ts";
import { type BareColumns, selectionSql } from "./bare-columns.ts";

type BareRow = [timestamp: string, price: number, size: number | null, type: string];

export const sqliteColumns: BareColumns = {
  reads: "values() of each ticker, stamps parsed with a cached day",
  writes: "a prepared insert of each row",
  async read(location, some) {
    const db = new Database(location, { readonly: true });
    const stamps = new Float64Array(TICKS);
    const prices = new Float64Array(TICKS);
    const sizes = new Float64Array(TICKS);
    const types = new Int32Array(TICKS);
    const codes = new Map<string, number>();
    let row = 0;
    let sum = 0;
    let day = "none";
    let dayUs = 0;
    const { texts, where } = selectionSql(some);
    const rows = db.query<unknown, [string]>(
      `select timestamp, price, size, type${texts} from realtime_data
       ${where === "" ? "where" : `${where} and`} ticker = ? order by type, timestamp, seq`,
    );
    for (const ticker of some?.tickers ?? tickersOf(db)) {
      for (const [stamp, price, size, type] of rows.values(ticker) as BareRow[]) {
        if (!stamp.startsWith(day)) {
          day = stamp.slice(0, 10);
          dayUs = Date.parse(day) * 1_000;
        }
        const second = (two(stamp, 11) * 60 + two(stamp, 14)) * 60 + two(stamp, 17);
        const micros = two(stamp, 20) * 10_000 + two(stamp, 22) * 100 + two(stamp, 24);
        stamps[row] = dayUs + second * 1e6 + micros;
        prices[row] = price;
        sizes[row] = size ?? Number.NaN;
        let code = codes.get(type);
        if (code === undefined) {
          code = codes.size;
          codes.set(type, code);
        }
        types[row++] = code;
        sum += price;
      }
    }
    db.close();
    return { rows: row, prices: sum };
  },
  async write(location, batches) {
    const db = new Database(location);
    db.run("pragma journal_mode = wal");
    db.run("pragma synchronous = full");
    db.run(`create table realtime_data (ticker text not null, timestamp text not null, type text not null,
      price real, size integer, ask_price real, ask_size integer, write_timestamp text,
      seq integer not null default 0, primary key (ticker, type, timestamp, seq)) without rowid`);
    const add = db.query(
      `insert into realtime_data (ticker, timestamp, type, price, size, write_timestamp)
       values (?, ?, ?, ?, ?, ?) on conflict do nothing`,
    );
    const startedAt = performance.now();
    for (const batch of batches) addBatch(db, (row) => add.run(...row), batch);
    const ms = performance.now() - startedAt;
    db.close();
    return ms;
  },
};

function tickersOf(db: Database): string[] {
  const found = db.query<{ ticker: string }, []>("select distinct ticker from realtime_data").all();
  return found.map(({ ticker }) => ticker);
}

function addBatch(
  db: Database,
  add: (row: (string | number | null)[]) => void,
  { ticker, batch, stampTexts, prices, sizes, sizeNulls }: TickBatch,
): void {
  const writtenAt = new Date().toISOString();
  db.run("begin immediate");
  for (let row = 0; row < batch.rows; row++) {
    const size = sizeNulls[row] === 1 ? null : Number(sizes[row]);
    add([ticker, stampTexts[row]!, "trade", prices[row]!, size, writtenAt]);
  }
  db.run("commit");
}

function two(text: string, at: number): number {
  return text.charCodeAt(at) * 10 + text.charCodeAt(at + 1) - 528;
}
