/** Passwords on the command line are warned of, and shown nowhere. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { exposedSecrets } from "../../src/config/exposed-secrets.ts";
import { parseSettings } from "../../src/config/settings.ts";
import { failingStart } from "../support/failing-start.ts";
import { startServer } from "../support/server.ts";

setDefaultTimeout(120_000);

const SECRET = "hunter2Xyz";

test("a password in --db-file or --bus is warned of", async () => {
  await using upstream = await startServer();
  await using exposed = await startServer({ dbFile: `http://desk:${SECRET}@127.0.0.1:${upstream.port}` });
  await exposed.logged(/\[WARNING\].*--db-file holds a password.*STOCK_DB_DB_FILE/);
  const { output } = await failingStart(["--port", "0", "--bus", `nats://${SECRET}@127.0.0.1:1`]);
  expect(output).toMatch(/WARNING.*--bus holds a password.*STOCK_DB_BUS/);
  for (const text of [exposed.log(), output]) expect(text).not.toContain(SECRET);
});

test("not one in the environment, nor a string without one", () => {
  const url = `postgresql://desk:${SECRET}@db/x`;
  const warnings = (argv: string[], env: Record<string, string>) => exposedSecrets(parseSettings(argv, env));
  expect(warnings([], { STOCK_DB_DB_FILE: url, STOCK_DB_BUS: `nats://${SECRET}@h:1` })).toEqual([]);
  expect(warnings(["--db-file", "postgresql://desk@db/x"], {})).toEqual([]);
  expect(warnings(["--db-file", "postgresql://desk@db/x?search_path=desk&pgbouncer=true"], {})).toEqual([]);
  expect(warnings(["--db-file", "data/x.db", "--bus", "postgres"], {})).toEqual([]);
  expect(warnings(["--db-file", url], {}).length).toBe(1);
});
