/**
 * Rows on their way into DuckDB: one text, a line each, fields between commas; DuckDB's threads
 * take it apart. For 10,000 rows that is three times as fast as JSON, and unlike an appender it
 * doesn't hold up the event loop. Fields are stamps and numbers, so nothing needs quoting; tickers
 * and types, which may be any text, travel in a list beside them, and a line holds the place in
 * that list.
 */
import type { Count } from "../contract.ts";

export type Field = string | number | null;

const DECIMALS_MAX = 18;
const WHOLE = /^-?\d+$/;

/**
 * `r`, a list of texts, for each line of the first parameter, and `n`, the list of names of the
 * second, beside each: a join would take a third longer. A parameter with its type makes planning
 * shorter.
 */
export function linesWithNames(lines: `$${number}`, names: `$${number}`): string {
  return `(SELECT ${listsOf(lines, names)})`;
}

/** The same, and the text of the third parameter as `now` beside each line. */
export function linesWithNamesAndNow(lines: `$${number}`, names: `$${number}`, now: `$${number}`): string {
  return `(SELECT ${listsOf(lines, names)}, ${now}::VARCHAR AS now)`;
}

function listsOf(lines: string, names: string): string {
  return `string_split(unnest(string_split(${lines}::VARCHAR, chr(10))), ',') AS r, from_json(${names}::VARCHAR, '["VARCHAR"]') AS n`;
}

/** `n`, the list of names that the parameter holds. */
export function namesOf(param: `$${number}`): string {
  return `(SELECT from_json(${param}::VARCHAR, '["VARCHAR"]') AS n)`;
}

export function textField(index: number): string {
  return `nullif(r[${index}], '')`;
}

export function toLines(rows: Field[][]): string {
  return rows.map((row) => row.join(",")).join("\n"); // join writes null as nothing
}

/** Places are from 1, as DuckDB counts. */
export class Names {
  readonly #list: string[] = [];
  readonly #places = new Map<string, number>();

  /** The place of the first of the names, which stand side by side. */
  place(...names: string[]): number {
    const key = names.length === 1 ? names[0]! : JSON.stringify(names);
    let place = this.#places.get(key);
    if (place === undefined) {
      place = this.#list.length + 1;
      for (const name of names) this.#list.push(storable(name));
      this.#places.set(key, place);
    }
    return place;
  }

  json(): string {
    return JSON.stringify(this.#list);
  }
}

/** Half of a surrogate pair can't be stored as UTF-8. */
export function storable(text: string): string {
  return text.toWellFormed();
}

/**
 * The one text of a count, which a column of any type reads as it is: an exponent only where 18
 * decimals are not enough.
 */
export function countText(count: Count | null): string | null {
  if (count === null) return null;
  if (typeof count === "string") return String(BigInt(count));
  if (Number.isInteger(count)) return String(Number.isSafeInteger(count) ? count + 0 : BigInt(count));
  const shortest = String(count);
  const plain = shortest.includes("e") ? count.toFixed(DECIMALS_MAX) : shortest;
  return Number(plain) === count ? plain.replace(/(\.\d*?)0+$/, "$1") : shortest;
}

/** The same of a count as DuckDB writes it, whatever the type of its column. */
export function storedCountText(text: string | null): string | null {
  return text === null || WHOLE.test(text) ? text : countText(Number(text));
}
