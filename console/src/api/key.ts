/**
 * The key of whoever looks at the page. It is kept for this tab alone, until it is closed, and is
 * sent in headers and in the first message of a WebSocket: never in a URL, which gets logged.
 */
import { signal } from "@preact/signals";

const KEPT_AS = "stock-db.key";

export const key = signal<string | null>(sessionStorage.getItem(KEPT_AS));

/** Why somebody has to sign in, as the server tells it; null: nobody has to now. */
export const signInReason = signal<string | null>(null);

/** The server has asked for a key: without keys, nobody has to be shown a way to sign in. */
export const needsKey = signal(false);

/** Counts up with each other key: what was read with the one before counts no more. */
export const session = signal(0);

/** @param given null: sign out. */
export function setKey(given: string | null): void {
  if (given === null) sessionStorage.removeItem(KEPT_AS);
  else sessionStorage.setItem(KEPT_AS, given);
  key.value = given;
  session.value++;
}

/** The server didn't take the key, or there was none. */
export function askForKey(reason: string): void {
  needsKey.value = true;
  if (signInReason.peek() === null) signInReason.value = reason;
}
