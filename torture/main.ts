/**
 * `npm run torture`: hostile clients against a server that has other clients, on each engine, with
 * one process and with several. See docs/torture.md.
 *
 * Exit code: 0 when everything held, 1 when something didn't, 2 for a wrong flag.
 */
import { openDatabases } from "../bench/engine-databases.ts";
import { cleanUp, cleanUpOnSignals, makeRunFolder } from "../bench/processes.ts";
import { readTortureArguments, TORTURE_HELP, type TortureArguments } from "./arguments.ts";
import { ATTACKS } from "./attacks/index.ts";
import { torture } from "./run.ts";

process.exit(await main(process.argv.slice(2)));

async function main(argv: string[]): Promise<number> {
  let args: TortureArguments | "help" | "list";
  try {
    args = readTortureArguments(argv);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 2;
  }
  if (args === "help" || args === "list") {
    if (args === "help") console.log(TORTURE_HELP);
    else for (const { name, about } of ATTACKS) console.log(`${name}: ${about}`);
    return 0;
  }
  cleanUpOnSignals();
  const folder = makeRunFolder(null);
  try {
    const broken = await tortureAll(args, folder);
    console.log(broken === 0 ? "Everything held." : `${broken} attacks or ends broke something.`);
    return broken === 0 ? 0 : 1;
  } finally {
    await cleanUp();
  }
}

/** @returns How many attacks broke something; the end of a combination counts as one. */
async function tortureAll(
  { engines, workers: counts, ...rest }: TortureArguments,
  folder: string,
): Promise<number> {
  let broken = 0;
  for (const engine of engines) {
    const databases = await openDatabases(engine, folder);
    try {
      for (const workers of counts) {
        console.log(`${engine}, --workers ${workers}, ${rest.seconds} s a storm, --seed ${rest.seed}`);
        broken += (await torture({ ...rest, engine, workers }, databases, console.log)).length;
      }
    } finally {
      await databases.close();
    }
  }
  return broken;
}
