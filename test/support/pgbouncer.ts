/**
 * A real PgBouncer in transaction mode before a PostgreSQL, for tests on machines that have one.
 */
import { chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { waitUntil } from "./server.ts";
import { tempDir } from "./temp-dir.ts";

/** null where it is not installed. */
export const PGBOUNCER = Bun.which("pgbouncer", { PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` });
/** PgBouncer refuses to run as root; this user is on every system and owns nothing. */
const NOBODY = 65_534;

export interface PgBouncer extends AsyncDisposable {
  readonly port: number;
}

/** @param settings lines of its configuration, such as "default_pool_size = 4" */
export async function startPgBouncer(postgresPort: number, ...settings: string[]): Promise<PgBouncer> {
  if (PGBOUNCER === null) throw new Error("pgbouncer is not installed");
  const dir = tempDir();
  const port = await freePort();
  const config = join(dir.path, "pgbouncer.ini");
  writeFileSync(
    config,
    [
      "[databases]",
      `* = host=127.0.0.1 port=${postgresPort} user=postgres`,
      "[pgbouncer]",
      "listen_addr = 127.0.0.1",
      `listen_port = ${port}`,
      "unix_socket_dir =",
      "auth_type = any",
      "pool_mode = transaction",
      "server_login_retry = 1",
      ...settings,
      "",
    ].join("\n"),
  );
  const isRoot = process.getuid?.() === 0;
  if (isRoot) for (const path of [dir.path, config]) chownSync(path, NOBODY, NOBODY);
  const child = Bun.spawn([PGBOUNCER, config], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
  });
  let text = "";
  const drained = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) text += decoder.decode(chunk, { stream: true });
  })();
  const end = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
    await drained;
    dir[Symbol.dispose]();
  };
  try {
    await waitUntil("PgBouncer listens", () => text.includes("process up"));
  } catch (error) {
    await end();
    throw new Error(`${String(error)}; its log:\n${text}`);
  }
  return { port, [Symbol.asyncDispose]: end };
}
