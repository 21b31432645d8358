/** SQLite: the hub writes, each worker reads for itself, killable processes run users' SQL. */
import { isFrame } from "../../protocol/frames.ts";
import type { DatabaseSettings, Engine } from "../engine.ts";
import { SQLITE_PLAN } from "./plan.ts";

const open = async (settings: DatabaseSettings) => (await import("./open.ts")).openSqlite(settings);

export const SQLITE: Engine = {
  names: { sqlite: "SQLite" },
  forms: { endings: [".db", ".sqlite", ".sqlite3"], companions: ["-wal", "-shm", "-journal"] },
  placement: { reads: "worker", saves: "hub", sql: "runner" },
  plan: SQLITE_PLAN,
  keepsAnswers: true,
  open,
  openTarget: open,
  openToRead: async (dbFile) => (await import("./open.ts")).openSqliteToRead(dbFile),
  openImage: async (dbFile, scratch) => (await import("./image.ts")).openSqliteImage(dbFile, scratch),
  reserve: async (dbFile) => (await import("./reserved-file.ts")).reserveSqlite(dbFile),
  async openWorker({ settings, lostInHub }) {
    const { SqliteReader } = await import("./reader.ts");
    const reader = new SqliteReader(settings.dbFile, settings.dbPoolSize, isFrame);
    reader.file.toldByOthers = lostInHub;
    return { reader, look: () => reader.file.checkForRead(), close: () => reader.close() };
  },
  async openRunner({ dbFile, durability }) {
    const { createSqliteUserSql } = await import("./user-sql.ts");
    return createSqliteUserSql({ path: dbFile, durability });
  },
  diagnose: async (dbFile) => (await import("./diagnosis.ts")).diagnoseSqlite(dbFile),
};
