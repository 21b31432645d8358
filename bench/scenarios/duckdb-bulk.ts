/**
 * Bulk saves into a DuckDB file that holds ten million ticks: 2,000 rows a request over 8
 * connections, and how long the slowest request takes. The file is filled by DuckDB itself; the
 * update log grows with the saves.
 */
import { DuckDBInstance } from "@duckdb/node-api";
import { openDatabases } from "../engine-databases.ts";
import { tickStamp } from "../requests.ts";
import type { BenchContext, Scenario, ScenarioReport } from "../scenario.ts";
import { countTicks, sendCommand, startServer } from "../targets.ts";

const STORED_TICKS = 10_000_000;
const SAVES = 2_000;
const ROWS_PER_SAVE = 2_000;
const CONNECTIONS = 8;
const TICKERS = 40;
const STAMP_STEP_US = 1_000;
const SLOWEST_MS_MAX = 500;

export const duckdbBulk: Scenario = { key: "duckdb-bulk", optIn: true, run: measureDuckDbBulk };

async function measureDuckDbBulk(context: BenchContext): Promise<ScenarioReport> {
  const report: ScenarioReport = { comparisons: [], facts: [], python: [], invalid: [] };
  if (context.floorsOnly) return report;
  const databases = await openDatabases("duckdb", context.folder);
  const database = await databases.create("bulk");
  const options = { folder: context.folder, name: "duckdb-bulk", workers: 1, database };
  await (await startServer(options)).stop(); // makes the tables
  context.progress(`storing ${STORED_TICKS} ticks`);
  await fill(database);
  const server = await startServer(options);
  context.progress(`${SAVES} saves of ${ROWS_PER_SAVE} ticks`);
  const latencies: number[] = [];
  const startedAt = performance.now();
  let next = 0;
  const saveSome = async (): Promise<void> => {
    for (let save = next++; save < SAVES; save = next++) {
      const params = paramsOf(save);
      const sentAt = performance.now();
      await sendCommand(server.port, "save_realtime_data", params);
      latencies.push(performance.now() - sentAt);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, saveSome));
  const seconds = (performance.now() - startedAt) / 1000;
  const stored = await countTicks(server, "T%");
  const expected = STORED_TICKS + SAVES * ROWS_PER_SAVE;
  if (stored !== expected) report.invalid.push(`${stored} of ${expected} ticks are stored`);
  await server.stop();
  latencies.sort((a, b) => a - b);
  report.facts = [
    {
      name: `DuckDB with 10 M ticks: ${SAVES.toLocaleString("en-US")} saves of 2,000, rows`,
      unit: "/s",
      values: [(SAVES * ROWS_PER_SAVE) / seconds],
      max: null,
    },
    { name: "… a request, median", unit: "ms", values: [latencies[SAVES >> 1]!], max: null },
    { name: "… the slowest", unit: "ms", values: [latencies.at(-1)!], max: SLOWEST_MS_MAX },
  ];
  return report;
}

/**
 * Ticks of all tickers in turn, as feeds bring them, a millisecond each, before those that are
 * saved.
 */
async function fill(database: string): Promise<void> {
  const instance = await DuckDBInstance.create(database);
  const connection = await instance.connect();
  await connection.run(
    `INSERT INTO realtime_data BY NAME SELECT 'T' || i % ${TICKERS} AS ticker, TIMESTAMP '2023-06-01' + to_microseconds(i * 1000) AS timestamp,
       'trade' AS type, 100 + (i % 997) / 8 AS price, 1 + i % 900 AS size, TIMESTAMP '2023-06-01' AS write_timestamp, 0 AS seq
     FROM range(${STORED_TICKS}) r(i)`,
  );
  await connection.run("CHECKPOINT");
  connection.closeSync();
  instance.closeSync();
}

function paramsOf(save: number): object {
  const first = Math.floor(save / TICKERS) * ROWS_PER_SAVE;
  const data = Array.from({ length: ROWS_PER_SAVE }, (_, i) => ({
    timestamp: tickStamp((first + i) * STAMP_STEP_US),
    price: 150 + (i % 100) / 4,
    size: 100 + (i % 9),
  }));
  return { ticker: `T${save % TICKERS}`, data_type: "trade", index_col: "timestamp", data };
}
