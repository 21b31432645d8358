import { describe, expect, test } from "bun:test";
import { type PostgresTarget, parsePostgresUrl } from "./postgres-url.ts";
import { UsageError } from "./usage-error.ts";

const parse = (text: string, env: Record<string, string | undefined> = {}): PostgresTarget =>
  parsePostgresUrl(text, { env });

describe("a connection string names its target", () => {
  test.each<[string, Partial<PostgresTarget>]>([
    [
      "postgresql://desk:s3cret@db.example:6543/stocks",
      {
        hosts: [{ host: "db.example", port: 6543 }],
        database: "stocks",
        user: "desk",
        password: "s3cret",
      },
    ],
    ["postgres://desk@db/stocks", { hosts: [{ host: "db", port: 5432 }], user: "desk", password: null }],
    ["POSTGRESQL://db", { hosts: [{ host: "db", port: 5432 }], user: "postgres", database: "postgres" }],
    ["postgresql://desk@/", { hosts: [{ host: "localhost", port: 5432 }], user: "desk", database: "desk" }],
    [
      "timescaledb://desk:p@db/stocks",
      { hosts: [{ host: "db", port: 5432 }], database: "stocks", password: "p" },
    ],
    ["postgresql://u:p@[::1]:5433/d", { hosts: [{ host: "::1", port: 5433 }] }],
    [
      "postgresql:///d?host=/var/run/postgresql&user=u",
      { hosts: [{ host: "/var/run/postgresql", port: 5432 }], user: "u" },
    ],
    ["postgresql://%2Fvar%2Frun/d", { hosts: [{ host: "/var/run", port: 5432 }], database: "d" }],
    ["postgresql://d%40sk:p%3Aq%2Fr@h/my%20db", { user: "d@sk", password: "p:q/r", database: "my db" }],
    [
      "postgresql://desk:p@ss/w?rd@db/stocks",
      { hosts: [{ host: "db", port: 5432 }], database: "stocks", password: "p@ss/w?rd" },
    ],
    [
      "localhost:5432:stocks:desk:s3:cr@et",
      { hosts: [{ host: "localhost", port: 5432 }], password: "s3:cr@et" },
    ],
    ["db:1:stocks:desk:", { database: "stocks", user: "desk", password: null }],
    [
      "timescaledb://db:5432:stocks:desk:x",
      { hosts: [{ host: "db", port: 5432 }], database: "stocks", user: "desk", password: "x" },
    ],
    [
      "postgresql://h/d?sslmode=verify-full&sslrootcert=/ca.pem",
      { sslMode: "verify-full", sslRootCert: "/ca.pem" },
    ],
    ["postgresql://h/d?pgbouncer=true", { pooled: true }],
    [
      "postgresql://u:p@a,b:5433,[::1]/d",
      {
        hosts: [
          { host: "a", port: 5432 },
          { host: "b", port: 5433 },
          { host: "::1", port: 5432 },
        ],
        writable: true,
      },
    ],
    [
      "postgresql:///d?host=a,b&port=7&target_session_attrs=any",
      {
        hosts: [
          { host: "a", port: 7 },
          { host: "b", port: 7 },
        ],
        writable: false,
      },
    ],
    ["postgresql://h/d?search_path=desk", { parameters: { search_path: "desk" } }],
    [
      "postgresql://h/d?options=-c%20search_path%3Da,b%20-c%20work_mem=8MB&application_name=x%20y",
      { parameters: { search_path: "a,b", work_mem: "8MB", application_name: "x y" } },
    ],
    [
      "postgresql://h/d?sslmode=require&channel_binding=prefer&connect_timeout=10&target_session_attrs=read-write&keepalives=1&gssencmode=disable",
      {
        sslMode: "require",
        connectTimeoutMs: 10_000,
        writable: true,
        ignored: ["channel_binding", "keepalives", "gssencmode"],
        parameters: {},
      },
    ],
    [
      "postgresql://h/d?connect_timeout=0&target_session_attrs=any",
      { connectTimeoutMs: null, writable: false },
    ],
    ["postgresql://h/d?schema=desk&connection_limit=5", { parameters: { search_path: "desk" } }],
    ["postgresql://h/d?sslrootcert=system", { sslMode: "verify-full", sslRootCert: null }],
    ["postgresql://h/d?options=--lock_timeout%3D5%5C%20s", { parameters: { lock_timeout: "5 s" } }],
  ])("%s", (text, expected) => {
    expect(parse(text)).toMatchObject(expected);
  });

  test("what is missing comes from the variables of PostgreSQL's own clients", () => {
    const env = { PGHOST: "other", PGPORT: "7", PGUSER: "u", PGDATABASE: "d", PGSSLMODE: "require" };
    expect(parse("postgresql://", env)).toMatchObject({
      hosts: [{ host: "other", port: 7 }],
      user: "u",
      database: "d",
      sslMode: "require",
    });
    expect(parse("postgresql://me@h:8/mine", env)).toMatchObject({
      hosts: [{ host: "h", port: 8 }],
      database: "mine",
    });
  });
});

describe("a mistake is told without the password", () => {
  test.each([
    ["postgresql://u:s3cret@h:0/d", "a port from 1 to 65535"],
    ["h:99999:d:u:s3cret", "a port from 1 to 65535"],
    ["postgresql://u:s3cret@h/d?sslmode=on", "an sslmode of disable"],
    ["postgresql://u:s3cret@h/d?sslmod=require", "did you mean sslmode?"],
    ["postgresql://u:s3cret@h/d?magic=1", "known: host, port"],
    ["postgresql://u:s3cret@h/d?channel_binding=require", "no channel binding; sslmode=verify-full"],
    ["postgresql://u:s3cret@h/d?sslcert=a.pem&sslkey=b.pem&sslpassword=s3cret", "no certificate of its own"],
    ["postgresql://u:s3cret@h/d?gssencmode=require", "no GSSAPI"],
    ["postgresql://u:s3cret@h/d?ssl=true", "write sslmode=require"],
    ["postgresql://u:s3cret@h/d?sslmode=require&sslrootcert=system", "expects sslmode=verify-full"],
    ["postgresql://u:s3cret@h/d?client_encoding=latin1", "speaks UTF-8"],
    ["postgresql://u:s3cret@h/d?target_session_attrs=standby", "the server writes"],
    ["postgresql://u:s3cret@h/d?connect_timeout=soon", "a connect_timeout from 0 to 600"],
    ["postgresql://u:s3cret@h/d?options=-c%20standard_conforming_strings=off", "is set by this server"],
    ["postgresql://u:s3cret@h1,h2,h3/d?port=1,2", "one for each of the 3 hosts"],
    ["postgresql://u:s3cret@h1,h2:x/d", "expected postgresql://"],
    ["postgresql://u:s3cret@a,b,c,d,e,f,g,h,i/d", "at most 8 hosts"],
    ["postgresql://u:s3cret@h/d?options=search_path", 'options like "-c'],
    ["postgresql://u:s3cret@h/d?options=-c%20TimeZone=x", "TimeZone is set by this server"],
    ["postgresql://u:s3cret%@h/d", "two hexadecimal digits"],
    ["postgresql://u:s3cret@h:x/d", "expected postgresql://"],
  ])("%s", (text, reason) => {
    let error: unknown;
    try {
      parse(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(UsageError);
    expect((error as Error).message).toContain(reason);
    expect((error as Error).message).not.toContain("s3cret");
  });
});
