/** Imports files into a SQLite database of their own, by the flags of the command. */
import { Database } from "bun:sqlite";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type ImportRequest, type ImportResult, importFiles } from "../../src/cli/import/import-files.ts";
import { parseImportOptions } from "../../src/cli/import/options.ts";
import type { Prepared } from "../../src/cli/import/prepare.ts";
import { fileTarget } from "../../src/cli/import/target.ts";
import { silentProgress } from "../../src/cli/progress.ts";
import { SqliteWriter } from "../../src/storage/sqlite/writer.ts";
import { tempDir } from "./temp-dir.ts";

export interface Imported {
  result: ImportResult;
  /** null when it stopped before. */
  plan: Prepared | null;
}

export class ImportFolder {
  readonly #temp = tempDir();
  readonly path = this.#temp.path;
  readonly dbFile = join(this.path, "test.db");

  constructor() {
    // Where interrupted imports are noted.
    process.env.XDG_STATE_HOME = join(this.path, "state");
  }

  [Symbol.dispose](): void {
    this.#temp[Symbol.dispose]();
  }

  /** @returns the path of the file. */
  write(name: string, content: string | Uint8Array): string {
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  /** @param args Of the command; names of files of the folder are found. */
  async import(args: string[], more: Partial<ImportRequest> = {}): Promise<Imported> {
    const options = parseImportOptions([...args, "--db-file", this.dbFile])!;
    const writer = new SqliteWriter(this.dbFile, "normal", 64);
    const target = fileTarget("test.db", { writer, close: () => writer.close() });
    let plan: Prepared | null = null;
    const onPlan = (prepared: Prepared): void => {
      plan = prepared;
    };
    try {
      return {
        result: await importFiles({ ...options, target, progress: silentProgress, onPlan, ...more }),
        plan,
      };
    } finally {
      await target.close();
    }
  }

  /** Writes a file and imports it as ticker T, unless the flags say another. */
  async importText(
    text: string | Uint8Array,
    args: string[] = ["--ticker", "T"],
    name = "file.csv",
  ): Promise<Imported> {
    return await this.import([this.write(name, text), ...args]);
  }

  removeDatabase(): void {
    for (const name of readdirSync(this.path))
      if (name.startsWith("test.db")) rmSync(join(this.path, name), { recursive: true });
  }

  /** Values of what a query finds. */
  query(sql: string): unknown[][] {
    using db = new Database(this.dbFile, { readonly: true });
    return db.query(sql).values();
  }

  daily(): unknown[][] {
    return this.query("SELECT date, open, high, low, close, volume FROM daily_prices ORDER BY ticker, date");
  }

  hourly(): unknown[][] {
    return this.query("SELECT datetime, close FROM hourly_prices ORDER BY ticker, datetime");
  }

  ticks(): unknown[][] {
    return this.query(
      "SELECT timestamp, price, size FROM realtime_data ORDER BY ticker, type, timestamp, seq",
    );
  }
}
