/**
 * The runners of one worker. They start when there is something to run, stay for the next
 * statement, and are replaced when they were killed. Whoever finds none free waits in line.
 */
import { existsSync } from "node:fs";
import type { LogLevel } from "../config/settings.ts";
import { MIB } from "../config/units.ts";
import type { MemoryBoard } from "../memory/memory-board.ts";
import { residentBytes } from "../memory/resident.ts";
import { type RequestError, unavailable } from "../protocol/errors.ts";
import { messageOf } from "../protocol/message-of.ts";
import { stoppedAsClientLeft, stoppedAtLimit } from "../storage/stopped-sql.ts";
import type { SqlMode, SqlParam, SqlReply } from "../storage/user-sql-contract.ts";
import { WaitingLine } from "../storage/waiting-line.ts";
import { killGreatest } from "./runner-memory.ts";
import { RunnerProcess } from "./runner-process.ts";
import { withoutLiterals } from "./without-literals.ts";

/** Statements that wait for a runner; the next one gets 503. */
const WAITING_MAX = 256;
/** After this long, an idle runner is ended if another one is idle too. */
const IDLE_END_MS = 30_000;
/** A pool that runs something looks so often: a statement can take 3 GB a second. */
const MEMORY_LOOK_MS = 10;
/** Every runner stops at its wall, even if nobody looks. Bun itself needs some of this. */
const WALL_BYTES_MIN = 512 * MIB;
/** Some images have no shell. There, only the looks bound a runner's memory. */
const SHELL = "/bin/sh";

export interface RunnerPoolOptions {
  /** argv of a runner. It needs `--no-orphans`, or a runner goes on when its worker was killed. */
  command: string[];
  env: Record<string, string | undefined>;
  /** Runner processes at the most. */
  size: number;
  /** For a whole request, waiting included. */
  timeoutMs: number;
  maxRows: number;
  /** Shared by the processes of a server. */
  board: MemoryBoard;
  /** For all runners on the board together. */
  memoryBytesMax: number;
  /** Default 30 s. */
  idleEndMs?: number;
  log: (level: LogLevel, message: string) => void;
}

interface RunnerQuery {
  sql: string;
  params: SqlParam[];
  mode: SqlMode;
}

/** A runner that is set aside for one request. */
interface RunnerSession {
  /**
   * @throws RequestError 400: the statement is wrong, or answers too much; 504: the time limit has
   *   passed; 503: the database is away or the runner broke off; 499: the client is gone.
   */
  run(query: RunnerQuery): Promise<SqlReply>;
  /** By `performance.now()`. */
  readonly deadlineAt: number;
  /** Gives the runner back once a large answer has been taken. */
  close(): void;
}

export interface RunnerFigures {
  size: number;
  idle: number;
  busy: number;
  waiting: number;
  /** Since the start, at a limit or because the client left. */
  killed: number;
}

export interface RunnerPool {
  /**
   * Waits for a free runner.
   *
   * @param signal aborts when the client is gone: what waits or runs for it is stopped.
   * @param startedAt by `performance.now()`: when the time of the request began.
   * @throws RequestError 503: none can be started, or too many wait already; 504: none was free in
   *   time; 499.
   */
  open(signal?: AbortSignal, timeoutMs?: number, startedAt?: number): Promise<RunnerSession>;
  /**
   * One statement on a runner of its own.
   *
   * @throws RequestError as `open` and `RunnerSession.run`.
   */
  run(query: RunnerQuery & { signal?: AbortSignal | undefined }): Promise<SqlReply>;
  readonly timeoutMs: number;
  figures(): RunnerFigures;
  /** What this pool's runners run: SQL without its literals, and resident bytes. */
  running(): { sql: string; bytes: number }[];
  /** Ends the idle runners, to free their memory. */
  shrink(): void;
  /** Ends every runner, busy ones too, and waits until they are gone. */
  close(): Promise<void>;
}

export function createRunnerPool(options: RunnerPoolOptions): RunnerPool {
  return new Pool(options);
}

interface Patience {
  deadlineAt: number;
  signal: AbortSignal | undefined;
}

class Pool implements RunnerPool {
  readonly timeoutMs: number;
  readonly #options: RunnerPoolOptions;
  /** Every process that hasn't exited yet. */
  readonly #alive = new Set<RunnerProcess>();
  /** The last one is used first, so that those in front grow old. */
  readonly #idle: RunnerProcess[] = [];
  readonly #idleTimers = new Map<RunnerProcess, Timer>();
  readonly #waiting = new WaitingLine<RunnerProcess>({
    max: WAITING_MAX,
    full: `execute_sql: ${WAITING_MAX} statements are waiting for a SQL runner already`,
    gone: () => stoppedAsClientLeft(),
  });
  #killed = 0;
  #memoryLook: Timer | null = null;
  #closed = false;

  constructor(options: RunnerPoolOptions) {
    this.#options = options;
    this.timeoutMs = options.timeoutMs;
  }

  async open(
    signal?: AbortSignal,
    timeoutMs = this.timeoutMs,
    startedAt = performance.now(),
  ): Promise<RunnerSession> {
    const { maxRows, memoryBytesMax } = this.#options;
    const limits = { deadlineAt: startedAt + timeoutMs, timeoutMs, memoryBytesMax, signal };
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
      waiting: this.#waiting.length,
      killed: this.#killed,
    };
  }

  running(): { sql: string; bytes: number }[] {
    const busy = [...this.#alive].filter((runner) => !this.#idle.includes(runner));
    return busy.map(({ pid, statement }) => ({
      sql: withoutLiterals(statement),
      bytes: residentBytes(pid),
    }));
  }

  shrink(): void {
    for (const runner of [...this.#idle]) {
      this.#forgetIdle(runner);
      runner.end();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    while (this.#waiting.fail(closing())) {}
    for (const runner of this.#alive) {
      if (this.#idle.includes(runner)) runner.end();
      else runner.kill("server stopping");
    }
    await Promise.all([...this.#alive].map((runner) => runner.exited));
  }

  async #acquire({ deadlineAt, signal }: Patience): Promise<RunnerProcess> {
    if (this.#closed) throw closing();
    if (signal?.aborted) throw stoppedAsClientLeft();
    this.#memoryLook ??= setInterval(() => this.#lookAtMemory(), MEMORY_LOOK_MS);
    const { timeoutMs } = this;
    const late = (): Error => stoppedAtLimit({ timeoutMs, effect: "; every SQL runner was busy" });
    return this.#next() ?? (await this.#waiting.wait(deadlineAt - performance.now(), signal, { late }));
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
      const { command, env, board } = this.#options;
      runner = new RunnerProcess(this.#walled(command), env, board);
    } catch (cause) {
      const details = messageOf(cause);
      this.#options.log("ERROR", `SQL runner can't be started: ${details}`);
      const message = "execute_sql: the SQL runner can't be started";
      throw unavailable(message, { details, cause });
    }
    this.#alive.add(runner);
    void runner.exited.then((code) => this.#onExit(runner, code));
    return runner;
  }

  /** Other workers' runners too: their own worker may be busy just then. */
  #lookAtMemory(): void {
    const { board, memoryBytesMax } = this.#options;
    killGreatest(board, memoryBytesMax);
    if (this.#alive.size > this.#idle.length || this.#memoryLook === null) return;
    clearInterval(this.#memoryLook);
    this.#memoryLook = null;
  }

  /** The shell sets a limit that Bun has no call for, and becomes the runner. */
  #walled(command: string[]): string[] {
    if (process.platform !== "linux" || !existsSync(SHELL)) return command;
    const kilobytes = Math.ceil(Math.max(this.#options.memoryBytesMax, WALL_BYTES_MIN) / 1024);
    // A lower limit of the user's own stays in force.
    const script = `ulimit -d "$1" 2>/dev/null; shift; exec "$@"`;
    return [SHELL, "-c", script, "sql-runner", String(kilobytes), ...command];
  }

  #release(runner: RunnerProcess): void {
    // It is about to exit, which makes room for a new one.
    if (!runner.usable) return;
    if (!this.#waiting.give(runner)) this.#rest(runner);
  }

  #rest(runner: RunnerProcess): void {
    // Other workers have idle runners too. All together need few more than run at once.
    const { board, size } = this.#options;
    if (this.#idle.length > 0 && board.runnerCount > size) {
      runner.end();
      return;
    }
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
      const sql = runner.killedFor === "memory limit" ? `: ${withoutLiterals(runner.statement)}` : "";
      this.#options.log("WARNING", `SQL runner ${runner.pid} killed: ${runner.killedFor}${sql}`);
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
    while (this.#waiting.length > 0) {
      try {
        const runner = this.#next();
        if (runner === null) return;
        this.#waiting.give(runner);
      } catch (error) {
        this.#waiting.fail(error);
      }
    }
  }
}

function closing(): RequestError {
  return unavailable("execute_sql: the server is stopping");
}
