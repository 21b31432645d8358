/**
 * Several hosts of one database: the server finds the one that takes writes, also after a failover.
 * With synchronous replication nothing that was answered is lost.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { SQL } from "bun";
import { CLOSE_RESTART } from "../../src/protocol/codes.ts";
import { saveNumbered, storedNumbers } from "../support/numbered-saves.ts";
import { usePostgres } from "../support/postgres.ts";
import { get } from "../support/requests.ts";
import { runCli } from "../support/run-cli.ts";
import { startServer, waitUntil } from "../support/server.ts";
import { Subscriber } from "../support/subscriber.ts";

setDefaultTimeout(240_000);

const CLIENTS = 6;
const postgres = usePostgres();

test("the primary dies, the standby is promoted: saves go on there, and none that was answered is lost", async () => {
  const schema = await postgres.freshSchema();
  const standby = await postgres.startStandby();
  await postgres.admin.unsafe("ALTER SYSTEM SET synchronous_standby_names = '*'");
  await postgres.admin.unsafe("SELECT pg_reload_conf()");
  // The standby comes first: it takes no writes.
  const hosts = `127.0.0.1:${standby},127.0.0.1:${postgres.port}`;
  const dbFile = schema.replace(`127.0.0.1:${postgres.port}`, hosts);
  await using server = await startServer({ dbFile, workers: 2, flags: ["--bus", "postgres"] });
  expect(server.log()).not.toContain("takes no writes");
  await using subscriber = await Subscriber.open(server.wsUrl, "T0");
  const saves = saveNumbered(server, CLIENTS);
  await waitUntil("saves are answered", () => saves.answered() > 100);

  await postgres.crash();
  await waitUntil("the loss is told", async () => (await get(`${server.url}/ready`)).status === 503);
  await using admin = new SQL(`postgresql://postgres@127.0.0.1:${standby}/postgres`, { max: 1 });
  await admin`SELECT pg_promote()`;
  const before = saves.answered();
  await waitUntil("saves are answered again", () => saves.answered() > before + 100);
  await waitUntil("it is ready again", async () => (await get(`${server.url}/ready`)).status === 200);
  const answered = await saves.stop();
  const stored = await storedNumbers(server, CLIENTS);
  for (const [client, count] of stored.entries()) expect(count).toBeGreaterThanOrEqual(answered[client]!);
  // What was promoted may lack updates that the other one gave, so positions begin anew.
  await waitUntil("its client is told", () => subscriber.closed?.code === CLOSE_RESTART);

  const doctor = await runCli(["doctor", "--db-file", dbFile]);
  expect(doctor.stdout).toContain("takes writes");
});

test("no host takes writes: the start says so, and names what to look at", async () => {
  const nowhere = "postgresql://postgres@127.0.0.1:1,127.0.0.1:2/postgres";
  const { code, stdout } = await runCli(["doctor", "--db-file", nowhere]);
  expect(code).toBe(1);
  expect(stdout).toContain("look at host and port");
});
