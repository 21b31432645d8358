/** Opens a SQLite file to write, or for a copy to read. */
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf } from "../../protocol/message-of.ts";
import type { TransferReader } from "../contract.ts";
import type { DatabaseSettings, HeldDatabase } from "../engine.ts";
import { lockDatabaseFile } from "./file-lock.ts";
import { SqliteTransfer } from "./transfer.ts";
import { SqliteWriter } from "./writer.ts";

/** @throws Error Another server has the file, or it can't be opened or upgraded. */
export function openSqlite(settings: DatabaseSettings): HeldDatabase & { writer: SqliteWriter } {
  const { dbFile, durability, updateLogBytes = null, minFreeBytes = null } = settings;
  mkdirSync(dirname(dbFile), { recursive: true });
  const lock = lockDatabaseFile(dbFile);
  try {
    const writer = new SqliteWriter(dbFile, durability, updateLogBytes, minFreeBytes);
    return {
      writer,
      preparation: writer.preparation,
      epochBegun: writer.epochBegun,
      openTransfer: () => new SqliteTransfer(dbFile),
      close() {
        writer.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw new Error(`cannot open ${dbFile}: ${messageOf(error)}`, { cause: error });
  }
}

export function openSqliteToRead(dbFile: string): TransferReader | null {
  if (!existsSync(dbFile)) return null;
  try {
    return new SqliteTransfer(dbFile);
  } catch (error) {
    throw new Error(`cannot read ${dbFile}: ${messageOf(error)}`, { cause: error });
  }
}
