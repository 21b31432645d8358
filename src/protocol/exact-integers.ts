/** JSON with all digits of its integers. */

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
/**
 * JSON.parse hands a number's own text to the reviver; the types of the language don't know it yet.
 */
type ReviverWithSource = (
  this: unknown,
  key: string,
  value: unknown,
  context: { source?: string },
) => unknown;
type JsonParse = (text: string, reviver: ReviverWithSource) => unknown;

/**
 * JSON.parse, but with a bigint for every integer of 64 bits that a double can't hold. Several
 * times slower: for a text with a run of 16 digits or more, which is what such an integer takes.
 *
 * @throws SyntaxError not JSON.
 */
export function parseExactIntegers(text: string): unknown {
  return parseIntegers(text, (exact, rounded) =>
    exact >= INT64_MIN && exact <= INT64_MAX ? exact : rounded,
  );
}

/** The same with a bigint for integers of any size, such as ids. @throws SyntaxError not JSON. */
export function parseAllIntegers(text: string): unknown {
  return parseIntegers(text, (exact) => exact);
}

function parseIntegers(text: string, chosen: (exact: bigint, rounded: number) => bigint | number): unknown {
  return (JSON.parse as JsonParse)(text, (_key, value, { source }) => {
    if (typeof value !== "number" || Number.isSafeInteger(value) || source === undefined) return value;
    // 9007199254740993.0 and 1e17 are written as doubles.
    return /^-?\d+$/.test(source) ? chosen(BigInt(source), value) : value;
  });
}
