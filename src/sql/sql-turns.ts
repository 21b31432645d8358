/**
 * Whose statement runs next. All workers of a server share one number of statements that run at
 * once, whatever the engine; one client address may have most of them, never all; and those that
 * wait are served address by address, in turn.
 */

import type { MemoryBoard } from "../memory/memory-board.ts";
import { STATUS } from "../protocol/codes.ts";
import { RequestError, unavailable } from "../protocol/errors.ts";
import type { SqlAnswer } from "../storage/user-sql-contract.ts";
import type { SqlRequest } from "./execute.ts";
import { clientGone, timedOut } from "./runner-end.ts";

/** Statements that wait in one worker; the next one gets 503. */
const WAITING_MAX = 256;
/** … of one client address; its next one gets 429. */
const WAITING_PER_CLIENT_MAX = 64;
/**
 * Of the statements that run at once, those that no single address gets: a quarter, at least one.
 */
const KEPT_FROM_ONE_CLIENT = 0.25;
/** More of one address at once would make none of them faster, and others slower. */
const PER_CLIENT_AND_CPU = 2;
/** How often a worker looks whether another one has finished a statement. */
const LOOK_MS = 20;

export interface SqlTurnsOptions {
  board: MemoryBoard;
  /** Statements at once, in all workers. */
  max: number;
  /** That the server may use. */
  cpus: number;
  /** For a whole request, with its waiting. */
  timeoutMs: number;
}

export interface SqlTurnsFigures {
  running: number;
  max: number;
  /** Of one client address. */
  max_per_address: number;
  waiting: number;
  waiting_addresses: number;
}

interface Waiter {
  client: string;
  begin(leave: () => void): void;
}

export class SqlTurns {
  readonly #options: SqlTurnsOptions;
  readonly #bounds: { max: number; perClient: number };
  /** By client address, the one that is next first. */
  readonly #waiting = new Map<string, Set<Waiter>>();
  #waitingCount = 0;
  #look: Timer | null = null;

  constructor(options: SqlTurnsOptions) {
    const { max, cpus } = options;
    this.#options = options;
    const kept = Math.max(1, Math.ceil(max * KEPT_FROM_ONE_CLIENT));
    this.#bounds = { max, perClient: Math.max(1, Math.min(max - kept, cpus * PER_CLIENT_AND_CPU)) };
  }

  /**
   * Waits for the turn, runs the statement, and ends the turn when its answer has been taken from
   * the engine.
   *
   * @throws RequestError what `execute` throws; 503 when too many wait, 429 when too many of one
   *   address do, 504 when the time has passed meanwhile, 499 when the client has gone.
   */
  async run(request: SqlRequest, execute: (request: SqlRequest) => Promise<SqlAnswer>): Promise<SqlAnswer> {
    const startedAt = performance.now();
    const leave = await this.#enter(request, startedAt);
    let answer: SqlAnswer;
    try {
      answer = await execute({ ...request, startedAt });
    } catch (error) {
      this.#end(leave);
      throw error;
    }
    if (answer.body instanceof Uint8Array) {
      this.#end(leave);
      return answer;
    }
    return { ...answer, body: whenOver(answer.body, () => this.#end(leave)) };
  }

  figures(): SqlTurnsFigures {
    return {
      running: this.#options.board.statements,
      max: this.#bounds.max,
      max_per_address: this.#bounds.perClient,
      waiting: this.#waitingCount,
      waiting_addresses: this.#waiting.size,
    };
  }

  async #enter(request: SqlRequest, startedAt: number): Promise<() => void> {
    const { client = "", signal, timeoutMs = this.#options.timeoutMs } = request;
    if (signal?.aborted) throw clientGone();
    // Whoever waits already goes first.
    const leave = this.#waiting.has(client) ? null : this.#begin(client);
    if (leave !== null) return leave;
    if (client !== "" && (this.#waiting.get(client)?.size ?? 0) >= WAITING_PER_CLIENT_MAX)
      throw new RequestError(
        STATUS.tooMany,
        `execute_sql: ${WAITING_PER_CLIENT_MAX} statements of ${client} are waiting already`,
        { retryAfterS: 1 },
      );
    if (this.#waitingCount >= WAITING_MAX)
      throw unavailable(`execute_sql: ${WAITING_MAX} statements are waiting for their turn already`);
    return await this.#wait({ client, signal, timeoutMs, deadlineAt: startedAt + timeoutMs });
  }

  #begin(client: string): (() => void) | null {
    return this.#options.board.beginStatement(client, this.#bounds);
  }

  #end(leave: () => void): void {
    leave();
    this.#serve();
  }

  #serve(): void {
    for (const client of [...this.#waiting.keys()]) {
      const [waiter] = this.#waiting.get(client) ?? [];
      const leave = waiter === undefined ? null : this.#begin(client);
      if (leave === null) continue;
      waiter!.begin(leave);
      // The address goes to the end of the line.
      const rest = this.#waiting.get(client);
      this.#waiting.delete(client);
      if (rest !== undefined) this.#waiting.set(client, rest);
    }
  }

  #wait({
    client,
    signal,
    timeoutMs,
    deadlineAt,
  }: {
    client: string;
    signal: AbortSignal | undefined;
    timeoutMs: number;
    deadlineAt: number;
  }): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.#remove(waiter);
      };
      const waiter: Waiter = {
        client,
        begin(leave) {
          settle();
          resolve(leave);
        },
      };
      const onAbort = (): void => {
        settle();
        reject(clientGone());
      };
      const timer = setTimeout(
        () => {
          settle();
          reject(timedOut(timeoutMs, "; it was waiting for its turn"));
        },
        Math.max(0, deadlineAt - performance.now()),
      );
      signal?.addEventListener("abort", onAbort);
      this.#add(waiter);
    });
  }

  #add(waiter: Waiter): void {
    const sameClient = this.#waiting.get(waiter.client);
    if (sameClient === undefined) this.#waiting.set(waiter.client, new Set([waiter]));
    else sameClient.add(waiter);
    this.#waitingCount++;
    this.#look ??= setInterval(() => this.#serve(), LOOK_MS);
  }

  #remove(waiter: Waiter): void {
    const sameClient = this.#waiting.get(waiter.client);
    if (!sameClient?.delete(waiter)) return;
    this.#waitingCount--;
    if (sameClient.size === 0) this.#waiting.delete(waiter.client);
    if (this.#waitingCount > 0 || this.#look === null) return;
    clearInterval(this.#look);
    this.#look = null;
  }
}

/** The same stream; tells once that its source is at its end, broken or not wanted any more. */
function whenOver(stream: ReadableStream<Uint8Array>, over: () => void): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { value, done } = await reader.read();
          if (!done) return controller.enqueue(value);
          over();
          controller.close();
        } catch (error) {
          over();
          throw error;
        }
      },
      async cancel(reason) {
        try {
          await reader.cancel(reason);
        } finally {
          over();
        }
      },
    },
    { highWaterMark: 0 },
  );
}
