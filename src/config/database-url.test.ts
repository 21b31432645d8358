import { describe, expect, test } from "bun:test";
import { describeDatabase, redact } from "./database-url.ts";

describe("describeDatabase", () => {
  test.each(["a.db", "data/stock_data.db", "/var/lib/x.sqlite", "./X.SQLITE3", "a b/c:d.db"])(
    "%s is SQLite",
    (path) => {
      expect(describeDatabase(path)).toEqual({ engine: "sqlite" });
    },
  );

  test.each([
    ["postgresql://u:p@h:5432/d", "postgresql"],
    ["postgres://h/d", "postgresql"],
    ["timescaledb://h/d", "timescaledb"],
    ["localhost:5432:stocks:desk:secret", "postgresql"],
  ] as const)("%s is %s", (value, engine) => {
    expect(describeDatabase(value)).toEqual({ engine });
  });

  test("a connection string with a mistake is refused without its password", () => {
    const message = messageOf("postgresql://u:secret@h/d?sslmod=require");
    expect(message).toContain("did you mean sslmode?");
    expect(message).not.toContain("secret");
  });

  test.each([["questdb://h:8812/d", "QuestDB isn't supported yet"]])(
    "%s names its engine and what is supported",
    (value, reason) => {
      const message = messageOf(value);
      expect(message).toStartWith(`--db-file: ${reason}, got "`);
      expect(message).toContain(
        "; supported: SQLite, DuckDB, PostgreSQL, TimescaleDB, another stock database server (expected a path ending in",
      );
      expect(message).not.toContain("secret");
    },
  );

  test.each(["", "stocks", "stocks.csv", "mysql://h/d.db", "file:x.db", "x.db\0", "a/b.db/"])(
    "%j is no database",
    (value) => {
      expect(messageOf(value)).toStartWith(
        "--db-file: expected a path ending in .db, .sqlite, .sqlite3 or .duckdb, a URL such as ",
      );
    },
  );

  test.each(["localhost:8080", "[::1]:8080", "https://desk.example", "http://u:p@desk:80/stocks"])(
    "%s is another server",
    (value) => expect(describeDatabase(value)).toEqual({ engine: "remote" }),
  );

  test.each(["localhost:99999", "http://u:secret@desk/?x=1"])(
    "%s is not the address of a server",
    (value) => {
      const message = messageOf(value);
      expect(message).toStartWith("--db-file: expected host:port or http(s)://host, without a query");
      expect(message).not.toContain("secret");
    },
  );

  test(":memory: is refused with the reason", () => {
    expect(messageOf(":memory:")).toContain("can't be shared");
  });
});

describe("redact", () => {
  test.each([
    ["data/stock_data.db", "data/stock_data.db"],
    ["postgresql://desk:s3cret@db:5432/stocks", "postgresql://desk:***@db:5432/stocks"],
    ["postgresql://desk:p@ss/w?rd@db/stocks", "postgresql://desk:***@db/stocks"],
    ["postgresql://desk@db/stocks", "postgresql://***@db/stocks"],
    ["postgresql://db:5432/stocks", "postgresql://db:5432/stocks"],
    ["postgresql://:s3cret@db/stocks", "postgresql://:***@db/stocks"],
    [
      "postgres://db/stocks?user=a&password=s3cret&sslmode=off",
      "postgres://db/stocks?user=a&password=***&sslmode=off",
    ],
    ["postgres://db/stocks?PassWord=s3cret", "postgres://db/stocks?PassWord=***"],
    ["https://t0ken@desk.example", "https://***@desk.example"],
    ["nats://t0ken@desk.example", "nats://***@desk.example"],
    ["localhost:5432:stocks:desk:s3:cr@et", "localhost:5432:stocks:desk:***"],
    ["questdb://localhost:8812:qdb:admin:quest", "questdb://localhost:8812:qdb:admin:***"],
    ["host=db user=desk password='s3 cret' dbname=x", "host=db user=desk password=*** dbname=x"],
  ])("%s → %s", (value, shown) => {
    expect(redact(value)).toBe(shown);
  });
});

function messageOf(value: string): string {
  try {
    describeDatabase(value);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error(`${value} was accepted`);
}
