/**
 * `npm run torture`: hostile clients against a server that has other clients, on each engine, with one process and with several.
 * See docs/torture.md.
 *
 * Exit code: 0 when everything held, 1 when something didn't, 2 for a wrong flag.
 */
import { openDatabases } from "../bench/engine-databases.ts";
import { cleanUp, cleanUpOnSignals, makeRunFolder } from "../bench/processes.ts";
import { type EngineName, readTortureArguments, TORTURE_HELP, type TortureArguments } from "./arguments.ts";
import type { Attack } from "./attack.ts";
import { ATTACKS } from "./attacks/index.ts";
import { formatAttack, formatEnd } from "./report.ts";
import { attackAlone, besiege } from "./siege.ts";

process.exit(await main(process.argv.slice(2)));

async function main(argv: string[]): Promise<number> {
  let args: TortureArguments | "help" | "list";
  try {
    args = readTortureArguments(argv);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 2;
  }
  if (args === "help") {
    console.log(TORTURE_HELP);
    return 0;
  }
  if (args === "list") {
    for (const { name, about } of ATTACKS) console.log(`${name}: ${about}`);
    return 0;
  }
  cleanUpOnSignals();
  const folder = makeRunFolder(null);
  try {
    let broke = 0;
    for (const engine of args.engines) {
      for (const workers of args.workers) broke += await torture(engine, workers, args, folder);
    }
    console.log(broke === 0 ? "Everything held." : `${broke} attacks or ends broke something.`);
    return broke === 0 ? 0 : 1;
  } finally {
    await cleanUp();
  }
}

/** @returns How many attacks broke something, the end counted as one. */
async function torture(
  engine: EngineName,
  workers: number,
  args: TortureArguments,
  folder: string,
): Promise<number> {
  const { seconds, p99Ms, seed, only } = args;
  console.log(`${engine}, --workers ${workers}, ${seconds} s a storm, --seed ${seed}`);
  const chosen = ATTACKS.filter(
    ({ name, engines, workers: counts }) =>
      (only === null || name.includes(only)) &&
      (engines === undefined || engines.includes(engine)) &&
      (counts === undefined || counts.includes(workers)),
  );
  const databases = await openDatabases(engine, folder);
  await using resources = new AsyncDisposableStack();
  resources.defer(() => databases.close());
  const plan = { engine, workers, seconds, p99Ms, seed };
  let broke = 0;
  const isAlone = ({ ownServer }: Attack) => ownServer !== undefined;
  const together = chosen.filter((attack) => !isAlone(attack));
  if (together.length > 0) {
    const database = await databases.create(`torture-${engine}-${workers}`);
    const result = await besiege({ ...plan, database, attacks: together }, (attack) =>
      console.log(formatAttack(attack)),
    );
    console.log(formatEnd(result));
    broke += result.attacks.filter(({ complaints }) => complaints.length > 0).length;
    if (result.complaints.length > 0) broke++;
  }
  for (const attack of chosen.filter(isAlone)) {
    const database = await databases.create(`torture-${engine}-${workers}-${attack.name}`);
    const result = await attackAlone({ ...plan, database, attacks: [] }, attack);
    console.log(formatAttack(result));
    if (result.complaints.length > 0) broke++;
  }
  return broke;
}
