/** Options of Bun's PostgreSQL client for one connection, which lasts until it is closed. */
import type { SQL } from "bun";
import type { PostgresHost, PostgresTarget } from "./postgres-url.ts";

/** Which host of a target took the last connection: the next one begins there. */
const serving = new WeakMap<PostgresTarget, number>();

/**
 * Tries the hosts of a target in turn.
 * @param open throws where the host doesn't take the connection, or isn't the one that is meant.
 * @throws what the last of them threw.
 */
export async function openOneOf<T>(
  target: PostgresTarget,
  open: (host: PostgresHost) => Promise<T>,
): Promise<T> {
  const { hosts } = target;
  const first = serving.get(target) ?? 0;
  for (let tried = 0; ; tried++) {
    const at = (first + tried) % hosts.length;
    try {
      const opened = await open(hosts[at]!);
      serving.set(target, at);
      return opened;
    } catch (error) {
      if (tried === hosts.length - 1) throw error;
    }
  }
}

export function clientOptions(
  target: PostgresTarget,
  { host, port }: PostgresHost,
  connectTimeoutMs: number,
): SQL.PostgresOrMySQLOptions {
  return {
    adapter: "postgres",
    // Without it the client would use DATABASE_URL of the environment.
    url: `postgres://localhost/?sslmode=${target.sslMode}`,
    hostname: host,
    port,
    database: target.database,
    username: target.user,
    ...(target.password === null ? {} : { password: target.password }),
    ...(target.sslRootCert === null ? {} : { tls: { ca: Bun.file(target.sslRootCert) } }),
    max: 1,
    idleTimeout: 0,
    maxLifetime: 0,
    connectionTimeout: connectTimeoutMs / 1_000,
  };
}
