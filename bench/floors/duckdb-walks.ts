/** @duckdb/node-api: streamed chunks of rows that DuckDB sorts where they aren't stored so. */
import { DuckDBInstance } from "@duckdb/node-api";
import type { WalkedTable } from "../walked-tables.ts";
import { type BareWalks, readColumns } from "./bare-walks.ts";

/** As many as `--duckdb-threads` is by default. */
const OPTIONS = { threads: "2", memory_limit: "512MB" };

export const duckDbWalks: BareWalks = {
  reads: "a stream, with ORDER BY where rows aren't stored in order, vectors copied",
  async fill(location, tables) {
    const instance = await DuckDBInstance.create(location, OPTIONS);
    const connection = await instance.connect();
    for (const table of tables) await connection.run(fillSql(table));
    await connection.run("checkpoint");
    connection.closeSync();
    instance.closeSync();
  },
  async read(location, table) {
    const instance = await DuckDBInstance.create(location, { ...OPTIONS, access_mode: "READ_ONLY" });
    const connection = await instance.connect();
    const startedAt = performance.now();
    const order = isInterleaved(table) ? " order by ticker, timestamp, seq" : "";
    const result = await connection.stream(
      `select ${readColumns(table).join(", ")} from ${table.table} where ${table.where}${order}`,
    );
    const columns: Float64Array[] = [];
    let rows = 0;
    for (;;) {
      const chunk = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) break;
      for (let column = 0; column < chunk.columnCount; column++) {
        const { items } = chunk.getColumnVector(column) as unknown as { items: Float64Array };
        const ofType = items.constructor as new (rows: number) => Float64Array;
        columns[column] ??= new ofType(table.rows);
        columns[column]!.set(items, rows);
      }
      rows += chunk.rowCount;
    }
    const ms = performance.now() - startedAt;
    connection.closeSync();
    instance.closeSync();
    return { rows, ms };
  },
};

/** As a feed stores quotes; the others are stored as an import does, one ticker after the other. */
function isInterleaved({ query }: WalkedTable): boolean {
  return query.parts?.[0] === "quote";
}

function fillSql(walked: WalkedTable): string {
  const { table, rows, series, query } = walked;
  const [i, n] = isInterleaved(walked)
    ? [`k % ${series}`, `k // ${series}`]
    : [`k // ${rows / series}`, `k % ${rows / series}`];
  const source = `(select (${i}) as i, (${n}) as n from range(${rows}) t(k))`;
  if (table === "daily_prices")
    return `insert into daily_prices (ticker, date, open, high, low, close, volume)
      select printf('D%03d', i), date '2004-01-02' + n::integer, n / 8, n / 8 + 1, n / 8 - 1,
        100 + n % 997 / 8, n from ${source}`;
  const type = query.parts![0]!;
  return `insert into realtime_data (ticker, type, timestamp, price, size, ask_price, ask_size, seq)
    select printf('T%03d', i), '${type}', timestamp '2024-01-02 10:00:00' + to_microseconds(n * 10000),
      100 + n % 997 / 8, n % 900, ${type === "quote" ? "100.5 + n % 997 / 8, n % 300" : "null, null"}, 0
    from ${source}`;
}
