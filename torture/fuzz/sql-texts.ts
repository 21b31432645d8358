/**
 * Statements of users: pieces of SQL in any order, and real statements with pieces changed. Rows
 * may change, the server's tables not.
 */
import fc from "fast-check";
import type { Fuzz, FuzzTarget } from "./fuzzes.ts";

const STATUSES = [200, 400, 403, 409, 503, 504];
const WORDS = [
  ..."SELECT FROM WHERE INSERT INTO VALUES UPDATE SET DELETE CREATE TABLE VIEW INDEX TRIGGER DROP ALTER ADD COLUMN RENAME TO".split(
    " ",
  ),
  ..."WITH RECURSIVE AS UNION ALL GROUP BY ORDER LIMIT JOIN ON AND OR NOT NULL CASE WHEN THEN END EXPLAIN ANALYZE PRAGMA".split(
    " ",
  ),
  ..."BEGIN COMMIT ROLLBACK ATTACH DETACH VACUUM REINDEX TEMP IF EXISTS REPLACE MACRO FUNCTION SCHEMA COPY CALL EXECUTE".split(
    " ",
  ),
  ..."daily_prices hourly_prices realtime_data update_log update_positions daily_checkpoints sqlite_master pg_class t x".split(
    " ",
  ),
  ..."ticker date close timestamp price size type count(*) max(close) length(ticker) * 1 0 -1 1.5 'a' '' x'00' \"q\" [b] `c`".split(
    " ",
  ),
  ..."( ) , ; = < > || + - / % . :: -- /* */ $1 ?1 @a E'\\' U&'\\0041' $$ $q$ {} {a:1} [1] -> ->> ~ ^ & | \u00a0 \u200b".split(
    " ",
  ),
  "\n",
  "\t",
  "\r",
];
const STATEMENTS = [
  "SELECT ticker, date, close FROM daily_prices WHERE ticker = 'AAPL' ORDER BY date LIMIT 5",
  "SELECT count(*) AS n, max(price) FROM realtime_data GROUP BY ticker",
  "WITH t AS (SELECT * FROM daily_prices) SELECT avg(close) FROM t",
  "INSERT INTO daily_prices (ticker, date, close) VALUES ('FUZZSQL', '2020-01-01', 1)",
  "UPDATE daily_prices SET close = close + 1 WHERE ticker = 'FUZZSQL'",
  "DELETE FROM daily_prices WHERE ticker = 'FUZZSQL'",
  "CREATE TABLE fuzz_t (a int, b text)",
  "DROP TABLE IF EXISTS fuzz_t",
  "CREATE VIEW fuzz_v AS SELECT 1 AS one",
  "DROP VIEW IF EXISTS fuzz_v",
  "EXPLAIN SELECT * FROM daily_prices",
];

interface Input {
  mode: "select" | "raw";
  text: string;
  params: readonly unknown[];
}

const soup = fc.array(fc.constantFrom(...WORDS), { maxLength: 25 }).map((words) => words.join(" "));
const changed = fc
  .record({
    statement: fc.constantFrom(...STATEMENTS),
    changes: fc.array(fc.record({ at: fc.nat(), word: fc.constantFrom(...WORDS), replaces: fc.boolean() }), {
      maxLength: 3,
    }),
  })
  .map(({ statement, changes }) => {
    const words = statement.split(" ");
    for (const { at, word, replaces } of changes) words.splice(at % words.length, replaces ? 1 : 0, word);
    return words.join(" ");
  });

export const sqlTexts: Fuzz<Input> = {
  name: "sql-texts",
  input: () =>
    fc.record({
      mode: fc.constantFrom("select", "raw"),
      text: fc.oneof(
        { weight: 4, arbitrary: changed },
        { weight: 3, arbitrary: soup },
        { weight: 1, arbitrary: fc.string({ unit: "binary" }) },
      ),
      params: fc.oneof(fc.constant([]), fc.array(fc.jsonValue({ maxDepth: 1 }), { maxLength: 3 })),
    }),
  async send(target, { mode, text, params }) {
    const body = {
      command: "execute_sql",
      params: { sql_query: text, query_type: mode, query_params: params },
    };
    const { status, text: answer } = await target.post(JSON.stringify(body));
    if (!STATUSES.includes(status)) throw new Error(`${status} ${answer.slice(0, 300)}`);
    JSON.parse(answer);
    await expectAlive(target);
  },
};

/** A statement may be slow, or stopped; a read of another client may not suffer. */
async function expectAlive(target: FuzzTarget): Promise<void> {
  const { status, text } = await target.command("get_latest_price", { ticker: "AAPL" });
  if (status !== 200) throw new Error(`a read after it: ${status} ${text.slice(0, 300)}`);
}
