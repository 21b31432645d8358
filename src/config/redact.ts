/** Connection strings without their secrets, and the forms by which the secrets are found. */

/** host:port:database:user:password; the password may hold colons. */
export const FIVE_PARTS = /^([^:/\s]+:\d{1,5}:[^:]*:[^:]*):(.*)$/s;
export const SCHEME = /^([a-z][a-z0-9+.-]*:)\/\//i;

/** Names of connection parameters whose values are secret, in `?name=value` and `name=value` forms. */
const SECRET_PARAMETERS =
  /((?:^|[?&;\s])(?:password|passwd|pass|pwd|sslpassword|token|auth_?token|secret|api_?key)\s*=\s*)('[^']*'|[^&;\s]*)/gi;

/**
 * A `--db-file` value as logs, errors and /health may show it: passwords replaced by ***. Where a password holds
 * characters that a URL should not, more is hidden rather than less.
 */
export function redact(dbFile: string): string {
  const scheme = SCHEME.exec(dbFile)?.[0] ?? "";
  const shown = scheme === "" ? dbFile : redactUserInfo(dbFile);
  const rest = shown.slice(scheme.length).replace(FIVE_PARTS, "$1:***");
  return scheme + rest.replace(SECRET_PARAMETERS, "$1***");
}

/** Up to the last "@", since a careless password may hold one, or a "/". Over HTTP and NATS a lone user name is usually a token. */
function redactUserInfo(url: string): string {
  const start = url.indexOf("//") + 2;
  const end = url.lastIndexOf("@");
  if (end < start) return url;
  const colon = url.indexOf(":", start);
  if (colon >= 0 && colon < end) return `${url.slice(0, colon)}:***${url.slice(end)}`;
  return /^(https?|nats|tls):/i.test(url) ? `${url.slice(0, start)}***${url.slice(end)}` : url;
}
