/** The connections of this worker: a list when somebody asks, and the end of one. */
import { randomBytes } from "node:crypto";
import { turn } from "../time/pauses.ts";
import {
  type ConnectionQuestion,
  type ConnectionSource,
  type EndedConnection,
  type ListedConnection,
  type OpenConnection,
  type Rank,
  type WorkerConnections,
  worstFirst,
} from "./connection.ts";

/** A list is made in stretches of so long, between which others have their turn. */
const STRETCH_MS = 4;

export interface OpenConnectionsOptions {
  worker: number;
  sources: readonly ConnectionSource[];
  /** Figures of the worker. */
  figures(): Record<string, unknown>;
}

interface Ranked extends Rank {
  open: OpenConnection;
}

export class OpenConnections {
  readonly #options: OpenConnectionsOptions;
  /** Makes ids unique over workers, and over all that ever had this one's number. */
  readonly #prefix = `${randomBytes(6).toString("hex")}-`;

  constructor(options: OpenConnectionsOptions) {
    this.#options = options;
  }

  /** Those that are most behind first. */
  async list(question: ConnectionQuestion): Promise<WorkerConnections> {
    const stretch = new Stretch();
    const ranked: Ranked[] = [];
    let connections = 0;
    for (const open of this.#all()) {
      if (stretch.isOver) await stretch.next();
      connections++;
      if (isMeant(open, question)) ranked.push({ open, ...rankOf(open) });
    }
    const listed: ListedConnection[] = [];
    for (const one of ranked.sort(worstFirst).slice(0, question.limit)) {
      if (stretch.isOver) await stretch.next();
      listed.push(this.#shown(one));
    }
    const { worker, figures } = this.#options;
    return {
      worker: { worker, pid: process.pid, connections, ...figures() },
      matching: ranked.length,
      connections: listed,
    };
  }

  /** Null: this worker has none of that id. */
  end(id: string, reason: string): EndedConnection | null {
    if (!id.startsWith(this.#prefix)) return null;
    for (const open of this.#all()) {
      if (this.#idOf(open) !== id) continue;
      const { kind, key, address } = open;
      open.end(reason);
      return { id, worker: this.#options.worker, kind, key, address };
    }
    return null;
  }

  *#all(): Iterable<OpenConnection> {
    for (const source of this.#options.sources) yield* source.connections();
  }

  #idOf({ arrival }: OpenConnection): string {
    return this.#prefix + arrival.number.toString(36);
  }

  #shown({ open, kind, lag_s, queue_bytes, since }: Ranked): ListedConnection {
    const { path, key, address, arrival } = open;
    return {
      id: this.#idOf(open),
      worker: this.#options.worker,
      kind,
      path,
      key,
      address,
      port: arrival.port,
      user_agent: arrival.userAgent,
      ...{ since, lag_s, queue_bytes },
      ...open.details(),
    };
  }
}

function rankOf({ kind, arrival, rank }: OpenConnection): Rank {
  const { lagS, queueBytes } = rank();
  return {
    kind,
    lag_s: Math.round(lagS * 1_000) / 1_000,
    queue_bytes: Math.round(queueBytes),
    since: new Date(arrival.atMs).toISOString(),
  };
}

function isMeant(open: OpenConnection, { kind, key, address }: ConnectionQuestion): boolean {
  if (kind !== null && open.kind !== kind) return false;
  if (key !== null && open.key !== key) return false;
  return address === null || open.address === address;
}

class Stretch {
  #endMs = performance.now() + STRETCH_MS;

  get isOver(): boolean {
    return performance.now() > this.#endMs;
  }

  async next(): Promise<void> {
    await turn();
    this.#endMs = performance.now() + STRETCH_MS;
  }
}
