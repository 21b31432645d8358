/** JSON whose whole numbers keep all digits, as `bigint` where a number can't hold them. */
export declare function parseExact(text: string): unknown;
/**
 * `bigint` becomes a number, `Date` its ISO form, NaN null.
 * @throws TypeError Of an infinite number, of which JSON has none.
 */
export declare function stringifyExact(value: unknown): string;
