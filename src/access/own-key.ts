/** The key that this program sends to a server of which it is a client. */
export const OWN_KEY_VARIABLE = "STOCK_DB_KEY";

/** Empty without a key. */
export function ownKeyHeaders(): Record<string, string> {
  const key = process.env[OWN_KEY_VARIABLE];
  return key === undefined || key === "" ? {} : { Authorization: `Bearer ${key}` };
}
