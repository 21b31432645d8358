/** Databases from before corporate actions, in which averages of small prices were 0. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { StockReader, StockWriter } from "../../src/storage/contract.ts";
import { openDuckDb } from "../../src/storage/duckdb/open.ts";
import { kindsAfter, NOTES_TABLE } from "../../src/storage/model/kinds.ts";
import { openPostgres } from "../../src/storage/postgres/open.ts";
import { SqliteReader } from "../../src/storage/sqlite/reader.ts";
import { SqliteWriter } from "../../src/storage/sqlite/writer.ts";
import { changeAsAnotherProgram } from "../support/another-program.ts";
import { rowsOf } from "../support/answered.ts";
import { changeDuckDbFile } from "../support/duckdb-file.ts";
import { schemaOf, usePostgres } from "../support/postgres.ts";
import { daily, dateOf } from "../support/saves.ts";
import { tempDir } from "../support/temp-dir.ts";

setDefaultTimeout(120_000);

interface Opened {
  writer: StockWriter;
  reader: StockReader;
  close(): void | Promise<void>;
}

interface Place {
  open(): Promise<Opened>;
  change(statements: string[]): Promise<void>;
}

const postgres = usePostgres();
const DAYS = 300;

const ENGINES: Record<string, { version: string; place(dir: string): Promise<Place> }> = {
  sqlite: {
    version: "PRAGMA user_version=3",
    async place(dir) {
      const path = join(dir, "test.db");
      return {
        async open() {
          const writer = new SqliteWriter(path, "normal", null);
          const reader = new SqliteReader(path, 3);
          return {
            writer,
            reader,
            close() {
              reader.close();
              writer.close();
            },
          };
        },
        change: async (statements) => {
          for (const statement of statements) changeAsAnotherProgram(path, statement);
        },
      };
    },
  },
  duckdb: {
    version: "UPDATE stock_db_schema SET version = 2",
    async place(dir) {
      const path = join(dir, "test.duckdb");
      return {
        open: () => openDuckDb({ path, memoryLimitMb: 256, threads: 2, onFatal() {} }),
        change: (statements) => changeDuckDbFile(path, ...statements),
      };
    },
  },
  postgres: {
    version: "UPDATE stock_db_schema SET version = 2",
    async place() {
      const dbFile = await postgres.freshSchema();
      return {
        open: () => openPostgres({ dbFile, durability: "full", dbPoolSize: 3 }),
        change: async (statements) => {
          const set = `SET LOCAL search_path = ${schemaOf(dbFile)}`;
          await postgres.admin.unsafe([set, ...statements].join("; "));
        },
      };
    },
  },
};

for (const [name, { version, place }] of Object.entries(ENGINES))
  describe(name, () => {
    test("a save after the upgrade gives all averages of the ticker their digits", async () => {
      using dir = tempDir();
      const { open, change } = await place(dir.path);
      const closes = Array.from({ length: DAYS }, (_, day): [string, number] => [dateOf(day), 1e-5]);
      const before = await open();
      await before.writer.commit([daily("PEPE", closes), daily("LARGE", [[dateOf(0), 100]])]);
      await before.close();
      await change([
        "UPDATE daily_prices SET ma_10 = 0 WHERE ticker = 'PEPE'",
        ...kindsAfter(0).map(({ table }) => `DROP TABLE ${table}`),
        `DROP TABLE ${NOTES_TABLE}`,
        version,
      ]);
      const after = await open();
      await after.writer.commit([daily("PEPE", [[dateOf(DAYS), 1e-5]])]);
      const range = { kind: "daily", ticker: "PEPE", part: null, from: null, to: null } as const;
      const rows = await rowsOf(after.reader.rows(range));
      await after.close();
      expect(rows.map((row) => row.ma_10)).toEqual([...Array(9).fill(null), ...Array(DAYS - 8).fill(1e-5)]);
    });
  });
