/** What a page of another site can make a browser send. */
import { type Attack, all, expectStatus, type Target } from "../attack.ts";

const BOMB: Record<Target["engine"], string> = {
  sqlite:
    "SELECT length(group_concat(hex(zeroblob(200000000)))) FROM (SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3)",
  duckdb: "SELECT length(string_agg(repeat('x', 200000000), '')) FROM range(3)",
  postgres: "SELECT length(string_agg(repeat('x', 200000000), '')) FROM generate_series(1, 3)",
};
const FOREIGN: Record<string, string>[] = [
  { origin: "http://evil.example", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" },
  { "sec-fetch-site": "cross-site" },
  { "sec-fetch-site": "same-site" },
  { origin: "http://evil.example" },
  { origin: "null" },
  { referer: "http://evil.example/page" },
];
const PATHS = ["/stats/tables", "/stats/database", "/stats/performance"];

export const CROSS_SITE: readonly Attack[] = [
  {
    name: "cross-site-sql",
    about: "an image of a foreign page asks for SQL that takes all memory",
    async run(target) {
      const path = `/api/execute_sql?sql=${encodeURIComponent(BOMB[target.engine])}`;
      const answers = FOREIGN.flatMap((headers) =>
        [path, `/api/sql_query?sql=SELECT%201`].map(async (where) =>
          expectStatus(
            target,
            `GET ${where.slice(0, 30)} with ${JSON.stringify(headers)}`,
            await target.get(where, headers),
            [403],
          ),
        ),
      );
      await all(answers);
    },
  },
  {
    name: "cross-site-stats",
    about: "a foreign page has rows counted",
    async run(target) {
      for (const path of PATHS)
        for (const headers of FOREIGN)
          expectStatus(
            target,
            `GET ${path} with ${JSON.stringify(headers)}`,
            await target.get(path, headers),
            [403],
          );
    },
  },
  {
    name: "cross-site-forms",
    about: "a form of a foreign page sends commands",
    async run(target) {
      const body = JSON.stringify({
        command: "execute_sql",
        params: { sql_query: "DELETE FROM daily_prices", query_type: "raw" },
      });
      for (const type of [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
      ])
        expectStatus(
          target,
          `POST with ${type}`,
          await target.post(body, { "content-type": type }),
          [403, 415],
        );
    },
  },
  {
    name: "own-requests",
    about: "asks as curl, as an address typed by hand and as a page of the server's own do: they are let in",
    async run(target) {
      const path = "/api/execute_sql?sql=SELECT%201%20AS%20one";
      for (const headers of [{}, { "sec-fetch-site": "none" }, { "sec-fetch-site": "same-origin" }])
        expectStatus(target, `GET with ${JSON.stringify(headers)}`, await target.get(path, headers), [200]);
    },
  },
];
