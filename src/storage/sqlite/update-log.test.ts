/**
 * What is SQLite's own about the update log: the late index, trimming, upgrades, and tables that
 * users have changed.
 */

import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { writePythonFile } from "../../../test/support/python-file.ts";
import { newestOf } from "../../../test/support/snapshots.ts";
import { tempDir } from "../../../test/support/temp-dir.ts";
import type { Save, SaveOutcome } from "../contract.ts";
import { kindsAfter, NOTES_TABLE } from "../model/kinds.ts";
import { SqliteReader } from "./reader.ts";
import { inspectSchema, SchemaError } from "./schema.ts";
import { SqliteWriter } from "./writer.ts";

const MIB = 1024 * 1024;
const LOG_TABLES = ["update_log", "update_log_index", "update_positions", "update_log_state"];
const NO_LIMIT = { updates: 1_000_000, characters: 1_000_000_000 };

let stamps = 0;
const tick = (ticker: string, frame = "{}", saveId = `id-${stamps}`, repeated = false): Save => {
  const micros = String(stamps++).padStart(6, "0");
  return {
    kind: "ticks",
    ticker,
    part: "trade",
    rows: [[`2024-01-02 10:00:00.${micros}`, 1, 1, null, null, null, null, null]],
    onDuplicate: "match",
    update: { saveId, repeated, frame },
  };
};
const ticks = (count: number, tickerOf: (n: number) => string, frame = "{}"): Save[] =>
  Array.from({ length: count }, (_, n) => tick(tickerOf(n), frame));

class OpenFile implements Disposable {
  readonly #dir = tempDir();
  readonly path = join(this.#dir.path, "test.db");
  writer!: SqliteWriter;
  reader!: SqliteReader;
  /** As another program has it open. */
  other!: Database;

  constructor(prepare: (path: string) => void = () => {}, logBytes: number | null = null) {
    prepare(this.path);
    this.open(logBytes);
  }

  open(logBytes: number | null = null): void {
    this.writer = new SqliteWriter(this.path, "normal", logBytes);
    this.reader = new SqliteReader(this.path, 2);
    this.other = new Database(this.path, { readwrite: true });
  }

  close(): void {
    this.other.close();
    this.reader.close();
    this.writer.close();
  }

  reopen(logBytes: number | null = null): void {
    this.close();
    this.open(logBytes);
  }

  /** In as many transactions as it takes. */
  save(...saves: Save[]): (number | null)[] {
    const outcomes: SaveOutcome[] = [];
    while (outcomes.length < saves.length) {
      const found = this.writer.commit(saves.slice(outcomes.length));
      for (const outcome of found) if (outcome !== null) outcomes.push(outcome);
    }
    return outcomes.map((outcome) => {
      if (!outcome.ok) throw new Error(outcome.error);
      return outcome.position;
    });
  }

  /** In pages of the file, with what is empty in them. */
  logBytes(): number {
    return this.other
      .query<{ bytes: number }, []>(
        "SELECT sum(pgsize) AS bytes FROM dbstat WHERE name IN ('update_log', 'update_log_index')",
      )
      .get()!.bytes;
  }

  pages(): number {
    return this.other.query<{ page_count: number }, []>("PRAGMA page_count").get()!.page_count;
  }

  rowBytes(): number {
    return this.other
      .query<{ bytes: number }, []>("SELECT sum(pgsize) AS bytes FROM dbstat WHERE name = 'realtime_data'")
      .get()!.bytes;
  }

  count(table: string): number {
    return this.other.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()!.n;
  }

  positions(ticker: string, after = 0): number[] {
    return this.reader.updates.after(ticker, after, NO_LIMIT).map(({ position }) => position);
  }

  [Symbol.dispose](): void {
    this.close();
    this.#dir[Symbol.dispose]();
  }
}

describe("the index", () => {
  test("is written late, for many updates at once, and readers don't see the difference", () => {
    using file = new OpenFile();
    file.save(...ticks(1_999, (n) => `T${n % 7}`));
    expect([
      file.count("update_log"),
      file.count("update_log_index"),
      file.count("update_positions"),
    ]).toEqual([1_999, 0, 0]);
    expect(file.reader.updates.positions(["T0", "T6"])).toEqual(new Map([["T0", 286]]).set("T6", 285));
    file.save(tick("T6"));
    expect([file.count("update_log_index"), file.count("update_positions")]).toEqual([2_000, 7]);
    file.save(tick("T6"), tick("NEW"));
    expect(file.count("update_log_index")).toBe(2_000);
    expect(file.reader.updates.positions(["T0", "T6", "NEW"])).toEqual(
      new Map([["T0", 286]]).set("T6", 287).set("NEW", 1),
    );
    expect(file.positions("T6", 284)).toEqual([285, 286, 287]);
    expect(file.reader.updates.after("T6", 284, { updates: 2, characters: 99 })).toHaveLength(2);
  });

  test("comes earlier where the updates are large", () => {
    using file = new OpenFile();
    file.save(tick("A", "x".repeat(15 * MIB)));
    expect(file.count("update_log_index")).toBe(0);
    file.save(tick("B", "x".repeat(MIB)));
    expect(file.count("update_log_index")).toBe(2);
  });

  test("goes on after a restart with what was not in it yet", () => {
    using file = new OpenFile();
    file.save(...ticks(1_500, (n) => `T${n % 3}`));
    file.reopen();
    expect(file.count("update_log_index")).toBe(0);
    expect(file.save(...ticks(500, (n) => `T${n % 3}`)).slice(0, 3)).toEqual([501, 501, 501]);
    expect(file.count("update_log_index")).toBe(2_000);
  });
});

describe("trimming", () => {
  const FRAME = "x".repeat(1_000);

  test("keeps the bound, takes index entries along, and leaves positions", () => {
    using file = new OpenFile(undefined, MIB);
    for (let n = 0; n < 100; n++) file.save(...ticks(100, (i) => `T${i % 10}`, FRAME));
    const kept = file.count("update_log");
    expect(file.logBytes()).toBeGreaterThan(0.85 * MIB);
    expect(file.logBytes()).toBeLessThan(1.1 * MIB);
    expect(file.count("update_log_index")).toBeLessThanOrEqual(kept);
    expect(file.reader.updates.positions(["T0"])).toEqual(new Map([["T0", 1_000]]));
    const seqs = file.positions("T3", 5);
    expect(seqs.at(-1)).toBe(1_000);
    expect(seqs[0]).toBe(1_001 - seqs.length);
  });

  test("a log that is far too long shrinks step by step", () => {
    using file = new OpenFile();
    for (let n = 0; n < 8; n++) file.save(...ticks(1_000, () => "A", FRAME));
    expect(file.count("update_log")).toBe(8_000);
    file.reopen(MIB);
    let before = 8_000;
    for (let n = 0; n < 90; n++) {
      file.save(...ticks(100, () => "B", FRAME));
      const now = file.count("update_log");
      expect(now).toBeGreaterThan(before - 2_500);
      before = now;
    }
    expect(file.logBytes()).toBeLessThan(1.1 * MIB);
    expect(file.reader.updates.positions(null)).toEqual(new Map([["A", 8_000]]).set("B", 9_000));
  });

  /**
   * Of its bytes, in the pages of the file, whatever was saved before and after; then the file
   * stops growing too.
   */
  const MIXES: [name: string, frames: (n: number) => string[]][] = [
    ["a feed, then a backfill", (n) => (n < 40 ? Array(500).fill("x".repeat(150)) : ["x".repeat(140_000)])],
    ["a backfill, then a feed", (n) => (n < 60 ? ["x".repeat(140_000)] : Array(500).fill("x".repeat(150)))],
    ["both in turn", (n) => (n % 2 === 0 ? Array(300).fill("x".repeat(150)) : ["x".repeat(140_000)])],
    ["frames of half a page and more", () => Array(40).fill("x".repeat(2_500))],
    [
      "one giant among small ones",
      (n) => (n === 60 ? ["x".repeat(5 * MIB)] : Array(100).fill("x".repeat(150))),
    ],
    ["giants", (n) => (n % 20 === 0 ? ["x".repeat(3 * MIB)] : ["x"])],
    ["text beyond ASCII", () => Array(20).fill("é".repeat(3_000))],
  ];
  for (const [name, frames] of MIXES) {
    test(`keeps the bound after ${name}, and the file its size`, () => {
      using file = new OpenFile(undefined, MIB);
      let pagesHalfWay = 0;
      for (let n = 0; n < 200; n++) {
        const [first = "", ...others] = frames(n);
        file.save(tick(`T${n % 7}`, first), ...others.map((frame, i) => tick(`T${i % 50}`, frame)));
        // What an update brings may be beyond it until the next.
        if (first.length < MIB) expect(file.logBytes()).toBeLessThan(1.15 * MIB + 150_000);
        if (n === 100) pagesHalfWay = file.pages();
      }
      file.save(tick("T0"));
      expect(file.logBytes()).toBeLessThan(1.15 * MIB);
      const rows = file.rowBytes();
      expect((file.pages() - pagesHalfWay) * 4_096).toBeLessThan(rows + 0.2 * MIB);
      expect(file.count("update_log_index")).toBeLessThanOrEqual(file.count("update_log"));
    });
  }

  test("a log that is too long at the start is brought to its bound by the steps of an idle writer", () => {
    using file = new OpenFile();
    for (let n = 0; n < 8; n++) file.save(...ticks(1_000, () => "A", FRAME), tick("B", "x".repeat(MIB)));
    file.reopen(MIB);
    let steps = 0;
    let before = file.count("update_log");
    for (let isMore = true; isMore; steps++) {
      isMore = file.writer.tidy();
      const now = file.count("update_log");
      expect(before - now).toBeLessThanOrEqual(2_000);
      before = now;
    }
    expect(file.logBytes()).toBeLessThan(1.1 * MIB);
    expect(steps).toBeGreaterThan(3);
    // Then it gives back the pages of the file.
    while (file.writer.tidy());
    expect(file.save(tick("A"), tick("B"))).toEqual([8_001, 9]);
    // Small saves don't make it write for each of them.
    for (let n = 0; n < 20; n++) {
      file.save(tick("A"));
      expect(file.writer.tidy()).toBe(false);
    }
  });

  test("an idle writer has nothing to do where the newest update alone is beyond the bound, or users emptied the log", () => {
    using file = new OpenFile(undefined, MIB);
    file.save(tick("A"), tick("A", "x".repeat(3 * MIB)));
    while (file.writer.tidy());
    expect(file.positions("A")).toEqual([2]);
    file.other.run("DELETE FROM update_log");
    file.save(tick("A"));
    while (file.writer.tidy());
    expect(file.positions("A", 2)).toEqual([3]);
  });

  test("an update beyond the bound is kept until the next", () => {
    using file = new OpenFile(undefined, MIB);
    file.save(tick("A", "x".repeat(3 * MIB)));
    expect(file.positions("A")).toEqual([1]);
    file.save(tick("B", "x".repeat(3 * MIB)));
    expect([file.positions("A"), file.positions("B")]).toEqual([[], [1]]);
    expect(file.save(tick("A"))).toEqual([2]);
  });
});

describe("repeated saves", () => {
  test("are found in the index and after it, over a restart", () => {
    using file = new OpenFile();
    file.save(tick("A", "{}", "early"), ...ticks(2_000, () => "A"), tick("A", "{}", "late"));
    expect(file.count("update_log_index")).toBe(2_002);
    file.save(tick("A", "{}", "unindexed"));
    file.reopen();
    const again = ["early", "late", "unindexed", "other"].map((id) => tick("A", "{}", id, true));
    expect(file.writer.commit(again)).toMatchObject([
      { ok: true, stored: 1, position: 1, isRepetition: true },
      { ok: true, stored: 1, position: 2_002, isRepetition: true },
      { ok: true, stored: 1, position: 2_003, isRepetition: true },
      { ok: true, stored: 1, position: 2_004 },
    ]);
    expect(file.count("realtime_data")).toBe(2_004);
  });
});

describe("a transaction that fails", () => {
  test("takes no position", () => {
    using file = new OpenFile();
    file.save(tick("A"));
    file.other.run("CREATE TRIGGER full BEFORE INSERT ON update_log BEGIN SELECT RAISE(ABORT, 'no'); END");
    expect(() => file.writer.commit([tick("A"), tick("B")])).toThrow("the trigger full is on update_log");
    expect(file.count("realtime_data")).toBe(1);
    file.other.run("DROP TRIGGER full");
    expect(file.save(tick("A"), tick("B"))).toEqual([2, 1]);
  });

  test("a save that a user's rule refuses takes none either, and the others are in order", () => {
    using file = new OpenFile();
    file.other.run(
      `CREATE TRIGGER rule BEFORE INSERT ON realtime_data WHEN NEW.ticker = 'BAD'
       BEGIN SELECT RAISE(ABORT, 'bad'); END`,
    );
    const outcomes = file.writer.commit([tick("A"), tick("BAD"), tick("A"), tick("B")]);
    expect(outcomes).toMatchObject([
      { position: 1 },
      { ok: false, status: 409 },
      { position: 2 },
      { position: 1 },
    ]);
    expect(file.reader.updates.positions(null)).toEqual(new Map([["A", 2]]).set("B", 1));
  });
});

describe("tables that a user has changed", () => {
  test("a log that was emptied: positions go on, also after a restart", () => {
    using file = new OpenFile();
    file.save(...ticks(2_500, () => "A"), tick("B"));
    file.other.run("DELETE FROM update_log");
    expect(file.positions("A")).toEqual([]);
    expect(file.save(tick("A"), tick("B"))).toEqual([2_501, 2]);
    expect(file.positions("A", 7)).toEqual([2_501]);
    file.save(...ticks(2_000, () => "C"));
    file.reopen();
    expect(file.reader.updates.positions(["A", "B"])).toEqual(new Map([["A", 2_501]]).set("B", 2));
    expect(file.save(tick("A"), tick("B"))).toEqual([2_502, 3]);
  });

  test("a hole in the log ends what is read at once, and shows in what is read next", () => {
    using file = new OpenFile();
    file.save(...ticks(2_010, () => "A"));
    file.other.run("DELETE FROM update_log WHERE seq BETWEEN 3 AND 5 OR seq = 2005");
    expect(file.positions("A")).toEqual([1, 2]);
    expect(file.positions("A", 2)[0]).toBe(6);
    expect(file.positions("A", 2_003)).toEqual([2_004]);
    expect(file.positions("A", 2_004)[0]).toBe(2_006);
  });

  test("without its state the log has a new epoch, at the next save or at the next start", () => {
    using file = new OpenFile();
    file.save(...ticks(2_001, () => "A"));
    const epochs = [file.reader.updates.epoch()];
    file.other.run("DELETE FROM update_log_state");
    expect(() => file.reader.updates.epoch()).toThrow("update_log_state");
    expect(file.save(tick("A"))).toEqual([2_002]);
    epochs.push(file.reader.updates.epoch());
    for (const table of LOG_TABLES) file.other.run(`DELETE FROM ${table}`);
    file.reopen();
    epochs.push(file.reader.updates.epoch());
    expect(new Set(epochs).size).toBe(3);
    expect(file.save(tick("A"))).toEqual([1]);
    expect(file.positions("A")).toEqual([1]);
  });

  test("a row that was put into the log is passed over", () => {
    using file = new OpenFile();
    file.save(tick("A"));
    file.other.run(
      "INSERT INTO update_log (id, ticker, seq, type, saved_at, save_id, frame) VALUES (1000000, 'X', 1, 'own', 9007199254740991, NULL, '')",
    );
    expect(file.save(tick("A"), tick("A"))).toEqual([2, 3]);
    expect(file.positions("A")).toEqual([1, 2, 3]);
  });
});

/** Tables of kinds that the first versions did not have. */
const ADDED = [...kindsAfter(0).map(({ table }) => table), NOTES_TABLE];
/** As the log tells tables: those of kinds, then the one of notes. */
const told = (tables: string[]): string => `${tables.slice(0, -1).join(", ")}, added ${NOTES_TABLE}`;

describe("files of before", () => {
  const toVersion1 = (path: string): void => {
    const writer = new SqliteWriter(path, "normal", null);
    writer.commit([tick("A")]);
    writer.close();
    using db = new Database(path);
    for (const table of [...LOG_TABLES, ...ADDED]) db.run(`DROP TABLE ${table}`);
    db.run("PRAGMA user_version=1");
    expect(inspectSchema(db)).toEqual({ state: "behind", version: 1 });
  };

  test("a file of version 1 gets an empty log", () => {
    using file = new OpenFile(toVersion1);
    expect(file.writer.preparation).toBe(
      `upgraded a file of version 1: added the update log, added ${told(ADDED)}`,
    );
    expect(inspectSchema(file.other)).toEqual({ state: "current" });
    expect(file.count("realtime_data")).toBe(1);
    expect(file.reader.updates.positions(null)).toEqual(new Map());
    const before = file.reader.updates.snapshot("A");
    expect(before.position).toBe(0);
    expect(newestOf(before, "ticks", "trade")).toEqual([expect.any(String), 1, 1, null, null, null, null]);
    expect(file.save(tick("A"))).toEqual([1]);
    file.reopen();
    expect(file.writer.preparation).toBeNull();
  });

  test("a file of the version before gets the tables of kinds that came later", () => {
    using file = new OpenFile((path) => {
      const writer = new SqliteWriter(path, "normal", null);
      writer.commit([tick("A")]);
      writer.close();
      using db = new Database(path);
      for (const table of ADDED) db.run(`DROP TABLE ${table}`);
      db.run("PRAGMA user_version=3");
      expect(inspectSchema(db)).toEqual({ state: "behind", version: 3 });
    });
    expect(file.writer.preparation).toBe(`upgraded a file of version 3: added ${told(ADDED)}`);
    expect(inspectSchema(file.other)).toEqual({ state: "current" });
    expect(file.save(tick("A"))).toEqual([2]);
  });

  test("a file of the server before gets the tables that it lacks, and keeps its rows", () => {
    const lacking = ADDED.slice(1);
    using file = new OpenFile((path) => {
      const writer = new SqliteWriter(path, "normal", null);
      writer.commit([tick("A")]);
      writer.close();
      using db = new Database(path);
      for (const table of lacking) db.run(`DROP TABLE ${table}`);
      db.run("PRAGMA user_version=5");
    });
    expect(file.writer.preparation).toBe(`upgraded a file of version 5: added ${told(lacking)}`);
    expect(file.save(tick("A"))).toEqual([2]);
    for (const table of lacking) expect(file.count(table)).toBe(0);
  });

  test("of a file of version 2 no position is taken to be older than it is", () => {
    const before = Date.now();
    using file = new OpenFile((path) => {
      const writer = new SqliteWriter(path, "normal", null);
      writer.commit([tick("A")]);
      writer.close();
      using db = new Database(path);
      for (const table of ["update_positions", ...ADDED]) db.run(`DROP TABLE ${table}`);
      db.run(
        "CREATE TABLE update_positions (ticker TEXT NOT NULL PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID",
      );
      db.run("INSERT INTO update_positions VALUES ('OLD', 7)");
      db.run("PRAGMA user_version=2");
      expect(inspectSchema(db)).toEqual({ state: "behind", version: 2 });
    });
    expect(file.writer.preparation).toContain("version 2");
    expect(inspectSchema(file.other)).toEqual({ state: "current" });
    const { position, savedAtMs } = file.reader.updates.newest("OLD");
    expect([position, savedAtMs! >= before]).toEqual([7, true]);
    expect(file.save(tick("OLD"))).toEqual([8]);
    expect(file.save(tick("A"))).toEqual([2]);
  });

  test("a file of the Python server too; its stamps are canonical in a snapshot", () => {
    using file = new OpenFile((path) =>
      writePythonFile(path, {
        statements: [
          "INSERT INTO realtime_data VALUES ('B', '2024-01-02 15:30:00', 'quote', 1, 2, NULL, NULL, NULL)",
        ],
      }),
    );
    expect(inspectSchema(file.other)).toEqual({ state: "current" });
    expect(newestOf(file.reader.updates.snapshot("B"), "ticks", "quote")).toEqual([
      "2024-01-02 15:30:00.000000",
      1,
      2,
      null,
      null,
      null,
      null,
    ]);
    const snapshot = file.reader.updates.snapshot("AAPL");
    expect(snapshot.position).toBe(0);
    expect(newestOf(snapshot, "hourly")).toEqual(["2024-01-02 16:00:00", 2, 3, 1.5, null, null, null]);
    expect(file.save(tick("B"))).toEqual([1]);
  });

  test("a table of the user's with a name that the log needs is left alone, and named", () => {
    using dir = tempDir();
    const path = join(dir.path, "test.db");
    toVersion1(path);
    using db = new Database(path);
    db.run("CREATE TABLE Update_Log (mine)");
    expect(inspectSchema(db)).toMatchObject({ state: "unusable" });
    expect(() => new SqliteWriter(path, "normal", null)).toThrow(SchemaError);
    expect(db.query("PRAGMA user_version").get()).toEqual({ user_version: 1 });
  });
});
