/**
 * Counts rows and sums their hashes, in any order. Sums can be added, which separates the rows that
 * only the destination has from the copied ones.
 */
import type { KindName, SeriesRow } from "../../storage/model/kinds.ts";

export class RowSum {
  rows = 0;
  readonly #kind: KindName;
  #checksum = 0n;

  constructor(kind: KindName) {
    this.#kind = kind;
  }

  /** @param row in canonical form. */
  add(row: SeriesRow): void {
    this.rows++;
    this.#checksum += Bun.hash.xxHash64(sumText(this.#kind, row));
  }

  /** One row counts in the place of another. */
  exchange(row: SeriesRow, other: SeriesRow): void {
    this.#checksum +=
      Bun.hash.xxHash64(sumText(this.#kind, other)) - Bun.hash.xxHash64(sumText(this.#kind, row));
  }

  plus(other: RowSum): RowSum {
    const sum = new RowSum(this.#kind);
    sum.rows = this.rows + other.rows;
    sum.#checksum = this.#checksum + other.#checksum;
    return sum;
  }

  equals(other: RowSum): boolean {
    return this.rows === other.rows && this.checksum === other.checksum;
  }

  /** The sum of the rows' xxHash64 modulo 2^64, in 16 hexadecimal digits. */
  get checksum(): string {
    return BigInt.asUintN(64, this.#checksum).toString(16).padStart(16, "0");
  }
}

/**
 * JSON gives each double its shortest exact decimals. The number that a tick has within its stamp
 * tells in which order ticks have come, not which one it is.
 */
export function sumText(kind: KindName, row: SeriesRow): string {
  const text = JSON.stringify(row);
  return kind === "ticks" ? `${text.slice(0, text.lastIndexOf(","))}]` : text;
}
