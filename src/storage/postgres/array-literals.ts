/**
 * Arrays as parameters, in PostgreSQL's own notation. Bun.SQL would write them too, but takes as
 * long for it as everything else that this process does for a save together.
 */

/** What needs no quotes; the word null does. */
const PLAIN = /^(?!null$)[\w.:+-]+$/i;

/** Of any text. */
export function textArray(values: readonly string[]): string {
  let literal = "{";
  let comma = "";
  for (const value of values) {
    literal += comma + (PLAIN.test(value) ? value : quoted(value));
    comma = ",";
  }
  return `${literal}}`;
}

/** Of numbers, digits, days and stamps, which need no quotes. */
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
