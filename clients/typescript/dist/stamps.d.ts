/** Stamps are texts, so that no microsecond is lost; these read them where numbers are wanted. */
/**
 * Microseconds since 1970 of a stamp as the server writes them; further digits are cut off. Without
 * an offset it is UTC.
 * @throws TypeError It is no stamp.
 */
export declare function toMicroseconds(stamp: string): bigint;
/** The stamp as a `Date`, which has whole milliseconds: the rest is cut off. */
export declare function toDate(stamp: string): Date;
/** A stamp, `2024-01-02T14:30:00.123456Z`, of microseconds since 1970. */
export declare function fromMicroseconds(microseconds: bigint): string;
