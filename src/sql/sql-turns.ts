/**
 * Decides whose statement runs next. All workers share one bound on statements that run at once,
 * whatever the engine. One client, a key or else an address, may have most of them, never all.
 * Those that wait are served client by client.
 */
import type { MemoryBoard } from "../memory/memory-board.ts";
import { atClientsPace } from "../protocol/clients-pace.ts";
import { tooMany, unavailable } from "../protocol/errors.ts";
import { stoppedAsClientLeft, stoppedAtLimit } from "../storage/stopped-sql.ts";
import type { SqlAnswer } from "../storage/user-sql-contract.ts";
import { WaitingLine } from "../storage/waiting-line.ts";
import type { SqlRequest } from "./execute.ts";

/** Statements that wait in one worker; the next one gets 503. */
const WAITING_MAX = 256;
/** Statements of one client that wait; its next one gets 429. */
const WAITING_PER_CLIENT_MAX = 64;
/** The part of the statements that no single client gets; at least one. */
const KEPT_FROM_ONE_CLIENT = 0.25;
/** More statements of one client would only slow down others. */
const PER_CLIENT_AND_CPU = 2;
/** How often a worker looks whether others have finished a statement. */
const LOOK_MS = 20;

export interface SqlTurnsOptions {
  board: MemoryBoard;
  /** Statements at once, in all workers. */
  max: number;
  /** CPUs that the server may use. */
  cpus: number;
  /** For a whole request, waiting included. */
  timeoutMs: number;
}

export interface SqlTurnsFigures {
  running: number;
  max: number;
  /** For one client: a key, or an address without one. */
  max_per_address: number;
  waiting: number;
  waiting_addresses: number;
}

/** What ends a turn. */
type Leave = () => void;

export class SqlTurns {
  readonly #options: SqlTurnsOptions;
  readonly #bounds: { max: number; perClient: number };
  /** By client, the one that is next first. Empty lines are removed by `#serve`. */
  readonly #lines = new Map<string, WaitingLine<Leave>>();
  #look: Timer | null = null;

  constructor(options: SqlTurnsOptions) {
    const { max, cpus } = options;
    this.#options = options;
    const kept = Math.max(1, Math.ceil(max * KEPT_FROM_ONE_CLIENT));
    this.#bounds = { max, perClient: Math.max(1, Math.min(max - kept, cpus * PER_CLIENT_AND_CPU)) };
  }

  /**
   * Waits for the turn and runs the statement. The turn ends when the answer has been taken from
   * the engine.
   *
   * @throws RequestError what `execute` throws; 503 when too many wait, 429 when too many of one
   *   client do, 504 when the time has passed meanwhile, 499 when the client has gone.
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
      waiting_addresses: [...this.#lines.values()].filter(({ length }) => length > 0).length,
    };
  }

  get #waitingCount(): number {
    return [...this.#lines.values()].reduce((sum, { length }) => sum + length, 0);
  }

  async #enter(request: SqlRequest, startedAt: number): Promise<Leave> {
    const { client = "", signal, timeoutMs = this.#options.timeoutMs } = request;
    if (signal?.aborted) throw stoppedAsClientLeft();
    const ofClient = this.#lines.get(client)?.length ?? 0;
    // Whoever waits already goes first.
    const leave = ofClient > 0 ? null : this.#begin(client);
    if (leave !== null) return leave;
    if (client !== "" && ofClient >= WAITING_PER_CLIENT_MAX)
      throw tooMany(`execute_sql: ${WAITING_PER_CLIENT_MAX} statements of ${client} are waiting already`);
    if (this.#waitingCount >= WAITING_MAX)
      throw unavailable(`execute_sql: ${WAITING_MAX} statements are waiting for their turn already`);
    const waitMs = startedAt + timeoutMs - performance.now();
    const late = (): Error => stoppedAtLimit({ timeoutMs, effect: "; it was waiting for its turn" });
    return await this.#lineOf(client).wait(waitMs, signal, { late });
  }

  #begin(client: string): Leave | null {
    return this.#options.board.beginStatement(client, this.#bounds);
  }

  #end(leave: Leave): void {
    leave();
    this.#serve();
  }

  #serve(): void {
    for (const [client, line] of [...this.#lines]) {
      const leave = line.length === 0 ? null : this.#begin(client);
      if (leave !== null) line.give(leave);
      else if (line.length > 0) continue;
      // A client that was served goes to the end of the line.
      this.#lines.delete(client);
      if (line.length > 0) this.#lines.set(client, line);
    }
    if (this.#lines.size > 0 || this.#look === null) return;
    clearInterval(this.#look);
    this.#look = null;
  }

  #lineOf(client: string): WaitingLine<Leave> {
    const known = this.#lines.get(client);
    if (known !== undefined) return known;
    const line = new WaitingLine<Leave>({ gone: () => stoppedAsClientLeft() });
    this.#lines.set(client, line);
    this.#look ??= setInterval(() => this.#serve(), LOOK_MS);
    return line;
  }
}

/** The same stream. Calls `over` once its source has ended or broken, or isn't wanted any more. */
function whenOver(stream: ReadableStream<Uint8Array>, over: () => void): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  return atClientsPace({
    async next() {
      try {
        const { value } = await reader.read();
        if (value === undefined) over();
        return value ?? null;
      } catch (error) {
        over();
        throw error;
      }
    },
    cancel: (reason) => reader.cancel(reason).finally(over),
  });
}
