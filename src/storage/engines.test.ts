import { describe, expect, test } from "bun:test";
import { redact } from "../config/redact.ts";
import { describeDatabase, ENGINES } from "./engines.ts";

const BY_NAME = ENGINES.map((engine) => [Object.values(engine.names)[0], engine] as const);

test.each(BY_NAME)("%s: what it places somewhere can be opened there", (_, engine) => {
  const { reads, saves, sql } = engine.placement;
  const isUpstream = [reads, saves, sql].includes("upstream");
  expect(engine.open === undefined).toBe(isUpstream);
  if (isUpstream) expect(new Set([reads, saves, sql]).size).toBe(1);
  expect(engine.openRunner !== undefined).toBe(sql === "runner");
  // Kept answers are right while the hub alone tells of saves.
  if (engine.keepsAnswers) expect(saves).toBe("hub");
  for (const name of Object.values(engine.forms.schemes ?? {})) expect(engine.names).toHaveProperty(name);
});

test("the path of a file is shown whole, and no part of it taken for a password", () => {
  for (const ending of ENGINES.flatMap(({ forms }) => forms.endings ?? []))
    expect(redact(`/data/a:b=c${ending}`)).toBe(`/data/a:b=c${ending}`);
});

describe("describeDatabase", () => {
  test.each(["a.db", "data/stock_data.db", "/var/lib/x.sqlite", "./X.SQLITE3", "a b/c:d.db"])(
    "%s is SQLite",
    (path) => {
      expect(describeDatabase(path).name).toBe("sqlite");
    },
  );

  test.each([
    ["postgresql://u:p@h:5432/d", "postgresql"],
    ["postgres://h/d", "postgresql"],
    ["timescaledb://h/d", "timescaledb"],
    ["localhost:5432:stocks:desk:secret", "postgresql"],
    ["localhost:5432:stocks:desk:secret.db", "postgresql"],
  ] as const)("%s is %s", (value, name) => {
    expect(describeDatabase(value).name).toBe(name);
  });

  test("a connection string with a mistake is refused without its password", () => {
    const message = messageOf("postgresql://u:secret@h/d?sslmod=require");
    expect(message).toContain("did you mean sslmode?");
    expect(message).not.toContain("secret");
  });

  test.each([["questdb://desk:secret@h:8812/d", "QuestDB isn't supported yet"]])(
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
    (value) => expect(describeDatabase(value).name).toBe("remote"),
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

function messageOf(value: string): string {
  try {
    describeDatabase(value);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error(`${value} was accepted`);
}
