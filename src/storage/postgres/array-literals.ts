/**
 * Writes arrays as parameters in PostgreSQL's notation. Bun.SQL can do it, but needs as much time
 * for it as this process needs for the rest of a save.
 */

/** A text of this form needs no quotes; the word null does. */
const PLAIN = /^(?!null$)[\w.:+-]+$/i;

export function textArray(values: readonly (string | null)[]): string {
  let literal = "{";
  let comma = "";
  for (const value of values) {
    literal += comma + (value === null ? "NULL" : PLAIN.test(value) ? value : quoted(value));
    comma = ",";
  }
  return `${literal}}`;
}

/** Writes numbers, digits, days and stamps, which need no quotes. */
export function plainArray(values: readonly (string | number | null | undefined)[]): string {
  let literal = "{";
  let comma = "";
  for (const value of values) {
    literal += comma + (value ?? "NULL");
    comma = ",";
  }
  return `${literal}}`;
}

function quoted(value: string): string {
  return `"${value.replace(/[\\"]/g, "\\$&")}"`;
}
