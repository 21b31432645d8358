/** A key in the query of a URL: some clients know no other place. */

const NAME = "apikey";
/** Names may be written with escapes. */
const MAY_HOLD_KEY = /apikey|%/i;

/**
 * The query without it, which may be logged and told to others.
 *
 * @param query without its question mark. @returns `key` null: there was none.
 */
export function takeQueryKey(query: string): { query: string; key: string | null } {
  if (query === "" || !MAY_HOLD_KEY.test(query)) return { query, key: null };
  let key: string | null = null;
  const others = query.split("&").filter((part) => {
    const [[name, value] = ["", ""]] = new URLSearchParams(part);
    if (name.toLowerCase() !== NAME) return true;
    key ??= value;
    return false;
  });
  return key === null ? { query, key } : { query: others.join("&"), key };
}
