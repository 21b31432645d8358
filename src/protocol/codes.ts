/**
 * Every HTTP status and every WebSocket close code that the server sends. A test compares them with
 * docs/commands.md, docs/live-updates.md and the numbers in the code.
 */

export const STATUS = {
  badRequest: 400,
  forbidden: 403,
  notFound: 404,
  methodNotAllowed: 405,
  conflict: 409,
  tooLarge: 413,
  wrongMediaType: 415,
  upgradeRequired: 426,
  tooMany: 429,
  clientGone: 499,
  ownFault: 500,
  notSupported: 501,
  wrongUpstream: 502,
  unavailable: 503,
  timeIsUp: 504,
  circle: 508,
} as const;

/** As docs/commands.md lists them. */
export const STATUS_REASONS: Record<(typeof STATUS)[keyof typeof STATUS], string> = {
  400: "The request can't be understood or carried out; the same one will fail again.",
  403: "A setting, or the web page that sent it, doesn't allow it.",
  404: "There is no such path.",
  405: "The path takes other methods, see `Allow`.",
  409: "A row is there already, or breaks a rule of the database.",
  413: "The body is larger than `--max-body-mb`.",
  415: "The body's type, charset or encoding isn't taken.",
  426: "The path takes a WebSocket handshake.",
  429: "One client address has too much under way; come back after `Retry-After`.",
  499: "In the access log only: the client left before its answer.",
  500: "A mistake of the server; its log has the cause.",
  501: "A command of the Python server that isn't there.",
  502: "The upstream, or a proxy before it, gave a wrong answer.",
  503: "Something is away or full; come back after `Retry-After`, if there is one.",
  504: "The time for it is up.",
  508: "Servers lead to each other in a circle.",
};

/** RFC 6455; those from 4000 on are this server's own. */
export const CLOSE_NORMAL = 1000;
export const CLOSE_GOING_AWAY = 1001;
/** "Policy violation": the client sends more than it may. */
export const CLOSE_POLICY = 1008;
/** The server met what it didn't expect. */
export const CLOSE_FAILED = 1011;
/** "Service restart": the client should connect again. */
export const CLOSE_RESTART = 1012;
/** "Try again later". */
export const CLOSE_TRY_LATER = 1013;
export const CLOSE_SLOW = 4008;
/** RFC 6455, of the reason in a close frame. */
export const CLOSE_REASON_BYTES_MAX = 123;
