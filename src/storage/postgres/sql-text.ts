/** Pieces of SQL that several statements share. */

/**
 * A bound of its own kind for a range that has none: whatever a command can store lies between the
 * two.
 */
export const FIRST_DAY = "0001-01-01";
export const LAST_DAY = "9999-12-31";

/**
 * `YYYY-MM-DD HH:MM:SS`, and behind it the digits of a fraction that are not 0, whatever the time
 * zone of the session.
 */
export function utcText(column: string): string {
  return `(${column} AT TIME ZONE 'UTC')::text`;
}

/**
 * A stored stamp without its zone, as a parameter: without one, that of the session would count.
 */
export function asInstant(stamp: string): string {
  return `${stamp}+00`;
}

/** The same for a day, whose instant is its midnight. */
export function dayStart(day: string): string {
  return asInstant(`${day} 00:00:00`);
}

/**
 * `YYYY-MM-DD HH:MM:SS.ffffff`; also of a column without a time zone, which that of the session,
 * UTC, gets.
 */
export function microseconds(column: string): string {
  const text = utcText(`${column}::timestamptz`);
  return `rpad(${text} || CASE WHEN ${text} LIKE '%.%' THEN '' ELSE '.' END, 26, '0')`;
}

/** Of the table `p`. */
export function real(column: string): string {
  return `p.${column}::double precision AS ${column}`;
}

/**
 * A text as a constant of a statement that takes no parameters. It is PostgreSQL's own word, never
 * a client's.
 */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A name as PostgreSQL takes it, whatever is in it. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
