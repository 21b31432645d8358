/**
 * A short soak: a worker and the hub are killed once each under full load, and every subscriber
 * proves that it saw every update once and in order. SOAK=all in the environment adds the other
 * engines, and two servers on every kind of bus.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { type BrokerName, hasBroker, startBroker } from "../../soak/broker.ts";
import { formatSoak } from "../../soak/report.ts";
import { runSoak, type SoakPlan } from "../../soak/soak.ts";
import { usePostgres } from "../support/postgres.ts";
import { tempDir } from "../support/temp-dir.ts";

/** What counts is what happens around a kill: the time between two is most of it. */
const SECONDS = 2.5;
const SUBSCRIBERS = 12;
/** Two servers share a PostgreSQL that has room for 60 connections. */
const POOL = ["--db-pool-size", "6"];
const isWhole = process.env.SOAK === "all";
const whole = test.skipIf(!isWhole);

setDefaultTimeout(240_000);
if (!isWhole) console.log('soak.test.ts: the other engines and buses are skipped, as SOAK is not "all"');

test("SQLite: nothing is lost, repeated or out of order", async () => {
  await expectClean({ kills: ["worker", "hub"] });
});

whole("DuckDB: the same", async () => {
  using dir = tempDir();
  await expectClean({ database: `${dir.path}/soak.duckdb`, kills: ["worker", "hub"] });
});

if (isWhole) {
  const postgres = usePostgres();

  for (const servers of [1, 2]) {
    test(`PostgreSQL, ${servers} servers without a bus: the same`, async () => {
      const database = await postgres.freshSchema();
      await expectClean({ database, servers, flags: POOL, kills: ["worker", "hub"] });
    });
  }

  test("two servers, --bus postgres: the same", async () => {
    const flags = [...POOL, "--bus", "postgres"];
    await expectClean({
      database: await postgres.freshSchema(),
      servers: 2,
      flags,
      kills: ["worker", "hub"],
    });
  });

  for (const name of ["nats", "redis"] satisfies BrokerName[]) {
    if (!hasBroker(name)) console.log(`soak.test.ts: ${name} is skipped, as it isn't installed`);
    test.skipIf(!hasBroker(name))(
      `two servers, --bus ${name}: the same, though it is killed too`,
      async () => {
        await using broker = await startBroker(name);
        const flags = [...POOL, "--bus", broker.url];
        const database = await postgres.freshSchema();
        await expectClean({ database, servers: 2, flags, broker, kills: ["broker", "worker", "hub"] });
      },
    );
  }
}

async function expectClean(plan: Partial<SoakPlan> & Pick<SoakPlan, "kills">): Promise<void> {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  const result = await runSoak(
    {
      ...{ seconds: SECONDS, servers: 1, workers: 2, writers: 3, subscribers: SUBSCRIBERS, seed },
      ...{ flags: [], broker: null },
      ...plan,
    },
    () => undefined,
  );
  if (result.violations.total > 0) console.log(`SEED=${seed}\n${formatSoak(result)}`);
  expect(result.violations.total).toBe(0);
  expect(result.completeAfterMs).not.toBeNull();
  expect(result.kills).toMatchObject({ worker: 1, hub: 1 });
  expect(result.tickers.every(({ updates }) => updates > 0)).toBe(true);
}
