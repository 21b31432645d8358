/**
 * What is read in a text is what PostgreSQL reads in it: statements put together at random are sent
 * to the database as they are, and through the server. What calls a refused function there is
 * refused here, and what is let through does the same as there.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { openPostgres, type PostgresDatabase } from "../../src/storage/postgres/open.ts";
import type { SqlMode, UserSqlOutcome } from "../../src/storage/user-sql-contract.ts";
import { usePostgres } from "../support/postgres.ts";
import { randomNumbers } from "../support/random.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(300_000);

/**
 * By hand: `STATEMENTS=200000 SEED=7 npm test -- test/integration/postgres-hostile-sql.test.ts`.
 */
const STATEMENTS = Number(process.env.STATEMENTS ?? 4_000);
const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);
const CAUGHT = "the canary was called";

const postgres = usePostgres();
let db: PostgresDatabase;

beforeAll(async () => {
  db = await openPostgres({ dbFile: postgres.url(), durability: "full", dbPoolSize: 4 });
  // Names that are refused, of functions that tell when they are called.
  for (const [name, args] of [
    ["dblink_canary", ""],
    ["dblink_canary", "text"],
    ["pg_read_canary", "text"],
  ])
    await postgres.admin.unsafe(
      `CREATE FUNCTION ${name}(${args}) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '${CAUGHT}'; END $$`,
    );
});
afterAll(() => db.close());

function run(sql: string, mode: SqlMode = "read", timeoutMs = 20_000): Promise<UserSqlOutcome> {
  return db.sql.run({ sql, params: [], mode, maxRows: 100 }, { timeoutMs });
}

/** The error's words, or the rows. */
async function there(sql: string): Promise<string> {
  try {
    return JSON.stringify(await postgres.admin.unsafe(sql).simple());
  } catch (error) {
    return String((error as Error).message);
  }
}

class Writer {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)]!;
  }

  chance(part: number): boolean {
    return this.#random() < part;
  }

  statement(): string {
    const items = Array.from({ length: 1 + Math.floor(this.#random() * 4) }, () => this.#item());
    let text = `select${this.#gap()}${items.join(`${this.#gap(true)},${this.#gap(true)}`)}${this.#gap(true)}`;
    if (this.chance(0.1)) text += `;${this.#gap(true)}`;
    if (this.chance(0.25)) {
      const at = Math.floor(this.#random() * text.length);
      text = text.slice(0, at) + this.pick(HOSTILE) + text.slice(at + Math.floor(this.#random() * 2));
    }
    return text;
  }

  #item(): string {
    const item = this.chance(0.4) ? this.#call() : this.#text();
    return this.chance(0.3)
      ? `${item} as ${this.pick(["x", '"y"', 'U&"z"', "a$b", "\u00e9", "x\u00a0y"])}`
      : item;
  }

  #call(): string {
    const name = this.pick([
      "dblink_canary",
      "DBLINK_canary",
      '"dblink_canary"',
      "public.dblink_canary",
      'public . "dblink_canary"',
      'U&"\\0064blink_canary"',
      "U&\"d!0062link_canary\" uescape '!'",
      'u&"\\+000064blink_canary"',
    ]);
    const call = `${name}${this.#gap(true)}(${this.#gap(true)}${this.chance(0.5) ? "" : this.#text()})`;
    return this.pick([
      call,
      call,
      `(select ${call})`,
      `coalesce(null, ${call})`,
      `case when true then ${call} end`,
      `array[${call}]`,
      `(values (${call}))`,
      "('x'::text).pg_read_canary",
      "(select t.dblink_canary from text('x') t)",
      `(with w as (select ${call} c) select c from w)`,
      `(select count(*) filter (where ${call} = '') from generate_series(1, 2))`,
      `(select max(v) from lateral (select ${call} v) l)`,
    ]);
  }

  #text(): string {
    const inner = Array.from({ length: Math.floor(this.#random() * 4) }, () => this.pick(HOSTILE)).join("");
    return this.pick([
      `'${inner.replaceAll("'", "''")}'`,
      `'${inner}'`,
      `E'${inner}'`,
      `e'a'\n'${inner}'`,
      `E'a'\r\n'\\' , '`,
      `'a'\n'${inner}'`,
      `'a' '${inner}'`,
      `U&'${inner.replaceAll("\\", "")}'`,
      `U&'d!0061t' uescape '!'`,
      `$$${inner}$$`,
      `$q$${inner}$q$`,
      `B'01'`,
      `N'${inner}'`,
      `1`,
    ]);
  }

  #gap(mayBeNone = false): string {
    return this.pick([
      mayBeNone ? "" : " ",
      " ",
      "\n",
      "\r",
      "\t\f",
      "/* */",
      "/* /* ' */ */",
      `/* ${this.pick(HOSTILE)} */`,
      `--${this.pick(HOSTILE).replaceAll("\n", "")}\n`,
      "--\r",
    ]);
  }
}

const HOSTILE = [
  ..."'\"\\$;,()-/*!&?:\u00a0\u00e9\n\r",
  "''",
  "\\'",
  "\\\\",
  "$$",
  "$q$",
  "--",
  "/*",
  "*/",
  "E'",
  "U&'",
  'U&"',
  "' , dblink_canary() , '",
  "' || dblink_canary() || '",
  "; select dblink_canary()",
  "\\' , dblink_canary() --",
  " dblink_canary() ",
];

test(`${STATEMENTS} statements, seed ${SEED}`, async () => {
  const writer = new Writer(randomNumbers(SEED));
  let [calling, allowed] = [0, 0];
  for (let i = 0; i < STATEMENTS; i++) {
    const sql = writer.statement();
    const [expected, outcome] = [await there(sql), await run(sql)];
    const told =
      outcome.status === "rows" ? Buffer.concat(outcome.parts).toString() : JSON.stringify(outcome);
    const seen = JSON.stringify({ seed: SEED, i, sql, expected, told });
    if (told.includes(CAUGHT)) throw new Error(`it was let through: ${seen}`);
    if (outcome.status === "error") expect(outcome.httpStatus).toBe(400);
    if (expected.includes(CAUGHT)) {
      calling++;
      if (outcome.status !== "error") throw new Error(`it was not refused: ${seen}`);
    }
    if (outcome.status === "rows") {
      allowed++;
      if (!expected.startsWith("[")) throw new Error(`it fails there: ${seen}`);
    }
  }
  // Else nothing was tried.
  expect(calling).toBeGreaterThan(STATEMENTS / 20);
  expect(allowed).toBeGreaterThan(STATEMENTS / 20);
});

describe("ways round a list of names", () => {
  test.each([
    "select E'a'\n'\\' , ' as x, dblink_canary() as y, '' as z",
    'select U&"\\0064blink_canary"()',
    "select ('x'::text).dblink_canary",
    "select t.dblink_canary from text('x') t",
    "select * from dblink_canary()",
    "select * from rows from (dblink_canary(), generate_series(1, 2))",
    "select 1 order by dblink_canary()",
    "select 1 limit length(dblink_canary())",
    "select sum(1) over (order by dblink_canary())",
    "select json_object('a' : dblink_canary())",
    "select * from xmltable('/' passing xmlparse(content dblink_canary()) columns a text)",
    "select * from generate_series(1, 2) tablesample bernoulli (length(dblink_canary()))",
    "values (dblink_canary())",
    "explain analyze select dblink_canary()",
    "select dblink_canary(variadic array[]::text[])",
  ])("%s", async (sql) => {
    for (const mode of ["read", "write"] as const)
      expect(await run(sql, mode)).toMatchObject({ status: "error", httpStatus: 400 });
    expect(JSON.stringify(await run(sql))).not.toContain(CAUGHT);
  });

  test.each([
    "create table c (a text default dblink_canary())",
    "create table c (a text, b text generated always as (dblink_canary(a)) stored)",
    "create table c (a text check (dblink_canary(a) is null))",
    "create view c as select dblink_canary()",
    "create function c() returns text begin atomic select dblink_canary(); end",
    "create function c() returns text return dblink_canary()",
    "create aggregate c(text) (sfunc = dblink_canary, stype = text)",
    "create operator !!! (rightarg = text, function = dblink_canary)",
    "create domain c as text check (dblink_canary(value) is null)",
    "create index on own ((dblink_canary(a)))",
    "create trigger c after insert on own execute function dblink_canary()",
    "alter table own alter a set default dblink_canary()",
    "insert into own values (dblink_canary())",
    "update own set a = dblink_canary()",
    "merge into own using (select 1) s on dblink_canary() is null when not matched then do nothing",
    "call dblink_canary()",
    "create cast (text as int) with function dblink_canary(text)",
  ])("%s", async (sql) => {
    await run("create table if not exists own (a text)", "write");
    const outcome = await run(sql, "write");
    expect(outcome).toMatchObject({ status: "error", httpStatus: 400 });
    expect(JSON.stringify(outcome)).toMatch(/is not allowed/);
  });
});

describe("statements too large to be read", () => {
  test.each([
    ["parentheses", `select ${"(".repeat(100_000)}1${")".repeat(100_000)}`],
    ["operators", `select ${"1+".repeat(100_000)}1`],
    ["unions", `select 1${" union select 1".repeat(16_000)}`],
    ["subqueries", `select * from ${"(select * from ".repeat(12_000)}t${") x".repeat(12_000)}`],
  ])("%s", async (_, sql) => {
    for (let i = 0; i < 3; i++)
      expect(await run(sql)).toMatchObject({
        httpStatus: 400,
        // Which of the two stacks ends first, the parser's or the database's, is the machine's
        // matter.
        error: expect.stringMatching(/: (?:the statement is nested too deeply|stack depth limit exceeded)$/),
      });
    expect(await run("select 1 as one")).toMatchObject({ status: "rows" });
  });

  test("bytes", async () => {
    expect(await run(`select '${"x".repeat(2 ** 18)}'`)).toMatchObject({
      httpStatus: 400,
      error: `execute_sql: the SQL has ${2 ** 18 + 9} bytes, expected at most ${2 ** 18}; send values as parameters`,
    });
    expect(await run(`select length('${"\u00e9".repeat(2 ** 17 - 20)}')`)).toMatchObject({ status: "rows" });
  });

  test("leave no memory behind, and small ones go before them", async () => {
    const many = `insert into nowhere values ${Array.from({ length: 20_000 }, (_, i) => `(${i},'a')`).join(",")}`;
    const operators = `select ${"1+".repeat(100_000)}1`;
    await run("select 1");
    Bun.gc(true);
    const before = process.memoryUsage.rss();
    const order: string[] = [];
    const small = Bun.sleep(20).then(() => run("select 1").then(() => order.push("small")));
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        run(i % 2 === 0 ? many : operators, "write", 100_000).then((outcome) => {
          order.push("large");
          return outcome;
        }),
      ),
    );
    await small;
    expect(order.indexOf("small")).toBeLessThan(6);
    for (const outcome of answers) expect(outcome).toMatchObject({ status: "error", httpStatus: 400 });
    await until(() => {
      Bun.gc(true);
      return process.memoryUsage.rss() - before < 100 * 2 ** 20;
    });
  });
});
