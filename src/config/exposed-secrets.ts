/** Passwords on the command line: every user of the machine can read them with `ps`. */
import { holdsSecret } from "./redact.ts";
import { DECLARATIONS, environmentName } from "./setting-table.ts";
import type { ParsedSettings } from "./settings.ts";

/** @returns A warning for each; it doesn't hold the password. */
export function exposedSecrets({
  settings,
  sources,
}: Pick<ParsedSettings, "settings" | "sources">): string[] {
  const warnings: string[] = [];
  for (const name of ["dbFile", "bus", "readReplicas"] as const) {
    const { flag } = DECLARATIONS[name];
    const value = settings[name] ?? [];
    if (sources[name] !== flag || ![value].flat().some(holdsSecret)) continue;
    warnings.push(
      `${flag} holds a password, which every user of this machine can see in the list of processes: give it as ${environmentName(name)} instead`,
    );
  }
  return warnings;
}
