/**
 * The ticker that one run of `stock-db-server check` saves and removes. Its name can't be guessed:
 * a caller who knows it is that run, and may remove the ticker. No other ticker can be removed.
 */

const PREFIX = "_CHECK_";
const RANDOM_BYTES = 16;
const FORM = new RegExp(`^${PREFIX}[0-9a-f]{${RANDOM_BYTES * 2}}$`);

export const CHECK_TICKER_FORM = `${PREFIX} and ${RANDOM_BYTES * 2} hexadecimal digits`;

export function newCheckTicker(): string {
  return PREFIX + Buffer.from(crypto.getRandomValues(new Uint8Array(RANDOM_BYTES))).toString("hex");
}

export function isCheckTicker(ticker: string): boolean {
  return FORM.test(ticker);
}
