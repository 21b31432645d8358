/**
 * Connection strings without their secrets. Only parts that are known to be harmless are shown: in
 * a mistyped string the password may be anywhere.
 */
import { HOST_AND_PORT } from "./upstream-url.ts";

/** host:port:database:user:password; the password may hold colons. */
export const FIVE_PARTS = /^([^:/\s]+:\d{1,5}:[^:]*:[^:]*):(.*)$/s;
export const SCHEME = /^([a-z][a-z0-9+.-]*:)\/\//i;

const HIDDEN = "***";
/** Hosts, with or without a port, then a path. What follows "?" is looked at separately. */
const HOSTS_AND_PATH =
  /^(?:(?:\[[0-9a-f:.]+\]|[^:/?#@\s,=]*)(?::\d{1,5})?(?:,|(?=[/?#]|$)))*(?:\/[^?#:@=]*)?(?:\?.*)?$/is;
/** `name=value`, separated by blanks, "&" or ";"; a value may stand in quotes. */
const PAIRS = /([^=&;\s?]*)=('[^']*'|[^&;\s]*)/g;
const OPEN_PARAMETERS = new Set([
  "host",
  "hostaddr",
  "port",
  "user",
  "dbname",
  "sslmode",
  "application_name",
  "connect_timeout",
  "options",
  "search_path",
  "schema",
  "currentschema",
  "pgbouncer",
  "target_session_attrs",
]);
/** Nothing in it could separate a user from a password. */
const PLAIN = /^[^:@=]*$/;
/** What was meant as a path. */
const PATH = /^(?!.*\/\/)\.{0,2}\/[^@]*\.(db|sqlite3?|duckdb)$/is;

/**
 * A `--db-file` or `--bus` value as logs, errors and /health may show it, with *** for passwords.
 * When its form isn't known, too much is hidden rather than too little.
 */
export function redact(text: string): string {
  if (PLAIN.test(text) || PATH.test(text) || HOST_AND_PORT.test(text)) return text;
  const scheme = SCHEME.exec(text)?.[0] ?? "";
  if (text.slice(scheme.length).replace(FIVE_PARTS, "") === "") {
    return scheme + text.slice(scheme.length).replace(FIVE_PARTS, `$1:${HIDDEN}`);
  }
  if (scheme !== "") return scheme + redactUrl(text.slice(scheme.length));
  if (/^\w+\s*=/.test(text) && !text.includes("@")) return redactPairs(text);
  return `${/^[^:@=]*(?=[:=])/.exec(text)?.[0] ?? ""}${HIDDEN}`;
}

/** For a value of any setting: redacts only what looks like a connection string. */
export function redactIfConnection(text: string): string {
  return /[@=]|\/\/|:.*:/s.test(text) && !/^[[\]0-9a-f:.]*$/i.test(text) ? redact(text) : text;
}

/** Whether the string holds a password or a token, and not only the name of a user. */
export function holdsSecret(text: string): boolean {
  const shown = redact(text);
  if (shown === text) return false;
  return (
    shown.includes(`:${HIDDEN}`) || shown.includes(`=${HIDDEN}`) || /^(https?|nats|tls|rediss?):/i.test(text)
  );
}

/**
 * Hides all up to the last "@", since a careless password may hold an "@" or a "/". A lone user
 * name may be a token.
 */
function redactUrl(rest: string): string {
  const at = rest.lastIndexOf("@");
  const user = rest.slice(0, Math.max(0, at));
  const place = rest.slice(at + 1);
  const colon = user.indexOf(":");
  const name = user.slice(0, colon);
  const isName = colon >= 0 && colon < user.length - 1 && /^[\w.%+-]*$/.test(name);
  const shownUser = at < 0 ? "" : isName ? `${name}:${HIDDEN}@` : `${HIDDEN}@`;
  // These are five parts, with an "@" where a colon belongs.
  if (/^[^:]*:\d{1,5}:/.test(user)) return HIDDEN;
  if (!HOSTS_AND_PATH.test(place)) return `${shownUser}${HIDDEN}`;
  const query = place.indexOf("?");
  return shownUser + (query < 0 ? place : place.slice(0, query) + redactPairs(place.slice(query)));
}

/** Shows only parameters whose names are known, and no text that isn't a parameter. */
function redactPairs(text: string): string {
  const shown = text.replace(PAIRS, (pair, name: string, value: string) =>
    OPEN_PARAMETERS.has(name.toLowerCase()) && !/[=:@]/.test(value) ? pair : `${name}=${HIDDEN}`,
  );
  const rest = text.replace(PAIRS, "").replace(/[?&;\s]/g, "");
  return rest === "" ? shown : `${text.startsWith("?") ? "?" : ""}${HIDDEN}`;
}
