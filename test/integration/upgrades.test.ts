/** A database of the version before gets the columns that came since, and keeps its rows. */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { SaveTicks, TickRow } from "../../src/storage/contract.ts";
import { openTarget } from "../../src/storage/engines.ts";
import { KIND_NAMES, KINDS, NOTES_TABLE } from "../../src/storage/model/kinds.ts";
import { changeDuckDbFile } from "../support/duckdb-file.ts";
import { schemaOf, usePostgres } from "../support/postgres.ts";
import { at, daily } from "../support/saves.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();
let dir: ReturnType<typeof tempDir>;
beforeEach(() => {
  dir = tempDir();
});
afterEach(() => dir[Symbol.dispose]());

const BARS = [KINDS.daily, KINDS.hourly, KINDS.interval].map(({ table }) => table);
/** What takes the columns away again, and the tables of kinds that came later. */
const WITHOUT = [
  ...KIND_NAMES.slice(KIND_NAMES.indexOf("interval") + 1).map((kind) => `DROP TABLE ${KINDS[kind].table}`),
  `DROP TABLE ${NOTES_TABLE}`,
  "DROP INDEX IF EXISTS update_log_requests",
  ...["id", "extra"].map((column) => `ALTER TABLE realtime_data DROP COLUMN ${column}`),
  ...BARS.map((table) => `ALTER TABLE ${table} DROP COLUMN extra`),
  ...["request_key", "counts"].map((column) => `ALTER TABLE update_log DROP COLUMN ${column}`),
];

interface Line {
  name: string;
  dbFile(): Promise<string>;
  change(dbFile: string, statements: string[]): Promise<void>;
  /** Of a database that has bars of any interval and no more. */
  setVersion: string;
}

const LINES: Line[] = [
  {
    name: "SQLite",
    dbFile: async () => join(dir.path, "a.db"),
    async change(dbFile, statements) {
      using db = new Database(dbFile);
      for (const statement of statements) db.run(statement);
    },
    setVersion: "PRAGMA user_version = 4",
  },
  {
    name: "DuckDB",
    dbFile: async () => join(dir.path, "a.duckdb"),
    change: (dbFile, statements) => changeDuckDbFile(dbFile, ...statements),
    setVersion: "UPDATE stock_db_schema SET version = 3",
  },
  {
    name: "PostgreSQL",
    dbFile: () => postgres.freshSchema(),
    async change(dbFile, statements) {
      await postgres.admin.begin(async (sql) => {
        await sql.unsafe(`SET LOCAL search_path = "${schemaOf(dbFile)}"`);
        for (const statement of statements) await sql.unsafe(statement);
      });
    },
    setVersion: "UPDATE stock_db_schema SET version = 3",
  },
];

const save = (rows: TickRow[]): SaveTicks => ({
  kind: "ticks",
  ticker: "A",
  part: "trade",
  rows,
  onDuplicate: "match",
});
const before: TickRow = [at(1), 5, 100, null, null, null, null, null];
const withId: TickRow = [at(1), 5, 100, null, null, "77", '{"x":"V"}', null];

for (const { name, dbFile: dbFileOf, change, setVersion } of LINES) {
  for (const others of ["", "a column of that name and an index of the user's own"]) {
    test(`${name}: ${others || "the columns are added"}`, async () => {
      const dbFile = await dbFileOf();
      const first = await openTarget({ dbFile, durability: "normal" });
      await first.writer.commit([save([before]), daily("A", [["2024-01-02", 1]])]);
      await first.close();
      const own = [
        "ALTER TABLE realtime_data ADD COLUMN id VARCHAR",
        "UPDATE realtime_data SET id = '77'",
        "CREATE INDEX my_prices ON realtime_data (price)",
      ];
      await change(dbFile, [...WITHOUT, ...(others === "" ? [] : own), setVersion]);

      const again = await openTarget({ dbFile, durability: "normal" });
      const { writer } = again;
      expect(await writer.commit([save([before])])).toMatchObject([{ ok: true, stored: 0, repeated: 1 }]);
      expect(await writer.commit([save([withId])])).toMatchObject([{ ok: true, stored: 0, replaced: 1 }]);
      expect(await writer.commit([save([withId])])).toMatchObject([{ ok: true, stored: 0, repeated: 1 }]);
      expect(await writer.commit([daily("A", [["2024-01-02", 2]])])).toMatchObject([
        { ok: true, replaced: 1 },
      ]);
      const [asked] = await writer.commit([{ ...save([before]), onDuplicate: "append", update: request() }]);
      expect(asked).toMatchObject({ ok: true, stored: 1 });
      expect(
        await writer.commit([{ ...save([before]), onDuplicate: "append", update: request() }]),
      ).toMatchObject([{ ok: true, stored: 1, isRepetition: true }]);
      await again.close();
      // Opened once more, there is nothing left to do.
      const last = await openTarget({ dbFile, durability: "normal" });
      expect(await last.writer.commit([save([withId])])).toMatchObject([{ ok: true, repeated: 1 }]);
      await last.close();
    });
  }
}

function request() {
  return {
    saveId: crypto.randomUUID(),
    repeated: false,
    frame: "{}",
    request: { key: "k", print: "p", text: "t" },
  };
}
