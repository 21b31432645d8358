import { readFileSync } from "node:fs";

/** The key that this program sends to a server of which it is a client. */
export const OWN_KEY_VARIABLE = "STOCK_DB_KEY";

/** Empty without a key. */
export function ownKeyHeaders(): Record<string, string> {
  const key = process.env[OWN_KEY_VARIABLE] || ofFile(process.env[`${OWN_KEY_VARIABLE}_FILE`]);
  return key === undefined || key === "" ? {} : { Authorization: `Bearer ${key}` };
}

/** @throws Error it can't be read. */
function ofFile(path: string | undefined): string | undefined {
  return path ? readFileSync(path, "utf8").trim() : undefined;
}
