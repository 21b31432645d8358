/** JSON whose whole numbers keep all digits, as `bigint` where a number can't hold them. */
const MANY_DIGITS = /\d{16}/;
const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;
const WHOLE = /^-?\d+$/;
/** Before the digits of a number, in a string that nobody else writes. */
const MARK = "\u0000whole:";
const MARKED = /"\\u0000whole:(-?\d+)"/g;
export function parseExact(text) {
    if (!MANY_DIGITS.test(text))
        return JSON.parse(text);
    const marked = text.replace(TOKENS, (token) => WHOLE.test(token) && !Number.isSafeInteger(Number(token)) ? `"\\u0000whole:${token}"` : token);
    return JSON.parse(marked, (_, value) => typeof value === "string" && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value);
}
/**
 * `bigint` becomes a number, `Date` its ISO form, NaN null.
 * @throws TypeError Of an infinite number, of which JSON has none.
 */
export function stringifyExact(value) {
    let hasMarks = false;
    const text = JSON.stringify(value, (name, of) => {
        if (typeof of === "bigint") {
            hasMarks = true;
            return MARK + of;
        }
        if (of === Number.POSITIVE_INFINITY || of === Number.NEGATIVE_INFINITY)
            throw new TypeError(`${name}: got ${of}, expected a finite number`);
        return of;
    });
    return hasMarks ? text.replace(MARKED, "$1") : text;
}
