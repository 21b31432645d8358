/**
 * Count and checksum of rows, in whatever order they come. Sums can be added, which tells rows that
 * only the destination has from those that were copied.
 */
import type { SeriesRow } from "../../storage/model/kinds.ts";

export class RowSum {
  rows = 0;
  #checksum = 0n;

  /**
   * @param row in canonical form; as JSON it has the shortest decimals that give each double again.
   */
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

  /** 16 hexadecimal digits: the sum of the rows' xxHash64, modulo 2^64. */
  get checksum(): string {
    return BigInt.asUintN(64, this.#checksum).toString(16).padStart(16, "0");
  }
}
