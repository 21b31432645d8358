/** Alpaca's ids of trades are integers, those of this server are any text. */

const INTEGER = /^(0|[1-9]\d{0,19})$/;
const UINT64_MAX = 2n ** 64n - 1n;
/** A double holds such an integer, so that no client rounds it. */
const HASH_BITS = 53;

/**
 * An integer of up to 64 bits stays what it is. Of another id it is the lower 53 bits of its
 * xxHash64 in UTF-8: the same number always and everywhere, though two ids may share one.
 */
export function numericId(id: string): number | bigint {
  if (INTEGER.test(id)) {
    const number = Number(id);
    if (Number.isSafeInteger(number)) return number;
    const exact = BigInt(id);
    if (exact <= UINT64_MAX) return exact;
  }
  return Number(BigInt.asUintN(HASH_BITS, Bun.hash.xxHash64(id)));
}
