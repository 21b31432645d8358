/** Options of Bun's PostgreSQL client for one connection, which lasts until it is closed. */
import type { SQL } from "bun";
import type { PostgresTarget } from "./postgres-url.ts";

export function clientOptions(target: PostgresTarget, connectTimeoutMs: number): SQL.PostgresOrMySQLOptions {
  return {
    adapter: "postgres",
    // Without it the client would use DATABASE_URL of the environment.
    url: `postgres://localhost/?sslmode=${target.sslMode}`,
    hostname: target.host,
    port: target.port,
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
