/**
 * Bun.SQL: the server's tables and keys. Rows go in as arrays, one statement and so one transaction
 * for all of them.
 */
import { SQL } from "bun";
import { BAR_COLUMNS, type BareBar, type BareStore, type BareTick } from "./bare-store.ts";

/** As `--db-pool-size` is by default. */
const CONNECTIONS = 10;

const LATEST = `select price from realtime_data where ticker = $1 and type = 'quote' order by "timestamp" desc limit 1`;
const BARS = `select ${BAR_COLUMNS.map(readable).join(", ")}, write_timestamp::text as write_timestamp
  from daily_prices where ticker = $1 and date between $2::date and $3::date order by daily_prices.date`;
const ADD_TICKS = `insert into realtime_data (ticker, type, "timestamp", price, size)
  select * from unnest($1::text[], $2::text[], $3::timestamptz[], $4::float8[], $5::bigint[]) on conflict do nothing`;

export async function openPostgres(url: string): Promise<BareStore> {
  const sql = new SQL(url, { max: CONNECTIONS });
  await sql.unsafe(`create table daily_prices (${BAR_COLUMNS.map((name) => `${name} ${typeOf(name)}`).join(", ")},
    write_timestamp timestamptz default now(), primary key (ticker, date))`);
  await sql.unsafe(`create table realtime_data (ticker text collate "C" not null, "timestamp" timestamptz not null,
    type text collate "C" not null, price double precision, size bigint, ask_price double precision, ask_size bigint,
    write_timestamp timestamptz default now(), seq bigint not null default 0,
    primary key (ticker, type, "timestamp", seq))`);
  return {
    async latestPrice(ticker) {
      const rows = await sql.unsafe<{ price: number }[]>(LATEST, [ticker]);
      return rows[0]?.price ?? null;
    },
    bars: async (ticker, from, to) => await sql.unsafe<unknown[]>(BARS, [ticker, from, to]),
    async addBars(bars: BareBar[]) {
      const arrays = BAR_COLUMNS.map((name, index) => `$${index + 1}::${arrayTypeOf(name)}[]`).join(", ");
      await sql.unsafe(
        `insert into daily_prices (${BAR_COLUMNS.join(", ")}) select * from unnest(${arrays})`,
        BAR_COLUMNS.map((name) => bars.map((bar) => bar[name] ?? null)),
      );
    },
    async addTicks(ticks: BareTick[]) {
      await sql.unsafe(ADD_TICKS, [
        ticks.map((tick) => tick.ticker),
        ticks.map((tick) => tick.type),
        ticks.map((tick) => tick.timestamp),
        ticks.map((tick) => tick.price),
        ticks.map((tick) => tick.size),
      ]);
    },
    async loadFile(file: string, ticker: string) {
      // COPY takes no parameter.
      const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;
      await sql.unsafe(`alter table realtime_data alter ticker set default ${literal(ticker)},
        alter type set default 'trade'`);
      await sql.unsafe(
        `copy realtime_data ("timestamp", price, size) from ${literal(file)} (format csv, header)`,
      );
    },
    async countTicks() {
      return (await sql.unsafe<{ n: number }[]>("select count(*)::int as n from realtime_data"))[0]!.n;
    },
    close: () => sql.close(),
  };
}

function typeOf(column: string): string {
  return column === "ticker"
    ? 'text collate "C" not null'
    : `${arrayTypeOf(column)}${column === "date" ? " not null" : ""}`;
}

function arrayTypeOf(column: string): string {
  if (column === "ticker") return "text";
  if (column === "date") return "date";
  return column === "volume" ? "bigint" : "double precision";
}

/** JSON has no dates and no 64-bit integers. */
function readable(column: string): string {
  if (column === "date") return "date::text as date";
  return column === "volume" ? "volume::float8 as volume" : column;
}
