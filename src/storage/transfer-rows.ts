/**
 * What engines that sort by typed keys share when they give rows to a copy: pages, and values that
 * no save could have stored.
 */
import { type Count, TransferRowError } from "./contract.ts";
import { type KindName, kindOf, type RowKind, type SeriesRow } from "./model/kinds.ts";

const NO_FRACTION = ".000000";

const NOT_FINITE = /^-?(inf|infinity|nan)$/i;

interface Paging {
  kind: KindName;
  pageRows: number;
  /**
   * The next page in order of the key: from the first row on, or from that of the given row,
   * inclusive.
   */
  read(from: SeriesRow | null): Promise<SeriesRow[]>;
}

/**
 * Rows in batches, without a snapshot that lasts from one to the next. Each page begins with the
 * row that ended the one before, so that a key which is stored twice is seen on whichever side of
 * the border it lies.
 */
export async function* walkPages({ kind, pageRows, read }: Paging): AsyncGenerator<SeriesRow[]> {
  const { hasSeq } = kindOf(kind);
  const isSameKey = (a: SeriesRow, b: SeriesRow): boolean =>
    a[0] === b[0] && (!hasSeq || a.at(-1) === b.at(-1));
  let last: SeriesRow | null = null;
  for (;;) {
    const page = await read(last);
    const isFull = page.length === pageRows;
    const repeats = last !== null && page[0] !== undefined && isSameKey(page[0], last);
    const rows: SeriesRow[] = repeats ? page.slice(1) : page;
    // The row itself may be changed by whoever takes it.
    last = rows.length === 0 ? null : [...rows.at(-1)!];
    if (rows.length > 0) yield rows;
    if (!isFull || last === null) return;
  }
}

/**
 * A stored stamp in canonical text.
 *
 * @param text `YYYY-MM-DD` of a date, else `YYYY-MM-DD HH:MM:SS.ffffff`.
 * @throws TransferRowError a fraction of a second where the kind has none.
 */
export function storedStamp(text: string, { stamp, label }: RowKind, series: string): string {
  if (stamp.type !== "second") return text;
  if (!text.endsWith(NO_FRACTION))
    throw new TransferRowError(`${series} ${text}: ${label} have no fraction of a second`);
  return text.slice(0, -NO_FRACTION.length);
}

/** @param text as the database writes the number; null without one. @throws TransferRowError */
export function countOf(text: string | null, where: string): Count | null {
  if (text === null || NOT_FINITE.test(text)) return null;
  const digits = text.includes(".") ? text.replace(/\.0+$/, "") : text;
  const number = Number(digits);
  if (!Number.isSafeInteger(number) && /^-?\d{16,19}$/.test(digits)) return digits;
  if (!Number.isNaN(number)) return number;
  throw new TransferRowError(`${where}: a count is ${JSON.stringify(text.slice(0, 40))}, expected a number`);
}

/** @throws TransferRowError */
export function seqOf(value: number | string | bigint, where: string): number {
  const seq = Number(value);
  if (!Number.isSafeInteger(seq))
    throw new TransferRowError(`${where}: seq is ${value}, expected less than 2^53`);
  return seq;
}
