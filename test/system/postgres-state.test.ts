/**
 * A PostgreSQL that takes no writes, or whose tables are gone or unusable: who is told what, and
 * when it is over.
 */
import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { SQL } from "bun";
import { schemaOf, usePostgres } from "../support/postgres.ts";
import { get, type Json, saveTrade } from "../support/requests.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(240_000);

const postgres = usePostgres();

async function ready(server: RunningServer): Promise<{ status: number; message: string }> {
  const { status, body } = await get(`${server.url}/ready`);
  return { status, message: (body as Json).message };
}

async function latest(server: RunningServer, ticker: string): Promise<number> {
  const { status } = await server.command("get_realtime_data", { ticker, data_type: "trade" });
  return status;
}

const HOUR = {
  interval: "hourly",
  index_col: "datetime",
  data: [{ datetime: "2024-01-02T15:00:00Z", close: 1 }],
};

describe("a database that takes no writes", () => {
  afterEach(async () => {
    await postgres.admin.unsafe("ALTER SYSTEM RESET default_transaction_read_only");
    await postgres.admin.unsafe("ALTER DATABASE postgres RESET default_transaction_read_only");
    await postgres.admin.unsafe("ALTER ROLE postgres RESET default_transaction_read_only");
    await postgres.admin.unsafe("SELECT pg_reload_conf()");
  });

  test.each([
    ["for the whole server", "ALTER SYSTEM SET", "ALTER SYSTEM RESET"],
    ["by a setting of the database", "ALTER DATABASE postgres SET", "ALTER DATABASE postgres RESET"],
    ["by a setting of the role", "ALTER ROLE postgres SET", "ALTER ROLE postgres RESET"],
  ])(
    "%s: saves are 503 and /ready says it, reads go on, and all of it is over with the setting",
    async (_, set, reset) => {
      await using server = await startServer({ dbFile: await postgres.freshSchema() });
      expect((await saveTrade(server.url, "AAPL", 1)).status).toBe(200);

      const writable = async (text: string): Promise<void> => {
        await postgres.admin.unsafe("SET default_transaction_read_only = off");
        await postgres.admin.unsafe(text);
        await postgres.admin.unsafe("SELECT pg_reload_conf()");
      };
      await writable(`${set} default_transaction_read_only = on`);
      await until(async () => (await ready(server)).status === 503);
      expect((await ready(server)).message).toBe(
        "the database takes no writes: default_transaction_read_only is on",
      );
      const refused = await saveTrade(server.url, "AAPL", 2);
      expect(refused).toMatchObject({
        status: 503,
        body: {
          error: "save: the database takes no writes now",
          details: "cannot execute INSERT in a read-only transaction (25006)",
        },
      });
      expect(refused.headers.get("retry-after")).toBe("1");
      const raw = await server.command("execute_sql", {
        sql_query: "CREATE TABLE x (a int)",
        query_type: "raw",
      });
      expect(raw).toMatchObject({
        status: 503,
        body: { error: "execute_sql: the database takes no writes now" },
      });
      expect(await latest(server, "AAPL")).toBe(200);
      expect((await get(`${server.url}/health`)).status).toBe(200);

      await writable(`${reset} default_transaction_read_only`);
      await until(async () => (await ready(server)).status === 200);
      expect((await saveTrade(server.url, "AAPL", 2)).status).toBe(200);
      await server.logged("Database: it does all of its work again");
    },
  );

  test("a standby: the server starts on it and says so, and saves when it has been promoted", async () => {
    const dbFile = await postgres.freshSchema();
    {
      await using primary = await startServer({ dbFile });
      expect((await saveTrade(primary.url, "AAPL", 1)).status).toBe(200);
    }
    const port = await postgres.startStandby();
    const there = dbFile.replace(`:${postgres.port}/`, `:${port}/`);
    await using server = await startServer({ dbFile: there, withoutDatabase: true });
    await server.logged("the database takes no writes: it is a standby");
    expect(await ready(server)).toEqual({
      status: 503,
      message: "the database takes no writes: it is a standby",
    });
    expect((await get(`${server.url}/health`)).status).toBe(200);
    expect(await latest(server, "AAPL")).toBe(200);
    const refused = await saveTrade(server.url, "AAPL", 2);
    expect(refused).toMatchObject({ status: 503, body: { error: "save: the database takes no writes now" } });
    expect(refused.headers.get("retry-after")).toBe("1");

    await using admin = new SQL(`postgresql://postgres@127.0.0.1:${port}/postgres`, { max: 1 });
    await admin`SELECT pg_promote()`;
    await until(async () => (await ready(server)).status === 200);
    expect((await saveTrade(server.url, "AAPL", 2)).status).toBe(200);
  });
});

describe("tables that can't be used", () => {
  test.each([
    ["realtime_data is gone", "DROP TABLE realtime_data", "there is no table realtime_data"],
    [
      "a view in its place",
      "ALTER TABLE realtime_data RENAME TO r; CREATE VIEW realtime_data AS SELECT * FROM r UNION ALL SELECT * FROM r",
      "realtime_data is a view",
    ],
    [
      "a column is gone",
      "ALTER TABLE realtime_data DROP COLUMN price",
      "realtime_data lacks the column price",
    ],
    ["the bookkeeping is gone", "DROP TABLE update_positions", "there is no table update_positions"],
  ])("%s: nobody is told that his row is at fault", async (_, change, told) => {
    const dbFile = await postgres.freshSchema();
    await using server = await startServer({ dbFile });
    await postgres.admin.unsafe(`SET search_path = ${schemaOf(dbFile)}; ${change}; RESET search_path`);

    const refused = await saveTrade(server.url, "GOOD", 1);
    expect(refused).toMatchObject({
      status: 503,
      body: { error: "save: the server's tables can't be used as they are now" },
    });
    expect(refused.headers.get("retry-after")).toBe("1");
    expect(String((refused.body as Json).details)).toMatch(/\((42P01|42703|55000)\)$/);
    if (!change.includes("update_positions") && !change.includes("VIEW")) {
      const read = await server.command("get_realtime_data", { ticker: "GOOD", data_type: "trade" });
      expect(read).toMatchObject({
        status: 503,
        body: { error: "read: the server's tables can't be used as they are now" },
      });
      expect(read.headers.get("retry-after")).toBe("1");
    }
    await until(async () => (await ready(server)).status === 503);
    expect((await ready(server)).message).toContain(told);
    await server.logged(/ERROR.*Database: a statement of the server failed/);
    await saveTrade(server.url, "GOOD", 1);
    expect(server.log().match(/a statement of the server failed/g)).toHaveLength(1);
  });

  test("one table that is gone leaves saves into the others alone", async () => {
    const dbFile = await postgres.freshSchema();
    await using server = await startServer({ dbFile });
    await postgres.admin.unsafe(`ALTER TABLE ${schemaOf(dbFile)}.hourly_prices RENAME TO away`);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        i % 2 === 0
          ? saveTrade(server.url, `T${i}`, i)
          : server.command("save_stock_data", { ticker: `T${i}`, ...HOUR }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(
      Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? 200 : 503)),
    );
    await until(async () => (await ready(server)).status === 503);
    await postgres.admin.unsafe(`ALTER TABLE ${schemaOf(dbFile)}.away RENAME TO hourly_prices`);
    await until(async () => (await ready(server)).status === 200);
    expect(await server.command("save_stock_data", { ticker: "T1", ...HOUR })).toMatchObject({ status: 200 });
  });

  test("a row that a rule of the user refuses is still the row's fault", async () => {
    const dbFile = await postgres.freshSchema();
    await using server = await startServer({ dbFile });
    await postgres.admin.unsafe(`ALTER TABLE ${schemaOf(dbFile)}.realtime_data ADD CHECK (price < 100)`);
    expect(await saveTrade(server.url, "A", 200)).toMatchObject({
      status: 409,
      body: { error: "save: the database refuses a row of A; nothing of this save was stored" },
    });
    expect(await saveTrade(server.url, "A", 2)).toMatchObject({ status: 200 });
    expect(await ready(server)).toMatchObject({ status: 200 });
  });

  test("rights that were taken away are the server's state", async () => {
    const [dbFile, password] = [await postgres.freshSchema(), "secret"];
    const schema = schemaOf(dbFile);
    await postgres.admin.unsafe(
      `CREATE ROLE desk LOGIN PASSWORD '${password}'; GRANT CREATE, USAGE ON SCHEMA ${schema} TO desk`,
    );
    const url = dbFile.replace("postgres@", `desk:${password}@`);
    await using server = await startServer({ dbFile: url });
    expect((await saveTrade(server.url, "A", 1)).status).toBe(200);
    await postgres.admin.unsafe(
      `ALTER TABLE ${schema}.realtime_data OWNER TO postgres; GRANT SELECT ON ${schema}.realtime_data TO desk`,
    );
    expect(await saveTrade(server.url, "A", 2)).toMatchObject({
      status: 503,
      body: { details: "permission denied for table realtime_data (42501)" },
    });
    expect(await latest(server, "A")).toBe(200);
    await until(async () => (await ready(server)).status === 503);
    expect((await ready(server)).message).toBe(
      "the server's role has no right to read and write realtime_data",
    );
  });
});
