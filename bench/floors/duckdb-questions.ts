/**
 * @duckdb/node-api, in the process that asks: the questions of the scenario `questions` as SQL over
 * tables and a Parquet file with the same rows. Results are streamed, their numbers copied.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type DuckDBConnection, DuckDBInstance, type DuckDBVector } from "@duckdb/node-api";
import { type BarDays, barsSql, JOINED_SQL, QUOTES_SQL, TRADES_SQL } from "../question-data.ts";

/** As many as `--duckdb-threads` is by default. */
const THREADS = "2";

/** `sum`: of the column that is checked. */
export interface ReadSum {
  rows: number;
  sum: number;
}

export interface DuckDbQuestions {
  /** Closes in order of ticker and date. */
  closes(): Promise<ReadSum>;
  minuteBars(): Promise<ReadSum>;
  asOf(): Promise<ReadSum>;
  close(): void;
}

/** @param folder isn't there yet. */
export async function openDuckDbQuestions(folder: string, days: BarDays): Promise<DuckDbQuestions> {
  mkdirSync(folder);
  const instance = await DuckDBInstance.create(join(folder, "floor.duckdb"), {
    threads: THREADS,
  });
  const connection = await instance.connect();
  const parquet = join(folder, "closes.parquet");
  await connection.run(`create table quotes as ${QUOTES_SQL} order by ticker, timestamp`);
  await connection.run(`create table joined_trades as
    select * from (${TRADES_SQL}) where ${JOINED_SQL} order by ticker, timestamp`);
  await connection.run(`create table joined_quotes as select * from quotes where ${JOINED_SQL}`);
  await connection.run(`copy (${barsSql(days)} order by ticker, date) to '${parquet}' (format parquet)`);
  return {
    closes: () =>
      readAll(connection, `select close, date from read_parquet('${parquet}') order by ticker, date`),
    minuteBars: () => readAll(connection, MINUTE_BARS),
    asOf: () => readAll(connection, AS_OF),
    close() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

const MINUTE_BARS = `
  select arg_max(mid, timestamp) as close, time_bucket(interval '1 minute', timestamp) as label,
    arg_min(mid, timestamp) as open, max(mid) as high, min(mid) as low, count(*) as trade_count, ticker
  from (select ticker, timestamp, (bid_price + ask_price) / 2 as mid from quotes
        where bid_price > 0 and ask_price > 0 and bid_price <= ask_price)
  group by ticker, label order by ticker, label`;
const AS_OF = `
  select q.bid_price, q.ask_price, t.timestamp, t.price, t.size, t.ticker
  from joined_trades t asof left join joined_quotes q on t.ticker = q.ticker and t.timestamp >= q.timestamp`;

/** The first column is summed. */
async function readAll(connection: DuckDBConnection, sql: string): Promise<ReadSum> {
  const result = await connection.stream(sql);
  const copies: unknown[] = [];
  let rows = 0;
  let sum = 0;
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return { rows, sum };
    rows += chunk.rowCount;
    for (const value of itemsOf(chunk.getColumnVector(0))!) sum += value as number;
    for (let column = 0; column < chunk.columnCount; column++)
      copies.push(itemsOf(chunk.getColumnVector(column))?.slice());
  }
}

/** The array that the driver's types keep private; texts have none. */
function itemsOf(vector: DuckDBVector): Float64Array | undefined {
  return (vector as unknown as { items?: Float64Array }).items;
}
