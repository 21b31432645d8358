/**
 * `npm run fuzz`: random input of every kind against a server; the same seed sends the same. See
 * docs/torture.md.
 *
 * Exit code: 0 when nothing did harm, 1 when something did, 2 for a wrong flag.
 */
import { join } from "node:path";
import { openDatabases } from "../../bench/engine-databases.ts";
import { cleanUp, cleanUpOnSignals, makeRunFolder } from "../../bench/processes.ts";
import { FUZZ_HELP, type FuzzArguments, readFuzzArguments } from "./arguments.ts";
import { runFuzz } from "./run.ts";

process.exit(await main(process.argv.slice(2)));

async function main(argv: string[]): Promise<number> {
  let args: FuzzArguments | "help";
  try {
    args = readFuzzArguments(argv);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 2;
  }
  if (args === "help") {
    console.log(FUZZ_HELP);
    return 0;
  }
  cleanUpOnSignals();
  const folder = makeRunFolder(null);
  const databases = await openDatabases(args.engine, folder);
  try {
    console.log(`${args.engine}, --workers ${args.workers}, ${args.seconds} s, --seed ${args.seed}`);
    const database = await databases.create("fuzz");
    const runtimeDir = join(folder, "run");
    const { results, complaints } = await runFuzz({ ...args, database, runtimeDir }, ({ name, runs, harm }) =>
      console.log(
        harm === null ? `held   ${name}: ${runs} inputs` : `BROKE  ${name} after ${runs} inputs: ${harm}`,
      ),
    );
    for (const what of complaints) console.log(`BROKE  ${what}`);
    return complaints.length === 0 && results.every(({ harm }) => harm === null) ? 0 : 1;
  } finally {
    await databases.close();
    await cleanUp();
  }
}
