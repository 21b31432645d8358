/** Stamps are texts, so that no microsecond is lost; these read them where numbers are wanted. */
const FORM = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?(Z|[+-]\d{2}:?\d{2})?$/;
/**
 * Microseconds since 1970 of a stamp as the server writes them; further digits are cut off. Without
 * an offset it is UTC.
 * @throws TypeError It is no stamp.
 */
export function toMicroseconds(stamp) {
    const [, date, minute = "00:00", second = "00", fraction = "", offset = "Z"] = FORM.exec(stamp) ?? [];
    const ms = Date.parse(`${date}T${minute}:${second}${/^[+-]\d{4}$/.test(offset) ? `${offset.slice(0, 3)}:${offset.slice(3)}` : offset}`);
    if (Number.isNaN(ms))
        throw new TypeError(`got ${stamp}, expected ISO 8601 such as 2024-01-02T14:30:00.123456Z`);
    return BigInt(ms) * 1000n + BigInt(fraction.slice(0, 6).padEnd(6, "0"));
}
/** The stamp as a `Date`, which has whole milliseconds: the rest is cut off. */
export function toDate(stamp) {
    return new Date(Number(toMicroseconds(stamp) / 1000n));
}
/** A stamp, `2024-01-02T14:30:00.123456Z`, of microseconds since 1970. */
export function fromMicroseconds(microseconds) {
    const below = ((microseconds % 1000n) + 1000n) % 1000n;
    const ms = Number((microseconds - below) / 1000n);
    return `${new Date(ms).toISOString().slice(0, -1)}${String(below).padStart(3, "0")}Z`;
}
