/** Statements that have run, newest first, as this browser keeps them. */
const STORAGE_KEY = "stock-db.statements";
const STATEMENTS_MAX = 50;
/** Longer ones are not kept: the browser has a few megabytes for all. */
const CHARACTERS_MAX = 20_000;

export function pastStatements(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((each): each is string => typeof each === "string") : [];
  } catch {
    return [];
  }
}

/** @returns all of them. */
export function keepStatement(text: string): string[] {
  const others = pastStatements().filter((each) => each !== text);
  const all = text.length > CHARACTERS_MAX ? others : [text, ...others].slice(0, STATEMENTS_MAX);
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(all));
  } catch {
    // A browser that keeps nothing still runs statements.
  }
  return all;
}

export function forgetStatements(): void {
  localStorage.removeItem(STORAGE_KEY);
}
