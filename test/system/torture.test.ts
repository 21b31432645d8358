/**
 * A short form of the torture and of the fuzz. Latencies are not judged here, as they depend on the
 * machine: `npm run torture` judges them. TORTURE=all in the environment adds a server of one
 * process, and more random input; TORTURE=engines adds all others.
 */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { type EngineDatabases, openDatabases } from "../../bench/engine-databases.ts";
import { cleanUp } from "../../bench/processes.ts";
import { runFuzz } from "../../torture/fuzz/run.ts";
import { torture } from "../../torture/run.ts";
import type { EngineName } from "../support/flags.ts";
import { tempDir } from "../support/temp-dir.ts";

const LEVELS = ["short", "all", "engines"];
const level = Math.max(0, LEVELS.indexOf(process.env.TORTURE ?? "short"));
const isWhole = level > 0;
const STORM_SECONDS = 0.5;
const FUZZ_SECONDS = isWhole ? 30 : 6;
const COMBINATIONS: [engine: EngineName, workers: number, levels: string[]][] = [
  ["sqlite", 3, ["short", "all", "engines"]],
  ["sqlite", 1, ["all", "engines"]],
  ["duckdb", 1, ["engines"]],
  ["postgres", 3, ["engines"]],
];

setDefaultTimeout(900_000);
if (level < LEVELS.length - 1)
  console.log(
    `torture.test.ts: other combinations are skipped, as TORTURE is "${LEVELS[level]}", not "engines"`,
  );

const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const dir = tempDir();

afterAll(async () => {
  await cleanUp();
  dir[Symbol.dispose]();
});

for (const [engine, workers, levels] of COMBINATIONS) {
  test.skipIf(!levels.includes(LEVELS[level]!))(
    `${engine}, --workers ${workers}: every attack is withstood`,
    async () => {
      const databases = await openDatabases(engine, dir.path);
      try {
        const plan = { engine, workers, seconds: STORM_SECONDS, p99Ms: null, seed, only: null };
        const broken = await torture(plan, databases, () => undefined);
        if (broken.length > 0) console.log(`SEED=${seed}`);
        expect(broken).toEqual([]);
      } finally {
        await databases.close();
      }
    },
  );
}

test(`${FUZZ_SECONDS} s of random input do no harm`, async () => {
  const databases: EngineDatabases = await openDatabases("sqlite", dir.path);
  const { results, complaints } = await runFuzz({
    ...{ engine: "sqlite", workers: 2, seconds: FUZZ_SECONDS, seed },
    database: await databases.create("fuzz"),
    runtimeDir: `${dir.path}/run`,
  });
  expect(results.filter(({ harm }) => harm !== null)).toEqual([]);
  expect(complaints).toEqual([]);
  expect(results.every(({ runs }) => runs > 0)).toBe(true);
});
