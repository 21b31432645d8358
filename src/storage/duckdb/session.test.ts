/**
 * What DuckDB keeps of a statement from one run to the next must not depend on what the tables held
 * then.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { tempDir } from "../../../test/support/temp-dir.ts";
import { DuckDbFile } from "./duckdb-file.ts";
import { linesWithNames } from "./lines.ts";
import type { Param } from "./session.ts";

setDefaultTimeout(120_000);

const NAMES = JSON.stringify([
  "AAPL",
  "AAPL240119C00150000",
  "Ä€漢",
  ...Array.from({ length: 50 }, (_, i) => `T${i}`),
]);
const LINES = Array.from({ length: 53 }, (_, i) => String(i + 1)).join("\n");

const STATEMENTS: [sql: string, params: Param[]][] = [
  ["SELECT ticker, seq FROM realtime_data ORDER BY ticker, seq", []],
  ["SELECT ticker, type, max(seq) FROM realtime_data GROUP BY ALL ORDER BY ALL", []],
  ["SELECT DISTINCT ticker FROM realtime_data WHERE ticker IS NOT NULL ORDER BY ticker LIMIT 100", []],
  ["SELECT count(*) FROM realtime_data WHERE seq > 5", []],
  ["SELECT 1 FROM realtime_data LIMIT 1", []],
  ["SELECT DISTINCT ticker FROM realtime_data ORDER BY ticker LIMIT $1", [10]],
  [
    "SELECT ticker, type, seq FROM realtime_data WHERE ticker >= $1::VARCHAR ORDER BY ticker, type, seq",
    ["A"],
  ],
  ["SELECT ticker, type, max(seq) FROM realtime_data WHERE ticker >= $1 GROUP BY ALL ORDER BY ALL", ["A"]],
  ["SELECT seq, count(*) FROM realtime_data WHERE ticker >= $1::VARCHAR GROUP BY seq ORDER BY seq", ["A"]],
  ["SELECT DISTINCT seq FROM realtime_data WHERE seq >= $1::INTEGER ORDER BY seq", [0]],
  ["SELECT count(*) FROM realtime_data WHERE ticker >= $1::VARCHAR AND type = 'quote'", ["A"]],
  ["SELECT count(*) FROM realtime_data WHERE ticker >= $1::VARCHAR AND seq > 5", ["A"]],
  [
    "SELECT a.seq, b.seq FROM realtime_data a JOIN realtime_data b ON a.seq = b.seq AND a.ticker = b.ticker WHERE a.ticker >= $1::VARCHAR ORDER BY ALL",
    ["A"],
  ],
  [
    "SELECT ticker, type, seq FROM realtime_data WHERE timestamp BETWEEN $1::TIMESTAMP AND $2::TIMESTAMP ORDER BY ALL",
    ["1980-01-01", "2040-01-01"],
  ],
  [
    `SELECT ticker, type, seq FROM realtime_data WHERE ticker IN (SELECT unnest(n) FROM (SELECT from_json($1::VARCHAR, '["VARCHAR"]') AS n)) ORDER BY ALL`,
    [NAMES],
  ],
  [
    `SELECT ticker, max(seq) FROM realtime_data WHERE ticker IN (SELECT unnest(from_json($1, '["VARCHAR"]'))) GROUP BY ticker ORDER BY ALL`,
    [NAMES],
  ],
  [
    `SELECT w.place, d.ticker, d.seq FROM realtime_data d JOIN (SELECT r[1] AS place, n[r[1]::INTEGER] AS ticker FROM ${linesWithNames("$1", "$2")}) w
     ON d.ticker = w.ticker ORDER BY ALL`,
    [LINES, NAMES],
  ],
  [
    `SELECT w.place, count(*), max(d.seq), min(d.timestamp) FROM realtime_data d JOIN (SELECT r[1] AS place, r[1]::BIGINT AS seq FROM ${linesWithNames("$1", "$2")}) w
     ON d.seq = w.seq AND d.type <> 'quote' GROUP BY w.place ORDER BY ALL`,
    [LINES, NAMES],
  ],
];

const CHANGES = [
  "INSERT INTO realtime_data (ticker, type, timestamp, seq) VALUES ('AAPL', 'trade', '2030-01-01', 3)",
  "INSERT INTO realtime_data (ticker, type, timestamp, seq) VALUES ('AAPL240119C00150000', 'quote', '1990-01-01', 70000), ('Ä€漢', 'quote', '2031-01-01', 7)",
  "CHECKPOINT",
  "UPDATE realtime_data SET seq = seq + 100000000000",
  "ALTER TABLE realtime_data ALTER size SET DATA TYPE DECIMAL(38, 18)",
  "CHECKPOINT",
  "DELETE FROM realtime_data",
  "INSERT INTO realtime_data (ticker, type, timestamp, seq) SELECT 'T' || i % 50, 'type ' || i, TIMESTAMP '2020-01-01' + INTERVAL (i) SECOND, i FROM range(3000) t(i)",
  "UPDATE realtime_data SET ticker = 'longer than any ticker before', seq = -seq WHERE seq % 100 = 0",
];

test("a statement that is run again sees what the tables hold by then, however they have changed", async () => {
  using dir = tempDir();
  const path = join(dir.path, "a.duckdb");
  const options = { path, memoryLimitMb: 256, threads: 2, onFatal() {} };
  let file = await DuckDbFile.open(options);
  let kept = await file.connect();
  const compareAll = async (after: string) => {
    for (const [sql, params] of STATEMENTS) {
      const fresh = await file.connect();
      const expected = await fresh.rows(sql, params);
      fresh.close();
      expect({ after, sql, rows: await kept.rows(sql, params) }).toEqual({ after, sql, rows: expected });
    }
  };
  await compareAll("creation");
  for (const change of CHANGES) {
    const other = await file.connectForUser();
    await other.connection.run(change);
    other.close();
    await compareAll(change);
  }
  kept.close();
  await file.close();
  file = await DuckDbFile.open(options);
  kept = await file.connect();
  await compareAll("opening again");
  kept.close();
  await file.close();
});
