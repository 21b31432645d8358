/**
 * Every status of an error and every WebSocket close code that the server sends. docs/commands.md
 * and docs/live-updates.md have their meanings; tests compare them.
 */

export const STATUS = {
  badRequest: 400,
  unauthorized: 401,
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
  wrongUpstream: 502,
  unavailable: 503,
  timeIsUp: 504,
  circle: 508,
} as const;

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
/** An operator has ended the connection. */
export const CLOSE_ENDED = 4010;
/** The key of the client was revoked or has expired, or none is enough any more. */
export const CLOSE_KEY = 4401;
export const KEY_GONE = "the key is not valid any more";
/** RFC 6455, of the reason in a close frame. */
export const CLOSE_REASON_BYTES_MAX = 123;
