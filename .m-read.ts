import { mkdtempSync } from "node:fs";
import { DuckDBInstance } from "@duckdb/node-api";
import { HubClient } from "./src/hub/hub-client.ts";
import { hubReader } from "./src/hub/hub-reader.ts";
import { SqliteReader } from "./src/storage/sqlite/reader.ts";

const which = process.argv[2];
const S = { debug() {}, info() {}, warning() {}, error() {}, critical() {} };
const Q = { tickers: null, parts: null, from: null, to: null } as const;
const cases: [string, any][] = [
  [
    "1M trades ts,price,size,type of T*",
    { ...Q, kind: "ticks", parts: ["trade"], columns: ["timestamp", "price", "size", "type"] },
  ],
  [
    "2.3M quotes ticker,ts,price,ask",
    { ...Q, kind: "ticks", parts: ["quote"], columns: ["ticker", "timestamp", "price", "ask_price"] },
  ],
  ["2.5M daily ticker,date,close", { ...Q, kind: "daily", columns: ["ticker", "date", "close"] }],
  [
    "10k limit of quotes",
    { ...Q, kind: "ticks", parts: ["quote"], limit: 10000, columns: ["ticker", "timestamp", "price"] },
  ],
  [
    "10k limit desc one ticker",
    {
      ...Q,
      kind: "ticks",
      tickers: ["T1"],
      parts: ["trade"],
      order: "descending",
      limit: 10000,
      columns: ["ticker", "timestamp", "price"],
    },
  ],
];
async function time(name: string, reader: any, q: any) {
  const at = performance.now();
  let rows = 0,
    batches = 0,
    first = 0;
  for await (const b of reader.columns(q)) {
    rows += b.rows;
    if (!batches++) first = performance.now() - at;
  }
  const ms = performance.now() - at;
  console.log(
    name,
    rows,
    batches,
    `first ${first.toFixed(0)} ms, all ${ms.toFixed(0)} ms, ${(rows / ms / 1000).toFixed(2)} M/s`,
  );
}
if (which === "duckdb") {
  {
    const i = await DuckDBInstance.create("/root/my/wcols/m/t.duckdb", {
      access_mode: "read_only",
      threads: "2",
    });
    const c = await i.connect();
    for (let k = 0; k < 3; k++)
      for (const [n, sql] of [
        [
          "bare ordered trades",
          "SELECT timestamp, price, size, type FROM realtime_data WHERE type='trade' ORDER BY ticker, type, timestamp, seq",
        ],
        ["bare daily", "SELECT ticker, date, close FROM daily_prices ORDER BY ticker, date"],
      ] as const) {
        const at = performance.now();
        const r = await c.stream(sql);
        let rows = 0;
        for (;;) {
          const ch = await r.fetchChunk();
          if (!ch || !ch.rowCount) break;
          rows += ch.rowCount;
        }
        console.log(n, rows, (performance.now() - at).toFixed(0), "ms");
      }
    c.closeSync();
    i.closeSync();
  }
  const dir = mkdtempSync("/tmp/wc");
  const hub = Bun.spawn(
    [
      process.execPath,
      ...(process.env.PROF ? ["--cpu-prof", "--cpu-prof-dir=/root/my/wcols/m"] : []),
      "/root/my/wcols/m/hub.ts",
      "/root/my/wcols/m/t.duckdb",
      dir,
    ],
    { stdout: "pipe", cwd: "/root/wt/wcols" },
  );
  for await (const t of hub.stdout) {
    if (new TextDecoder().decode(t).includes("ready")) break;
  }
  const client = new HubClient({
    runtimeDir: dir,
    workerId: 0,
    log: S,
    publish() {},
    note() {},
    removed() {},
    condition() {},
    missed() {},
    livenessMs: 10000,
    conditions: { begin() {}, end() {} },
    addresses: () => [],
  } as any);
  await client.connect();
  const reader = hubReader(client);
  for (let k = 0; k < 3; k++) for (const [n, q] of cases) await time(n, reader, q);
  client.close();
  hub.kill();
  await hub.exited;
  process.exit(0);
} else {
  const reader = new SqliteReader("/root/my/wcols/m/t.db", 3);
  for (let k = 0; k < 3; k++) for (const [n, q] of cases) await time(n, reader, q);
}
