/** bun:sqlite: arrays of values, a ticker at a time, stamps parsed with a cached day. */
import { Database } from "bun:sqlite";
import type { WalkedTable } from "../walked-tables.ts";
import { type BareWalks, readColumns } from "./bare-walks.ts";

export const sqliteWalks: BareWalks = {
  reads: "values() of each ticker, stamps parsed with a cached day",
  async fill(location, tables) {
    const db = new Database(location);
    for (const table of tables) db.run(fillSql(table));
    db.close();
  },
  async read(location, table) {
    const db = new Database(location, { readonly: true });
    const names = readColumns(table);
    const startedAt = performance.now();
    const tickers = db
      .query<{ ticker: string }, []>(`select distinct ticker from ${table.table} where ${table.where}`)
      .all();
    const order = table.table === "daily_prices" ? "date" : "type, timestamp, seq";
    const rows = db.query<unknown, [string]>(
      `select ${names.join(", ")} from ${table.table} where ticker = ? and ${table.where} order by ${order}`,
    );
    const columns = names.map(() => new Float64Array(table.rows));
    const days = new Map<string, number>();
    let row = 0;
    for (const { ticker } of tickers)
      for (const values of rows.values(ticker) as unknown[][]) {
        columns[0]![row] = micros(values[0] as string, days);
        for (let column = 1; column < names.length; column++)
          columns[column]![row] = (values[column] as number | null) ?? Number.NaN;
        row++;
      }
    const ms = performance.now() - startedAt;
    db.close();
    return { rows: row, ms };
  },
};

function micros(text: string, days: Map<string, number>): number {
  const day = text.slice(0, 10);
  let at = days.get(day);
  if (at === undefined) {
    at = Date.parse(day) * 1_000;
    days.set(day, at);
  }
  if (text.length === day.length) return at;
  const second = (two(text, 11) * 60 + two(text, 14)) * 60 + two(text, 17);
  return at + second * 1e6 + two(text, 20) * 10_000 + two(text, 22) * 100 + two(text, 24);
}

function two(text: string, at: number): number {
  return text.charCodeAt(at) * 10 + text.charCodeAt(at + 1) - 528;
}

function fillSql({ table, rows, series, query }: WalkedTable): string {
  const source = `with recursive s(i) as (select 0 union all select i + 1 from s where i < ${series - 1}),
    r(n) as (select 0 union all select n + 1 from r where n < ${rows / series - 1})`;
  if (table === "daily_prices")
    return `insert into daily_prices (ticker, date, open, high, low, close, volume) ${source}
      select printf('D%03d', i), date('2004-01-02', n || ' days'), n / 8.0, n / 8.0 + 1, n / 8.0 - 1,
        100 + n % 997 / 8.0, n from s, r`;
  const type = query.parts![0]!;
  return `insert into realtime_data (ticker, type, timestamp, price, size, ask_price, ask_size, seq) ${source}
    select printf('T%03d', i), '${type}',
      strftime('%Y-%m-%d %H:%M:%S', 1704189600 + n / 100, 'unixepoch') || printf('.%06d', n % 100 * 10000),
      100 + n % 997 / 8.0, n % 900, ${type === "quote" ? "100.5 + n % 997 / 8.0, n % 300" : "null, null"}, 0
    from s, r`;
}
