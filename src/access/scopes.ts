/** What a key may do. */

export const SCOPES = ["read", "write", "sql", "sql:write", "stream", "metrics", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

/** One sentence each, for help and documentation. */
export const SCOPE_MEANINGS: Record<Scope, string> = {
  read: "answers of stored data",
  write: "saves, deletions, renamed tickers and roll-ups",
  sql: "statements that only read",
  "sql:write": "statements that also change rows and own tables, and so those of sql",
  stream: "live updates and replays over WebSockets and server-sent events",
  metrics: "figures of the server under /stats",
  admin: "everything",
};

const IMPLIED: Partial<Record<Scope, readonly Scope[]>> = { "sql:write": ["sql"], admin: SCOPES };

/** With those that they imply. */
export function wholeScopes(scopes: readonly Scope[]): ReadonlySet<Scope> {
  return new Set(scopes.flatMap((scope) => [scope, ...(IMPLIED[scope] ?? [])]));
}

export function isScope(text: unknown): text is Scope {
  return SCOPES.includes(text as Scope);
}
