/**
 * The runners of one worker. They are started when there is something to run, stay for the next statement,
 * and are replaced when they had to be killed. A statement that finds none free waits in a bounded queue.
 */
import type { LogLevel } from "../config/settings.ts";
import { RequestError, unavailable } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { SqlMode, SqlParam, SqlReply } from "../storage/user-sql-contract.ts";
import { clientGone, timedOut } from "./runner-end.ts";
import { RunnerProcess } from "./runner-process.ts";

/** Statements that wait for a runner; the next one gets 503. */
const WAITING_MAX = 256;
/** After this long, an idle runner is ended if another one is idle too. */
const IDLE_END_MS = 30_000;
/** One value of SQLite may take 1 GB, and is there twice for a moment. */
const MEMORY_BYTES_MAX = 1.5 * 2 ** 30;

export interface RunnerPoolOptions {
  /** argv of one runner. With `--no-orphans`: else a runner goes on with its statement when its worker has been killed. */
  command: string[];
  env: Record<string, string | undefined>;
  /** Runner processes at the most. */
  size: number;
  /** For a whole request, with its waiting. */
  timeoutMs: number;
  maxRows: number;
  /** Of one runner; default 1.5 GB. */
  memoryBytesMax?: number;
  /** Default 30 s. */
  idleEndMs?: number;
  log: (level: LogLevel, message: string) => void;
}

export interface RunnerQuery {
  sql: string;
  params: SqlParam[];
  mode: SqlMode;
}

/** One runner, set aside for one request, whose time has begun when it was asked for. */
export interface RunnerSession {
  /**
   * @throws RequestError 400: the statement is wrong, or answers too much; 504: the time limit has passed; 503: the
   *   database is away or the runner broke off; 499: the client is gone.
   */
  run(query: RunnerQuery): Promise<SqlReply>;
  /** By `performance.now()`. */
  readonly deadlineAt: number;
  /** Gives the runner back, as soon as a large answer has been taken. */
  close(): void;
}

export interface RunnerFigures {
  size: number;
  idle: number;
  busy: number;
  waiting: number;
  /** Since the start: at a limit, or because the client left. */
  killed: number;
}

export interface RunnerPool {
  /**
   * Waits for a free runner.
   *
   * @param signal The client is gone: what waits or runs for it is stopped.
   * @throws RequestError 503: none can be started, or too many wait already; 504: none was free in time; 499.
   */
  open(signal?: AbortSignal, timeoutMs?: number): Promise<RunnerSession>;
  /** One statement on a runner of its own. @throws RequestError as `open` and `RunnerSession.run`. */
  run(query: RunnerQuery & { signal?: AbortSignal | undefined }): Promise<SqlReply>;
  readonly timeoutMs: number;
  figures(): RunnerFigures;
  /** Ends every runner, also busy ones, and waits until they are gone. */
  close(): Promise<void>;
}

export function createRunnerPool(options: RunnerPoolOptions): RunnerPool {
  return new Pool(options);
}

interface Patience {
  deadlineAt: number;
  signal: AbortSignal | undefined;
}

interface Waiter {
  take(runner: RunnerProcess): void;
  fail(error: unknown): void;
}

class Pool implements RunnerPool {
  readonly timeoutMs: number;
  readonly #options: RunnerPoolOptions;
  /** Every process that has not exited yet. */
  readonly #alive = new Set<RunnerProcess>();
  /** Used from its end, so that those at its start grow old. */
  readonly #idle: RunnerProcess[] = [];
  readonly #idleTimers = new Map<RunnerProcess, Timer>();
  readonly #waiting = new Set<Waiter>();
  #killed = 0;
  #closed = false;

  constructor(options: RunnerPoolOptions) {
    this.#options = options;
    this.timeoutMs = options.timeoutMs;
  }

  async open(signal?: AbortSignal, timeoutMs = this.timeoutMs): Promise<RunnerSession> {
    const { maxRows, memoryBytesMax = MEMORY_BYTES_MAX } = this.#options;
    const limits = { deadlineAt: performance.now() + timeoutMs, timeoutMs, memoryBytesMax, signal };
    const runner = await this.#acquire(limits);
    return {
      run: (query) => runner.ask({ ...query, maxRows }, limits),
      deadlineAt: limits.deadlineAt,
      close: () => void runner.delivered.then(() => this.#release(runner)),
    };
  }

  async run({ signal, ...query }: RunnerQuery & { signal?: AbortSignal | undefined }): Promise<SqlReply> {
    const session = await this.open(signal);
    try {
      return await session.run(query);
    } finally {
      session.close();
    }
  }

  figures(): RunnerFigures {
    const idle = this.#idle.length;
    return {
      size: this.#options.size,
      idle,
      busy: this.#alive.size - idle,
      waiting: this.#waiting.size,
      killed: this.#killed,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const waiter of [...this.#waiting]) waiter.fail(closing());
    for (const runner of this.#alive) {
      if (this.#idle.includes(runner)) runner.end();
      else runner.kill("server stopping");
    }
    await Promise.all([...this.#alive].map((runner) => runner.exited));
  }

  async #acquire({ deadlineAt, signal }: Patience): Promise<RunnerProcess> {
    if (this.#closed) throw closing();
    if (signal?.aborted) throw clientGone();
    const runner = this.#next();
    if (runner !== null) return runner;
    if (this.#waiting.size >= WAITING_MAX)
      throw unavailable(`execute_sql: ${WAITING_MAX} statements are waiting for a SQL runner already`);
    return await this.#wait({ deadlineAt, signal });
  }

  /** An idle runner, or a new one; null when all are busy. */
  #next(): RunnerProcess | null {
    for (let runner = this.#idle.at(-1); runner !== undefined; runner = this.#idle.at(-1)) {
      this.#forgetIdle(runner);
      if (runner.usable) return runner;
    }
    return this.#alive.size < this.#options.size ? this.#start() : null;
  }

  #start(): RunnerProcess {
    let runner: RunnerProcess;
    try {
      runner = new RunnerProcess(this.#options.command, this.#options.env);
    } catch (cause) {
      const details = messageOf(cause);
      this.#options.log("ERROR", `SQL runner can't be started: ${details}`);
      const message = "execute_sql: the SQL runner can't be started";
      throw new RequestError(503, message, { details, retryAfterS: 1, cause });
    }
    this.#alive.add(runner);
    void runner.exited.then((code) => this.#onExit(runner, code));
    return runner;
  }

  #release(runner: RunnerProcess): void {
    // Its exit makes room for a new one.
    if (!runner.usable) return;
    const [waiter] = this.#waiting;
    if (waiter !== undefined) waiter.take(runner);
    else this.#rest(runner);
  }

  #rest(runner: RunnerProcess): void {
    this.#idle.push(runner);
    const timer = setTimeout(() => this.#endIdle(runner), this.#options.idleEndMs ?? IDLE_END_MS);
    timer.unref();
    this.#idleTimers.set(runner, timer);
  }

  #endIdle(runner: RunnerProcess): void {
    if (this.#idle.length < 2) return;
    this.#forgetIdle(runner);
    runner.end();
  }

  #onExit(runner: RunnerProcess, code: number): void {
    this.#alive.delete(runner);
    this.#forgetIdle(runner);
    if (runner.killedFor !== null) {
      this.#killed++;
      this.#options.log("WARNING", `SQL runner ${runner.pid} killed: ${runner.killedFor}`);
    } else if (!runner.askedToEnd) {
      this.#options.log("ERROR", `SQL runner ${runner.pid} broke off with exit code ${code}`);
    }
    this.#serveWaiting();
  }

  #forgetIdle(runner: RunnerProcess): void {
    const at = this.#idle.indexOf(runner);
    if (at >= 0) this.#idle.splice(at, 1);
    clearTimeout(this.#idleTimers.get(runner));
    this.#idleTimers.delete(runner);
  }

  #serveWaiting(): void {
    for (const waiter of [...this.#waiting]) {
      try {
        const runner = this.#next();
        if (runner === null) return;
        waiter.take(runner);
      } catch (error) {
        waiter.fail(error);
      }
    }
  }

  #wait({ deadlineAt, signal }: Patience): Promise<RunnerProcess> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.#waiting.delete(waiter);
      };
      const waiter: Waiter = {
        take: (runner) => {
          settle();
          resolve(runner);
        },
        fail: (error) => {
          settle();
          reject(error);
        },
      };
      const onAbort = (): void => waiter.fail(clientGone());
      const onDeadline = (): void => waiter.fail(timedOut(this.timeoutMs, "; every SQL runner was busy"));
      const timer = setTimeout(onDeadline, deadlineAt - performance.now());
      signal?.addEventListener("abort", onAbort);
      this.#waiting.add(waiter);
    });
  }
}

function closing(): RequestError {
  return unavailable("execute_sql: the server is stopping");
}
