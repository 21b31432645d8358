/** bun:sqlite: WAL, synchronous FULL, the tables and keys that the server has. */
import { Database } from "bun:sqlite";
import { BAR_COLUMNS, type BareBar, type BareStore, type BareTick } from "./bare-store.ts";

export function openSqlite(path: string): BareStore {
  const db = new Database(path);
  db.run("pragma journal_mode = wal");
  db.run("pragma synchronous = full");
  db.run(`create table daily_prices (${BAR_COLUMNS.map((name) => `${name} ${typeOf(name)}`).join(", ")},
    write_timestamp text default current_timestamp, primary key (ticker, date)) without rowid`);
  db.run(`create table realtime_data (ticker text not null, timestamp text not null, type text not null, price real,
    size integer, ask_price real, ask_size integer, write_timestamp text, seq integer not null default 0,
    primary key (ticker, type, timestamp, seq)) without rowid`);
  const latest = db.query<{ price: number }, [string]>(
    "select price from realtime_data where ticker = ? and type = 'quote' order by timestamp desc limit 1",
  );
  const bars = db.query<unknown, [string, string, string]>(
    "select * from daily_prices where ticker = ? and date between ? and ? order by date",
  );
  const addBar = db.query(
    `insert into daily_prices (${BAR_COLUMNS.join(", ")}) values (${BAR_COLUMNS.map(() => "?").join(", ")})`,
  );
  const addTick = db.query(
    `insert into realtime_data (ticker, timestamp, type, price, size, write_timestamp)
     values (?, ?, ?, ?, ?, ?) on conflict do nothing`,
  );
  const count = db.query<{ n: number }, []>("select count(*) as n from realtime_data");
  return {
    latestPrice: async (ticker) => latest.get(ticker)?.price ?? null,
    bars: async (ticker, from, to) => bars.all(ticker, from, to),
    async addBars(rows: BareBar[]) {
      db.transaction(() => {
        for (const row of rows) addBar.run(...BAR_COLUMNS.map((name) => row[name] ?? null));
      })();
    },
    async addTicks(ticks: BareTick[]) {
      const writtenAt = new Date().toISOString();
      db.run("begin immediate");
      for (const { ticker, timestamp, type, price, size } of ticks)
        addTick.run(ticker, timestamp, type, price, size, writtenAt);
      db.run("commit");
    },
    countTicks: async () => count.get()!.n,
    close: async () => db.close(),
  };
}

function typeOf(column: string): string {
  if (column === "ticker" || column === "date") return "text not null";
  return column === "volume" ? "integer" : "real";
}
