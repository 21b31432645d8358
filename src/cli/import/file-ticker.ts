/** The ticker of a file by its name. */

/** Endings that are no part of a ticker, innermost last. */
const ENDING =
  /\.(?:csv|tsv|txt|tab|psv|json|jsonl|ndjson|parquet|pq|arrow|arrows|feather|ipc|gz|gzip|zst|zstd|zip)$/i;
const PLACE = "{ticker}";

/** Reads names by a pattern such as `daily-{ticker}.csv`; `*` stands for anything. */
export class TickerPattern {
  readonly text: string;
  readonly #regexp: RegExp | null;

  /** @param text `filename`: the whole name without its ending. */
  constructor(text: string) {
    this.text = text;
    this.#regexp = text === "filename" ? null : regexpOf(text);
  }

  /** @returns null when the name doesn't fit. */
  tickerOf(fileName: string): string | null {
    if (this.#regexp === null) return withoutEnding(fileName) || null;
    const match = this.#regexp.exec(fileName) ?? this.#regexp.exec(withoutPacking(fileName));
    return match?.[1] ?? null;
  }
}

/** @returns why it is no pattern; null when it is one. */
export function faultOfPattern(text: string): string | null {
  if (text === "filename") return null;
  const places = text.split(PLACE).length - 1;
  return places === 1 && !text.includes("/")
    ? null
    : `expected filename, or the name of a file with one ${PLACE} in it`;
}

function regexpOf(text: string): RegExp {
  const escaped = text
    .split(PLACE)
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*?"))
    .join("(.+?)");
  return new RegExp(`^${escaped}$`);
}

function withoutPacking(name: string): string {
  return name.replace(/\.(?:gz|gzip|zst|zstd|zip)$/i, "");
}

function withoutEnding(name: string): string {
  let rest = name;
  while (ENDING.test(rest)) rest = rest.replace(ENDING, "");
  return rest;
}
