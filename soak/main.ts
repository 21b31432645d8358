/**
 * `npm run soak`: writers at full speed, subscribers that come and go, and kills at random; then a
 * proof that every subscriber saw every update of its tickers once and in order. See docs/soak.md.
 *
 * Exit code: 0 when that holds, 1 when it doesn't, 2 for a wrong flag.
 */
import { openDatabases } from "../bench/engine-databases.ts";
import { cleanUp, cleanUpOnSignals, makeRunFolder } from "../bench/processes.ts";
import type { EngineName } from "../test/support/flags.ts";
import { readSoakArguments, SOAK_HELP, type SoakArguments } from "./arguments.ts";
import { type Broker, startBroker } from "./broker.ts";
import type { ClientLanguage } from "./client-programs.ts";
import { formatClientSoak, runClientSoak } from "./clients.ts";
import { formatSoak } from "./report.ts";
import { runSoak } from "./soak.ts";

process.exit(await main(process.argv.slice(2)));

async function main(argv: string[]): Promise<number> {
  let args: SoakArguments | "help";
  try {
    args = readSoakArguments(argv);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 2;
  }
  if (args === "help") {
    console.log(SOAK_HELP);
    return 0;
  }
  cleanUpOnSignals();
  if (args.languages.length > 0) {
    let isGood = true;
    for (const language of args.languages) isGood = (await soakClient(language, args)) && isGood;
    return isGood ? 0 : 1;
  }
  const folder = makeRunFolder(null);
  try {
    let isGood = true;
    for (const engine of args.engines) isGood = (await tryEngine(engine, args, folder)) && isGood;
    return isGood ? 0 : 1;
  } finally {
    await cleanUp();
  }
}

/** @returns whether each bot told every trade once and in order. */
async function soakClient(language: ClientLanguage, args: SoakArguments): Promise<boolean> {
  const { seconds, workers, subscribers, seed } = args;
  console.log(
    `${language}: a feed and ${subscribers} bots, ${workers} workers, ${seconds} s, --seed ${seed}`,
  );
  try {
    const result = await runClientSoak({ language, seconds, workers, bots: subscribers, seed });
    const { text, isGood } = formatClientSoak(result);
    console.log(text);
    return isGood;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return false;
  }
}

/** An engine that can't be had here is a failure; the others still have their turn. */
async function tryEngine(engine: EngineName, args: SoakArguments, folder: string): Promise<boolean> {
  try {
    return await soakEngine(engine, args, folder);
  } catch (error) {
    console.error(`${engine}: ${error instanceof Error ? error.message : String(error)}\n`);
    return false;
  }
}

/** @returns whether all was seen once and in order. */
async function soakEngine(engine: EngineName, args: SoakArguments, folder: string): Promise<boolean> {
  const { seconds, servers, workers, writers, subscribers, seed, bus } = args;
  console.log(
    `${engine}, ${servers} x ${workers} workers, bus ${bus}, ${writers} writers, ${subscribers} subscribers, ` +
      `${seconds} s, --seed ${seed}`,
  );
  const databases = await openDatabases(engine, folder);
  await using resources = new AsyncDisposableStack();
  resources.defer(() => databases.close());
  const broker = bus === "nats" || bus === "redis" ? resources.use(await startBroker(bus)) : null;
  const result = await runSoak(
    {
      ...{ seconds, servers, workers, writers, subscribers, seed },
      broker,
      flags: flagsFor(engine, bus, broker),
      database: await databases.create(`soak-${engine}`),
      kills: args.kills ? "random" : [],
    },
    console.log,
  );
  console.log(`${formatSoak(result)}\n`);
  const isGood = result.violations.total === 0 && result.completeAfterMs !== null;
  if (!isGood) for (const warnings of result.warnings) console.log(`${warnings}\n`);
  return isGood;
}

function flagsFor(engine: EngineName, bus: SoakArguments["bus"], broker: Broker | null): string[] {
  // A PostgreSQL has room for 60 connections.
  const pool = engine === "postgres" ? ["--db-pool-size", "6"] : [];
  return bus === "none" ? pool : [...pool, "--bus", broker?.url ?? bus];
}
