/**
 * What others have made in a PostgreSQL database changes nothing that the server stores or answers,
 * and is told at the start.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { diagnosePostgres } from "../../src/storage/postgres/diagnosis.ts";
import { openPostgres, type PostgresDatabase } from "../../src/storage/postgres/open.ts";
import { schemaOf, usePostgres } from "../support/postgres.ts";
import { startServer } from "../support/server.ts";

setDefaultTimeout(180_000);

const postgres = usePostgres();

function open(dbFile: string): Promise<PostgresDatabase> {
  return openPostgres({ dbFile, durability: "full", dbPoolSize: 4 });
}

/** Everything that a worker does, and what it answers. */
async function doAll(db: PostgresDatabase): Promise<string> {
  const told: unknown[] = [];
  for (const [i, price] of [1, 2, 2].entries()) {
    told.push(
      await db.writer.commit([
        {
          kind: "ticks",
          ticker: "AAPL",
          part: "trade",
          rows: [[`2024-01-02 15:00:0${i}.000001`, price, 1.5, null, null, null, null, null]],
          onDuplicate: "match",
          update: { saveId: `s${i}`, repeated: i > 0, frame: `{"price":${price}}` },
        },
        {
          kind: "daily",
          part: null,
          ticker: "AAPL",
          rows: [[`2024-01-0${i + 1}`, 1, 3, 1, price, 10]],
          onDuplicate: "replace",
          update: { saveId: `b${i}`, repeated: false, frame: `{"bar":${price}}` },
        },
        {
          kind: "hourly",
          part: null,
          ticker: "MSFT",
          rows: [["2024-01-02 15:00:00", 1, 3, 1, price, 10]],
          onDuplicate: "keep",
          update: { saveId: `h${i}`, repeated: false, frame: `{"bar":${price}}` },
        },
      ]),
    );
  }
  const all = { from: null, to: null };
  const { reader } = db;
  for (const rows of [
    await reader.rows({ kind: "daily", part: null, ticker: "AAPL", ...all }),
    await reader.rows({ kind: "hourly", part: null, ticker: "MSFT", ...all }),
    await reader.rows({ kind: "ticks", ticker: "AAPL", part: "trade", ...all }),
    await reader.newest({ kind: "ticks", ticker: "AAPL", part: "trade", ...all, limit: 5 }),
  ])
    told.push(JSON.stringify(rows).replaceAll(/write_timestamp\\":\\"[^"]*"/g, ""));
  told.push(
    await reader.latestPrice("AAPL"),
    await reader.previousClose("AAPL"),
    await reader.tickers("daily", null, 10),
    await reader.parts("ticks", "AAPL"),
    [...(await reader.updates.positions(null))],
    [...(await reader.updates.positions(["AAPL"]))],
    (await reader.updates.newest("AAPL")).position,
    (await reader.updates.after("AAPL", 0, { updates: 10, characters: 10_000 })).map(({ frame }) => frame),
    await reader.updates.snapshot("AAPL"),
  );
  return JSON.stringify(told);
}

/**
 * Each would win over PostgreSQL's own where names are looked for along a path, or types fit
 * better.
 */
const SHADOWS = [
  "create function S.unnest(text[]) returns setof text language sql as $$ select 'shadow'::text $$",
  "create function S.unnest(int[]) returns setof int language sql as $$ select 1 $$",
  "create function S.count(text) returns bigint language sql as $$ select 42::bigint $$",
  "create function S.to_json(text[]) returns json language sql as $$ select '[\"shadow\"]'::json $$",
  "create function S.max(bigint) returns bigint language sql as $$ select 42::bigint $$",
  "create function S.max(int) returns int language sql as $$ select 42 $$",
  "create aggregate S.sum(int) (sfunc = int4larger, stype = int)",
  "create aggregate S.min(date) (sfunc = date_larger, stype = date)",
  "create function S.md5(text) returns text language sql as $$ select 'shadow' $$",
  "create function S.octet_length(text) returns int language sql as $$ select 42 $$",
  "create function S.string_to_array(text, text) returns text[] language sql as $$ select '{shadow}'::text[] $$",
  "create function S.clock_timestamp() returns timestamptz language sql as $$ select '1999-01-01'::timestamptz $$",
  "create function S.now() returns timestamptz language sql as $$ select '1999-01-01'::timestamptz $$",
  "create function S.never(text, text) returns boolean language sql as $$ select false $$",
  "create function S.never(date, date) returns boolean language sql as $$ select false $$",
  "create function S.never(timestamptz, timestamptz) returns boolean language sql as $$ select false $$",
  "create function S.nothing(bigint, bigint) returns bigint language sql as $$ select 0::bigint $$",
  ...["=", "<>"].map(
    (sign) => `create operator S.${sign} (leftarg = text, rightarg = text, function = S.never)`,
  ),
  ...[">", "<", ">=", "<="].flatMap((sign) =>
    ["date", "timestamptz"].map(
      (type) => `create operator S.${sign} (leftarg = ${type}, rightarg = ${type}, function = S.never)`,
    ),
  ),
  "create operator S.+ (leftarg = bigint, rightarg = bigint, function = S.nothing)",
  "create domain S.text as pg_catalog.text check (false)",
  "create type S.date as enum ('shadow')",
];

describe.each(["in the schema of the tables", "in a schema in front of it"])(
  "functions, operators and types %s",
  (where) => {
    test("change nothing", async () => {
      const plain = await open(await postgres.freshSchema());
      const expected = await doAll(plain);
      await plain.close();

      const dbFile = await postgres.freshSchema();
      const schema = schemaOf(dbFile);
      await (await open(dbFile)).close();
      let [at, url] = [schema, dbFile];
      if (where !== "in the schema of the tables") {
        at = `before_${schema}`;
        await postgres.admin.unsafe(`CREATE SCHEMA ${at}`);
        url = postgres.url(`search_path=${at},${schema}`);
      }
      for (const sql of SHADOWS) await postgres.admin.unsafe(sql.replaceAll("S.", `${at}.`));
      const db = await open(url);
      try {
        expect(await doAll(db)).toBe(expected);
      } finally {
        await db.close();
      }
    });
  },
);

test("a table that comes first in a user's search path later is not the server's", async () => {
  const dbFile = await postgres.freshSchema();
  const schema = schemaOf(dbFile);
  const later = `later_${schema}`;
  const db = await open(postgres.url(`search_path=${later},${schema}`));
  try {
    await postgres.admin.unsafe(
      `CREATE SCHEMA ${later}; CREATE TABLE ${later}.realtime_data (LIKE ${schema}.realtime_data INCLUDING ALL)`,
    );
    await doAll(db);
    expect(await postgres.admin.unsafe(`SELECT 1 FROM ${schema}.realtime_data`)).toHaveLength(3);
    expect(await postgres.admin.unsafe(`SELECT 1 FROM ${later}.realtime_data`)).toHaveLength(0);
  } finally {
    await db.close();
  }
});

describe("what was there before the start", () => {
  let dbFile: string;
  const PARTS: [sql: string, told: string, undo: string][] = [
    [
      "create trigger audit before insert on S.realtime_data for each row execute function S.f()",
      "trigger audit on realtime_data",
      "DROP TRIGGER audit ON realtime_data",
    ],
    [
      "create rule keep as on delete to S.daily_prices do instead nothing",
      "rule keep on daily_prices",
      "DROP RULE keep ON daily_prices",
    ],
    [
      "alter table S.hourly_prices enable row level security",
      "row-level security on hourly_prices",
      "ALTER TABLE hourly_prices DISABLE ROW LEVEL SECURITY",
    ],
    [
      "alter table S.realtime_data add constraint cheap check (price < 1e9)",
      "constraint cheap on",
      "DROP CONSTRAINT cheap",
    ],
    [
      "create table S.other (ticker text, date date, constraint fk foreign key (ticker, date) references S.daily_prices on delete cascade)",
      "constraint fk on",
      "DROP CONSTRAINT fk",
    ],
    [
      "create unique index one on S.realtime_data (ticker, price, type, timestamp, seq)",
      "one on realtime_data, unique",
      "DROP INDEX",
    ],
    [
      "create index expr on S.realtime_data ((price * 2))",
      "expr on realtime_data, of an expression",
      "DROP INDEX",
    ],
    [
      "alter table S.hourly_prices add column twice double precision generated always as (close * 2) stored",
      "generated column twice of hourly_prices",
      "ALTER TABLE hourly_prices DROP COLUMN twice",
    ],
    [
      "create table S.child () inherits (S.hourly_prices)",
      "that inherits from hourly_prices",
      "NO INHERIT hourly_prices",
    ],
    [
      "create function S.unnest(text[]) returns setof text language sql as 'select ''x''::text'",
      "unnest(text[])",
      "DROP ROUTINE",
    ],
    [
      "create operator S.= (leftarg = text, rightarg = text, function = texteq)",
      "=(text,text)",
      "DROP OPERATOR",
    ],
  ];

  beforeAll(async () => {
    dbFile = await postgres.freshSchema();
    const db = await open(dbFile);
    expect(db.warnings.filter((warning) => warning.startsWith("not the server's own"))).toEqual([]);
    await db.close();
    const schema = schemaOf(dbFile);
    await postgres.admin.unsafe(
      `CREATE FUNCTION ${schema}.f() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end'; CREATE INDEX plain ON ${schema}.realtime_data (price)`,
    );
    for (const [sql] of PARTS) await postgres.admin.unsafe(sql.replaceAll("S.", `${schema}.`));
  });
  afterAll(async () => {
    await postgres.admin.unsafe(`DROP SCHEMA ${schemaOf(dbFile)} CASCADE`);
  });

  test("is told by the start, once, with what to do", async () => {
    await using server = await startServer({ dbFile, workers: 2 });
    await server.logged("not the server's own");
    const lines = server
      .log()
      .split("\n")
      .filter((line) => line.includes("not the server's own"));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("WARNING");
    for (const [, told, undo] of PARTS) {
      expect(lines[0]).toContain(told);
      expect(lines[0]).toContain(undo);
    }
    expect(lines[0]).not.toContain("plain");
    expect(lines[0]).not.toContain("daily_checkpoints_insert");
  });

  test("and by doctor", async () => {
    const findings = await Array.fromAsync(diagnosePostgres(dbFile));
    const finding = findings.find(
      (each) => "level" in each && each.finding.startsWith("not the server's own"),
    );
    expect(finding).toMatchObject({ level: "warning", subject: "schema" });
    for (const [, told] of PARTS) expect(JSON.stringify(finding)).toContain(told.replaceAll('"', '\\"'));
  });
});

describe("the rights of the role", () => {
  async function told(dbFile: string): Promise<{ start: string | undefined; doctor: string }> {
    const db = await open(dbFile);
    await db.close();
    const findings = await Array.fromAsync(diagnosePostgres(dbFile));
    return {
      start: db.warnings.find((warning) => warning.startsWith("the role")),
      doctor: JSON.stringify(findings.find((each) => "level" in each && each.subject === "role")),
    };
  }

  test("a superuser is warned of", async () => {
    const { start, doctor } = await told(await postgres.freshSchema());
    expect(start).toContain("the role postgres is a superuser");
    expect(start).toContain("CREATE ROLE stock_server LOGIN PASSWORD");
    expect(doctor).toContain('"level":"warning"');
    expect(doctor).toContain("the role postgres is a superuser");
  });

  test.each([
    ["plain", "", null],
    ["reader", "GRANT pg_read_server_files TO reader", "is a member of pg_read_server_files"],
    [
      "runner",
      "CREATE ROLE between; GRANT pg_execute_server_program TO between; GRANT between TO runner",
      "pg_execute_server_program",
    ],
    ["bypass", "ALTER ROLE bypass BYPASSRLS", "has BYPASSRLS"],
  ])("of %s", async (role, grant, expected) => {
    const superuser = await postgres.freshSchema();
    await postgres.admin.unsafe(
      `CREATE ROLE ${role} LOGIN; GRANT CREATE, USAGE ON SCHEMA ${schemaOf(superuser)} TO ${role}; ${grant}`,
    );
    const { start, doctor } = await told(superuser.replace("postgres@", `${role}@`));
    if (expected === null) {
      expect(start).toBeUndefined();
      expect(doctor).toContain('"level":"ok"');
      return;
    }
    expect(start).toContain(expected);
    expect(doctor).toContain(expected);
  });
});
