/**
 * Counts rows and sums their hashes, in any order. Sums can be added, which separates the rows that
 * only the destination has from the copied ones.
 */
import type { SeriesRow } from "../../storage/model/kinds.ts";

export class RowSum {
  rows = 0;
  #checksum = 0n;

  /** @param row in canonical form. JSON gives each double its shortest exact decimals. */
  add(row: SeriesRow): void {
    this.rows++;
    this.#checksum += Bun.hash.xxHash64(JSON.stringify(row));
  }

  plus(other: RowSum): RowSum {
    const sum = new RowSum();
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
