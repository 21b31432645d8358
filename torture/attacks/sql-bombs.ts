/** Statements that take memory or time without end. */
import { type Attack, all, expectStatus, type Target } from "../attack.ts";

type ByEngine = Record<Target["engine"], string[]>;

const MEMORY: ByEngine = {
  sqlite: [
    "SELECT length(group_concat(hex(zeroblob(200000000)))) FROM (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3)",
    "SELECT zeroblob(1000000000)",
    "SELECT length(hex(zeroblob(499999999)))",
    "SELECT printf('%.*c', 999999999, 'x')",
    "SELECT length(replace(hex(zeroblob(500000)), '0', hex(zeroblob(500))))",
    "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t LIMIT 1000) SELECT length(group_concat(hex(zeroblob(1000000)))) FROM t",
  ],
  duckdb: [
    "SELECT length(string_agg(repeat('x', 200000000), '')) FROM range(3)",
    "SELECT list(range) FROM range(1000000000)",
    "SELECT count(DISTINCT hash(range::VARCHAR || 'x')) FROM range(500000000)",
    "SELECT repeat('x', 2000000000)",
  ],
  postgres: [
    "SELECT length(string_agg(repeat('x', 200000000), '')) FROM generate_series(1, 3)",
    "SELECT repeat('x', 500000000)",
    "SELECT repeat('x', 1000) FROM generate_series(1, 100000000)",
    "SELECT array_agg(i) FROM generate_series(1, 100000000) AS i",
  ],
};

const ENDLESS: ByEngine = {
  sqlite: ["WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t"],
  duckdb: [
    "SELECT count(*) FROM range(100000) a, range(100000) b, range(100) c WHERE a.range * b.range = c.range - 7",
  ],
  postgres: [
    "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b WHERE a * b = -7",
  ],
};

const SHAPES = [
  `SELECT ${"(".repeat(5_000)}1${")".repeat(5_000)}`,
  `SELECT ${"1+".repeat(100_000)}1`,
  `SELECT ${Array.from({ length: 5_000 }, () => "1").join(" UNION ALL SELECT ")}`,
  `SELECT * FROM ${Array.from({ length: 64 }, (_, i) => `daily_prices t${i}`).join(", ")} LIMIT 1`,
  `SELECT '${"a".repeat(56)}b' LIKE '${"%a".repeat(14)}%c'`,
  `SELECT ${"/*".repeat(50_000)} 1 ${"*/".repeat(50_000)}`,
  `SELECT '${"''".repeat(400_000)}'`,
];

/** What a bounded server may say to them. */
const BOUNDED = [200, 400, 503, 504];
const STORM_STATEMENTS = 20;

/**
 * On DuckDB statements run in the process that holds the database, and some of its functions hear
 * no interrupt.
 */
const LAST_RESORT = [
  /DuckDB can't go on: SQL that was stopped (goes on taking memory|10 s ago has not ended)/,
];

export const SQL_BOMBS: readonly Attack[] = [
  {
    name: "memory-bombs",
    about: "four statements at once that each take all memory",
    expects: LAST_RESORT,
    mayRefuseSql: "near the bound of memory new SQL is refused",
    run: (target) => bomb(target, MEMORY[target.engine], 4),
  },
  {
    name: "memory-bomb-storm",
    about: "twenty such statements at once, over GET and POST",
    expects: LAST_RESORT,
    mayRefuseSql: "near the bound of memory new SQL is refused",
    async run(target) {
      await bomb(target, MEMORY[target.engine], STORM_STATEMENTS);
      const [first] = MEMORY[target.engine];
      const path = `/api/execute_sql?sql=${encodeURIComponent(first!)}`;
      await all(
        Array.from({ length: STORM_STATEMENTS }, async () =>
          expectStatus(target, "GET of a bomb", await target.get(path), BOUNDED),
        ),
      );
    },
  },
  {
    name: "endless-statements",
    about: "ten statements at once that never end",
    run: (target) => bomb(target, ENDLESS[target.engine], 10),
  },
  {
    name: "statement-shapes",
    about: "statements that are deep, wide or long",
    mayRefuseSql: "near the bound of memory new SQL is refused",
    expects: LAST_RESORT,
    async run(target) {
      for (const text of SHAPES)
        for (const mode of ["select", "raw"] as const)
          expectStatus(target, `${mode} ${text.slice(0, 40)}`, await target.sql(mode, text), BOUNDED);
    },
  },
  {
    name: "row-bombs",
    about: "inserts without end by raw, which have to be taken back",
    // While a statement of a user writes, others can't: the database has one writer.
    mayDelay: "a statement that writes holds up other writers until its time limit",
    mayRefuse: "a writer that is held up for long is refused with 503",
    async run(target) {
      const text = {
        sqlite:
          "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) INSERT INTO realtime_data (ticker, timestamp, type, price) SELECT 'ROWBOMB', '2024-01-02 10:00:00.' || printf('%06d', x % 1000000), 'trade', x FROM t",
        duckdb:
          "INSERT INTO realtime_data (ticker, timestamp, type, price) SELECT 'ROWBOMB', TIMESTAMP '2024-01-02' + INTERVAL (range) MICROSECOND, 'trade', 1 FROM range(10000000000)",
        postgres:
          "INSERT INTO realtime_data (ticker, timestamp, type, price) SELECT 'ROWBOMB', '2024-01-02'::timestamp + i * interval '1 microsecond', 'trade', 1 FROM generate_series(1, 10000000000) AS i",
      }[target.engine];
      expectStatus(target, "endless insert", await target.sql("raw", text), [400, 409, 503, 504]);
      const left = await target.sql(
        "select",
        "SELECT count(*) AS n FROM realtime_data WHERE ticker = 'ROWBOMB'",
      );
      if (!/"n":0\b/.test(left.text)) target.complain(`rows are left of it: ${left.text.slice(0, 100)}`);
    },
  },
];

async function bomb(target: Target, texts: readonly string[], count: number): Promise<void> {
  const chosen = Array.from({ length: count }, (_, i) => texts[i % texts.length]!);
  await all(
    chosen.map(async (text) =>
      expectStatus(target, text.slice(0, 60), await target.sql("select", text), BOUNDED),
    ),
  );
}
