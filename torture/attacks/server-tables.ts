/**
 * Statements of users that would change what the server itself works with, or reach beyond the
 * database.
 */
import { type Attack, expectStatus, type Target } from "../attack.ts";

type ByEngine = Record<Target["engine"], string[]>;

const TABLES = ["daily_prices", "hourly_prices", "realtime_data"];

/** Each has to be refused as select and as raw. */
const REFUSED: ByEngine = {
  sqlite: [
    ...TABLES.flatMap((table) => [
      `DROP TABLE ${table}`,
      `ALTER TABLE ${table} RENAME TO moved`,
      `ALTER TABLE ${table} RENAME COLUMN ticker TO t`,
      `ALTER TABLE ${table} ADD COLUMN g AS (length(hex(zeroblob(400000000))))`,
      `ALTER TABLE ${table} DROP COLUMN write_timestamp`,
      `CREATE TRIGGER evil AFTER INSERT ON ${table} BEGIN SELECT 1; END`,
      `CREATE TRIGGER evil BEFORE INSERT ON ${table} WHEN NEW.ticker = 'BAD' BEGIN SELECT RAISE(ROLLBACK, 'no'); END`,
      `CREATE TEMP TRIGGER evil AFTER INSERT ON main.${table} BEGIN SELECT 1; END`,
      `CREATE INDEX evil ON ${table} (length(hex(zeroblob(150000000)) || ticker))`,
      `CREATE UNIQUE INDEX evil ON ${table} (ticker)`,
      `CREATE TABLE temp.${table} (x)`,
    ]),
    "DROP TABLE update_log",
    "DROP TABLE IF EXISTS update_positions",
    "INSERT INTO update_log (id, ticker, seq, type, saved_at, frame) VALUES (9223372036854775807, 'X', 1, 'trade', 1, '{}')",
    "UPDATE update_positions SET seq = 9223372036854775807",
    "DELETE FROM update_log_state",
    "UPDATE update_log SET frame = 'not json'",
    "CREATE TRIGGER evil BEFORE INSERT ON update_log BEGIN SELECT RAISE(IGNORE); END",
    "DELETE FROM daily_checkpoints",
    "PRAGMA user_version = 99",
    "PRAGMA writable_schema = 1",
    "PRAGMA main.writable_schema(1)",
    "PRAGMA journal_mode = delete",
    "PRAGMA temp_store_directory = '/tmp'",
    "INSERT INTO sqlite_master VALUES ('table', 'a', 'a', 2, 'create table a(x)')",
    "UPDATE sqlite_schema SET sql = 'x'",
    "ATTACH 'x.db' AS x",
    "/**/ATTACH/**/'x.db' AS x",
    "\ufeffATTACH 'x.db' AS x",
    "SELECT load_extension('/tmp/evil.so')",
    "SELECT \"load_extension\"('/tmp/evil.so')",
    "SELECT [load_extension] ('/tmp/evil.so')",
    "VACUUM INTO '/tmp/torture-vacuum.db'",
    "VACUUM/**/main/**/INTO '/tmp/torture-vacuum.db'",
    "SELECT 1; DROP TABLE daily_prices",
    "BEGIN",
    "ROLLBACK",
    "SAVEPOINT s",
  ],
  duckdb: [
    ...TABLES.flatMap((table) => [
      `DROP TABLE ${table}`,
      `ALTER TABLE ${table} RENAME TO moved`,
      `ALTER TABLE ${table} ADD COLUMN g INTEGER DEFAULT 7`,
      `ALTER TABLE ${table} DROP COLUMN write_timestamp`,
      `CREATE OR REPLACE TABLE ${table} AS SELECT 1 AS x`,
      `CREATE UNIQUE INDEX evil_${table} ON ${table} (ticker)`,
      `CREATE OR REPLACE VIEW ${table} AS SELECT 1 AS x`,
    ]),
    ...[
      "max",
      "min",
      "coalesce",
      "strftime",
      "count",
      "hash",
      "to_json",
      "epoch_us",
      "unnest",
      "abs",
      "list",
      '"+"',
      '"||"',
      '"="',
    ].map((name) => `CREATE MACRO ${name}(a) AS 42`),
    "CREATE MACRO strftime(a, b) AS '1999-01-01 00:00:00.000000'",
    "CREATE MACRO duckdb_functions() AS TABLE SELECT 1",
    "CREATE MACRO range(a) AS TABLE SELECT 1",
    "DROP TABLE update_log",
    "DELETE FROM update_log",
    "UPDATE update_positions SET seq = 9223372036854775807",
    "SET memory_limit = '100GB'",
    "SET search_path = 'evil'",
    "RESET memory_limit",
    "USE memory",
    "PRAGMA threads = 99",
    "ATTACH ':memory:' AS m",
    "COPY daily_prices TO '/tmp/torture.csv'",
    "EXPLAIN ANALYZE COPY daily_prices TO '/tmp/torture.csv'",
    "EXPORT DATABASE '/tmp/torture-export'",
    "IMPORT DATABASE '/tmp/torture-export'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CHECKPOINT",
    "BEGIN",
    "PREPARE p AS SELECT 1",
    "CREATE SECRET s (TYPE S3)",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM \"read_text\"('/etc/passwd')",
    "FROM '/etc/passwd'",
    'FROM "/etc/passwd.csv"',
    "SELECT * FROM glob('*')",
    "SELECT getenv('HOME')",
    "SELECT * FROM query('SELECT 1')",
    "CREATE MACRO f(a) AS TABLE FROM read_csv(a)",
    "SELECT 1; DROP TABLE daily_prices",
  ],
  postgres: [
    ...TABLES.flatMap((table) => [
      `DROP TABLE ${table}`,
      `ALTER TABLE ${table} RENAME TO moved`,
      `ALTER TABLE ${table} ADD COLUMN g int DEFAULT 7`,
      `ALTER TABLE ${table} DROP COLUMN write_timestamp`,
      `CREATE UNIQUE INDEX evil_${table} ON ${table} (ticker)`,
      `CREATE RULE evil AS ON INSERT TO ${table} DO INSTEAD NOTHING`,
      `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`,
      `CREATE POLICY evil ON ${table} USING (false)`,
      `DO $$ BEGIN EXECUTE 'ALTER TABLE ${table} ADD COLUMN g int'; END $$`,
      `DO $$ BEGIN EXECUTE 'DROP ' || 'TABLE ${table}'; END $$`,
    ]),
    "CREATE TRIGGER evil BEFORE INSERT ON realtime_data FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "DROP TABLE update_positions",
    "DELETE FROM update_log",
    "UPDATE update_positions SET seq = 9223372036854775807",
    "DROP SCHEMA public CASCADE",
    "DROP OWNED BY CURRENT_USER",
    "SELECT pg_read_file('/etc/hostname')",
    "SELECT E'a'\n'\\' , ' AS x, pg_read_file('/etc/hostname') AS y, '' AS z LIMIT 1",
    "SELECT E'a'\n'\\' , ' AS x, pg_terminate_backend(pid) AS y, '' AS z FROM pg_stat_activity WHERE pid <> pg_backend_pid()",
    "SELECT E'a'\n'\\' , ' AS x, set_config('search_path', 'evil', false) AS y, '' AS z",
    "SELECT U&\"\\0070g_read_file\"('/etc/hostname')",
    "SELECT pg_terminate_backend(pg_backend_pid())",
    "SELECT pg_advisory_lock(1)",
    "SELECT lo_import('/etc/passwd')",
    "SELECT pg_ls_dir('.')",
    "SELECT query_to_xml('select pg_read_file(''/etc/hostname'')', true, true, '')",
    "COPY daily_prices TO PROGRAM 'id > /tmp/torture-pwned'",
    "SET ROLE postgres",
    "LISTEN x",
    "LOCK TABLE daily_prices",
    "ALTER DATABASE postgres SET search_path = evil",
    "ALTER USER postgres SET search_path = evil",
    "CREATE EXTENSION dblink",
    "BEGIN",
    "SELECT 1; DROP TABLE daily_prices",
  ],
};

/** Users do these. Each has to be let through as raw. */
const ALLOWED_FIRST = [
  "CREATE TABLE notes (ticker TEXT, note TEXT)",
  "INSERT INTO notes VALUES ('A', 'b')",
  "CREATE VIEW closes AS SELECT ticker, date, close FROM daily_prices",
  "INSERT INTO daily_prices (ticker, date, close) VALUES ('RAWROW', '2020-01-01', 1)",
  "UPDATE daily_prices SET close = 2 WHERE ticker = 'RAWROW'",
  "DELETE FROM daily_prices WHERE ticker = 'RAWROW'",
  "DROP VIEW closes",
];
const ALLOWED: ByEngine = {
  sqlite: [
    "CREATE INDEX notes_by_ticker ON notes (ticker)",
    "DROP INDEX notes_by_ticker",
    "CREATE INDEX notes_by_ticker ON notes (ticker)",
  ],
  duckdb: ["CREATE MACRO typical_price(h, l, c) AS (h + l + c) / 3", "DROP MACRO typical_price"],
  postgres: ["CREATE INDEX notes_by_ticker ON notes (ticker)"],
};
const ALLOWED_LAST = "DROP TABLE notes";

export const SERVER_TABLES: readonly Attack[] = [
  {
    name: "forbidden-statements",
    about: "drops, alters, hooks and poisons what the server works with, and reaches for files",
    async run(target) {
      for (const mode of ["select", "raw"] as const)
        for (const text of REFUSED[target.engine])
          expectStatus(target, `${mode} ${text.slice(0, 110)}`, await target.sql(mode, text), [400, 403]);
    },
  },
  {
    name: "allowed-statements",
    about: "makes tables and views of its own, and changes rows of the data tables: that stays allowed",
    async run(target) {
      for (const text of [...ALLOWED_FIRST, ...ALLOWED[target.engine], ALLOWED_LAST])
        expectStatus(target, `raw ${text}`, await target.sql("raw", text), [200]);
    },
  },
  {
    name: "double-keys",
    about: "tries to store a key twice by explaining an insert",
    engines: ["duckdb", "postgres"],
    async run(target) {
      for (const close of [1, 2]) {
        await target.sql(
          "raw",
          `EXPLAIN ANALYZE INSERT INTO daily_prices (ticker, date, close) VALUES ('TWICE', '2020-01-01', ${close})`,
        );
      }
      const { text } = await target.sql(
        "select",
        "SELECT count(*) AS n FROM daily_prices WHERE ticker = 'TWICE'",
      );
      if (!/"n":[01]\b/.test(text)) target.complain(`a key is stored more than once: ${text.slice(0, 200)}`);
      await target.sql("raw", "DELETE FROM daily_prices WHERE ticker = 'TWICE'");
    },
  },
];
