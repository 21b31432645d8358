/**
 * All attacks of one combination of engine and number of processes: those that share a server, then
 * those with a server of their own.
 */
import type { EngineDatabases } from "../bench/engine-databases.ts";
import type { EngineName } from "../test/support/flags.ts";
import type { TortureArguments } from "./arguments.ts";
import { ATTACKS } from "./attacks/index.ts";
import { formatAttack, formatEnd } from "./report.ts";
import { attackAlone, besiege } from "./siege.ts";

export interface Combination extends Pick<TortureArguments, "seconds" | "p99Ms" | "seed" | "only"> {
  engine: EngineName;
  workers: number;
}

/**
 * @param print gets a line for each attack, and what was wrong below it.
 * @returns What broke; empty: all held.
 */
export async function torture(
  { only, ...combination }: Combination,
  databases: Pick<EngineDatabases, "create">,
  print: (lines: string) => void,
): Promise<string[]> {
  const { engine, workers } = combination;
  const chosen = ATTACKS.filter(
    ({ name, engines, workers: counts }) =>
      (only === null || name.includes(only)) &&
      (engines === undefined || engines.includes(engine)) &&
      (counts === undefined || counts.includes(workers)),
  );
  const broken: string[] = [];
  const note = (lines: string, complaints: readonly string[]): void => {
    print(lines);
    if (complaints.length > 0) broken.push(lines);
  };
  const together = chosen.filter(({ ownServer }) => ownServer === undefined);
  if (together.length > 0) {
    const database = await databases.create(`torture-${engine}-${workers}`);
    const result = await besiege({ ...combination, database, attacks: together }, (attack) =>
      note(formatAttack(attack), attack.complaints),
    );
    note(formatEnd(result), result.complaints);
  }
  for (const attack of chosen.filter(({ ownServer }) => ownServer !== undefined)) {
    const database = await databases.create(`torture-${engine}-${workers}-${attack.name}`);
    const result = await attackAlone({ ...combination, database, attacks: [] }, attack);
    note(formatAttack(result), result.complaints);
  }
  return broken;
}
