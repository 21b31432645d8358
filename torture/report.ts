/** What the torture found, as text. */
import type { AttackResult, SiegeResult } from "./siege.ts";

const NAME_WIDTH = 26;

/** One line for an attack, and what was wrong below it. */
export function formatAttack({ attack, complaints, window, peakMb }: AttackResult): string {
  const cells = [
    complaints.length === 0 ? "held " : "BROKE",
    attack.name.padEnd(NAME_WIDTH),
    window === null
      ? "a server of its own"
      : `p50 ${ms(window.requests.p50)} p99 ${ms(window.requests.p99)} worst ${ms(window.requests.worst)}` +
        ` of ${window.requests.count}; SELECT 1 ${ms(window.sql.worst)}; ${peakMb} MB`,
    attack.mayDelay === undefined ? "" : `(${attack.mayDelay})`,
  ];
  return [cells.join("  ").trimEnd(), ...complaints.map((what) => `         ${what}`)].join("\n");
}

export function formatEnd({ complaints, answeredSaves, updatesSeen }: SiegeResult): string {
  const seen = `${answeredSaves} saves of others answered, ${updatesSeen} updates seen by their subscribers`;
  if (complaints.length === 0) return `held   ${seen}: nothing lost, everything as before\n`;
  return [`BROKE  ${seen}`, ...complaints.map((what) => `         ${what}`), ""].join("\n");
}

function ms(value: number): string {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}
