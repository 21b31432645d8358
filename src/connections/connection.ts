/**
 * What is open at a server: who is at the other end, what it asks for, how far behind it is. A
 * connection keeps its `Arrival`; all else is gathered when somebody asks.
 */

/** Of a WebSocket, a stream, or a request that takes long. */
export interface Arrival {
  /** From 1, in this worker; no other connection of it ever has the same. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** Of the peer: behind a proxy, the proxy's. Null through a Unix socket. */
  readonly port: number | null;
  readonly userAgent: string | null;
}

export const CONNECTION_KINDS = ["websocket", "alpaca", "stream", "replay", "sql", "request"] as const;
type ConnectionKind = (typeof CONNECTION_KINDS)[number];

/** Of a client of live updates. */
export interface ClientFigures {
  subscriptions: number;
  /** What becomes of updates when too many wait. */
  policy: string;
  /** Updates that wait, with those that were folded or left out. */
  queue: number;
  /** Those beside the socket's buffer. */
  queueBytes: number;
  /** Milliseconds that the next of them has waited; 0: none waits. */
  waitedMs: number;
  /** Since it has come. */
  folded: number;
  gaps: number;
}

/** What is open, as its owner hands it out. */
export interface OpenConnection {
  readonly arrival: Arrival;
  readonly kind: ConnectionKind;
  readonly path: string;
  /** Name of the key; "-" where none is needed; null: it hasn't said yet who it is. */
  readonly key: string | null;
  readonly address: string;
  /** Seconds and bytes, by which a list is sorted. Takes no longer where there are more tickers. */
  rank(): { lagS: number; queueBytes: number };
  /** What is shown beside that. */
  details(): Record<string, unknown>;
  /** @param reason for the client. */
  end(reason: string): void;
}

export interface ConnectionSource {
  connections(): Iterable<OpenConnection>;
}

/** As it is listed. */
export interface ListedConnection {
  id: string;
  worker: number;
  kind: ConnectionKind;
  path: string;
  key: string | null;
  address: string;
  port: number | null;
  user_agent: string | null;
  /** ISO 8601, UTC. */
  since: string;
  lag_s: number;
  queue_bytes: number;
  [detail: string]: unknown;
}

export type Rank = Pick<ListedConnection, "kind" | "lag_s" | "queue_bytes" | "since">;

/** The longest lag, then the most bytes; of the rest what runs, and then the oldest. */
export function worstFirst(a: Rank, b: Rank): number {
  const behind = b.lag_s - a.lag_s || b.queue_bytes - a.queue_bytes;
  return behind || Number(runs(b)) - Number(runs(a)) || (a.since < b.since ? -1 : 1);
}

function runs({ kind }: Rank): boolean {
  return kind === "sql" || kind === "request";
}

export interface ConnectionQuestion {
  /** So many at the most, those that are most behind. */
  limit: number;
  kind: ConnectionKind | null;
  key: string | null;
  address: string | null;
}

/** Of one worker. */
export interface WorkerConnections {
  worker: { worker: number; pid: number; connections: number; [figure: string]: unknown };
  /** All that the question means; more than `connections` has. */
  matching: number;
  connections: ListedConnection[];
}

/** A connection that was ended. */
export type EndedConnection = Pick<ListedConnection, "id" | "worker" | "kind" | "key" | "address">;
