/** Opens a DuckDB file without changing it or anything beside it. */
import { existsSync, statSync } from "node:fs";
import { DuckDBInstance } from "@duckdb/node-api";
import type { TransferReader } from "../contract.ts";
import type { ReservedFile } from "../engine.ts";
import { explain, isOpenElsewhere } from "./errors.ts";
import { ownNames } from "./own-names.ts";
import { Session } from "./session.ts";
import { DuckDbTransfer } from "./transfer.ts";

const MEMORY_MB = 512;
const THREADS = 2;

export interface ReadOnlyFile {
  session: Session;
  /** Another one, which must be closed before the file. */
  connect(): Promise<Session>;
  close(): void;
}

/**
 * Replays an interrupted process's WAL in memory.
 *
 * @throws Error Another process has it open, or it's damaged.
 */
export async function openReadOnly(path: string): Promise<ReadOnlyFile> {
  const instance = await DuckDBInstance.create(path, {
    access_mode: "READ_ONLY",
    threads: String(THREADS),
    memory_limit: `${MEMORY_MB}MB`,
    // Queries must not spill to the disk.
    temp_directory: "",
    enable_external_access: "false",
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
  });
  try {
    const connect = async (): Promise<Session> => {
      const session = new Session(await instance.connect());
      await session.connection.run((await ownNames(session.connection)).begin);
      return session;
    };
    const session = await connect();
    await session.connection.run("SET GLOBAL TimeZone = 'UTC'");
    return {
      session,
      connect,
      close() {
        session.close();
        instance.closeSync();
      },
    };
  } catch (error) {
    instance.closeSync();
    throw error;
  }
}

/** @throws Error Another process has it open, or it's damaged. */
export async function openDuckDbToRead(dbFile: string): Promise<TransferReader | null> {
  // DuckDB would have to write to an empty file.
  if (!existsSync(dbFile) || statSync(dbFile).size === 0) return null;
  try {
    const { session, ...file } = await openReadOnly(dbFile);
    return new DuckDbTransfer(session, file);
  } catch (error) {
    throw new Error(`cannot read ${dbFile}: ${explain(error)}`, { cause: error });
  }
}

/** While it is open to be read, nobody can open it to write. No server can open a damaged one. */
export async function reserveDuckDb(path: string): Promise<ReservedFile | null> {
  try {
    const file = await openReadOnly(path);
    return { isFree: () => true, release: () => file.close() };
  } catch (error) {
    return isOpenElsewhere(error) ? null : { isFree: () => true, release() {} };
  }
}
