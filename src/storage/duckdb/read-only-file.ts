/** A DuckDB file that is only looked at: nothing in it changes, nor does anything beside it. */
import { DuckDBInstance } from "@duckdb/node-api";
import { messageOf } from "../../protocol/message-of.ts";
import { ownNames } from "./own-names.ts";
import { Session } from "./session.ts";

const MEMORY_MB = 512;
const THREADS = 2;

export interface ReadOnlyFile {
  session: Session;
  /** Another one, which must be closed before the file. */
  connect(): Promise<Session>;
  close(): void;
}

/**
 * What an interrupted process left in the WAL is read too, in memory.
 *
 * @throws Error Another process has it open, or it's damaged.
 */
export async function openReadOnly(path: string): Promise<ReadOnlyFile> {
  const instance = await DuckDBInstance.create(path, {
    access_mode: "READ_ONLY",
    threads: String(THREADS),
    memory_limit: `${MEMORY_MB}MB`,
    // Nothing is spilled to the disk.
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

export function isOpenElsewhere(error: unknown): boolean {
  return /Could not set lock/i.test(messageOf(error));
}
