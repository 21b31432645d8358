/**
 * @duckdb/node-api: the server's tables, which have no keys, so nothing looks for a key that is
 *   stored already. Rows go in with an appender, the fastest way there is. DuckDB syncs every
 *   commit.
 */
import {
  type DuckDBAppender,
  type DuckDBConnection,
  DuckDBInstance,
  type DuckDBPreparedStatement,
  DuckDBTimestampValue,
} from "@duckdb/node-api";
import { BAR_COLUMNS, type BareBar, type BareStore, type BareTick } from "./bare-store.ts";

/** As many as `--duckdb-threads` is by default, and connections that read side by side. */
const THREADS = 2;
const READ_CONNECTIONS = 4;

const LATEST =
  "select price from realtime_data where ticker = $1 and type = 'quote' order by timestamp desc limit 1";
const BARS = `select ${BAR_COLUMNS.map(readable).join(", ")}, write_timestamp::varchar as write_timestamp
  from daily_prices where ticker = $1 and date between $2::date and $3::date order by date`;

interface ReadSession {
  latest: DuckDBPreparedStatement;
  bars: DuckDBPreparedStatement;
}

export async function openDuckDb(path: string): Promise<BareStore> {
  const instance = await DuckDBInstance.create(path, { threads: String(THREADS) });
  const writer = await instance.connect();
  await writer.run(`create table daily_prices (${BAR_COLUMNS.map((name) => `${name} ${typeOf(name)}`).join(", ")},
    write_timestamp timestamp default current_timestamp)`);
  await writer.run(`create table realtime_data (ticker varchar not null, timestamp timestamp not null, type varchar not null,
    price double, size bigint, ask_price double, ask_size bigint, write_timestamp timestamp, seq bigint not null)`);
  const appender = await writer.createAppender("realtime_data");
  const read = await openReadSessions(instance);
  return {
    latestPrice: (ticker) =>
      read(async ({ latest }) => {
        latest.bindVarchar(1, ticker);
        return ((await (await latest.run()).getRows())[0]?.[0] ?? null) as number | null;
      }),
    bars: (ticker, from, to) =>
      read(async ({ bars }) => {
        for (const [index, value] of [ticker, from, to].entries()) bars.bindVarchar(index + 1, value);
        return await (await bars.run()).getRowObjectsJS();
      }),
    addBars: (bars) => addBars(writer, bars),
    addTicks: (ticks) => addTicks(writer, appender, ticks),
    async loadFile(file, ticker) {
      const rows = file.endsWith(".parquet") ? "read_parquet($1)" : "read_csv($1)";
      await writer.run(
        `insert into realtime_data
         select $2, timestamp, 'trade', price, size, null, null, current_timestamp::timestamp, 0
         from ${rows}`,
        [file, ticker],
      );
    },
    async countTicks() {
      return Number((await (await writer.run("select count(*) from realtime_data")).getRows())[0]![0]);
    },
    async close() {
      appender.closeSync();
      await writer.run("checkpoint");
    },
  };
}

/** @returns Runs a read on a connection that no other read is using, once there is one. */
async function openReadSessions(instance: DuckDBInstance) {
  const idle: ReadSession[] = [];
  const waiting: ((session: ReadSession) => void)[] = [];
  for (let i = 0; i < READ_CONNECTIONS; i++) {
    const connection = await instance.connect();
    idle.push({ latest: await connection.prepare(LATEST), bars: await connection.prepare(BARS) });
  }
  return async <T>(use: (session: ReadSession) => Promise<T>): Promise<T> => {
    const session = idle.pop() ?? (await new Promise<ReadSession>((resolve) => waiting.push(resolve)));
    try {
      return await use(session);
    } finally {
      const next = waiting.shift();
      if (next === undefined) idle.push(session);
      else next(session);
    }
  };
}

async function addBars(writer: DuckDBConnection, bars: BareBar[]): Promise<void> {
  const values = BAR_COLUMNS.map((_, index) => `$${index + 1}`).join(", ");
  await writer.run("begin transaction");
  for (const bar of bars) {
    const cells = BAR_COLUMNS.map((name) => bar[name] ?? null);
    await writer.run(`insert into daily_prices (${BAR_COLUMNS.join(", ")}) values (${values})`, cells);
  }
  await writer.run("commit");
}

async function addTicks(
  writer: DuckDBConnection,
  appender: DuckDBAppender,
  ticks: BareTick[],
): Promise<void> {
  const writtenAt = new DuckDBTimestampValue(BigInt(Date.now()) * 1000n);
  await writer.run("begin transaction");
  for (const { ticker, timestamp, type, price, size } of ticks) {
    appender.appendVarchar(ticker);
    appender.appendTimestamp(new DuckDBTimestampValue(microsecondsOf(timestamp)));
    appender.appendVarchar(type);
    appender.appendDouble(price);
    appender.appendBigInt(BigInt(size));
    appender.appendNull();
    appender.appendNull();
    appender.appendTimestamp(writtenAt);
    appender.appendBigInt(0n);
    appender.endRow();
  }
  appender.flushSync();
  await writer.run("commit");
}

function microsecondsOf(timestamp: string): bigint {
  return BigInt(Date.parse(`${timestamp.slice(0, 23)}Z`) * 1000 + Number(timestamp.slice(23, 26)));
}

function typeOf(column: string): string {
  if (column === "ticker") return "varchar not null";
  if (column === "date") return "date not null";
  return column === "volume" ? "bigint" : "double";
}

/** JSON has no dates and no 64-bit integers. */
function readable(column: string): string {
  if (column === "date") return "date::varchar as date";
  return column === "volume" ? "volume::double as volume" : column;
}
