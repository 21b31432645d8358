/** Values of the flags of bench, soak, torture and fuzz. Each error is a sentence for the user. */

export const ENGINES = ["sqlite", "duckdb", "postgres"] as const;
export type EngineName = (typeof ENGINES)[number];

/** @throws Error It is none of the words. */
export function readWord<Word extends string>(flag: string, text: string, words: readonly Word[]): Word {
  const word = words.find((known) => known === text);
  if (word === undefined) throw new Error(`${flag} ${text}: expected one of ${words.join(", ")}`);
  return word;
}

/** @throws Error It is no whole number within the bounds. */
export function readCount(flag: string, text: string, { min, max }: { min: number; max: number }): number {
  const value = Number(text);
  if (!(Number.isInteger(value) && value >= min && value <= max))
    throw new Error(`${flag} ${text}: expected a whole number from ${min} to ${max}`);
  return value;
}
