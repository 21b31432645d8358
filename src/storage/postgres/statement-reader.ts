/**
 * Reads users' statements on its own thread, one at a time. The thread is replaced when it has read
 * a large statement or was damaged by one, which frees its memory.
 */
import { installedFile } from "../../installation/installed.ts";
import { badRequest, unavailable } from "../../protocol/errors.ts";
import type { StatementQuestion, StatementReply } from "./statement-thread.ts";
import type { Statement } from "./user-sql-statement.ts";

/** Then the thread is ended. The largest statement takes a tenth of a second. */
const READ_MAX_MS = 10_000;
/** An idle thread ends after so long. */
const IDLE_MAX_MS = 5 * 60_000;
const WAITING_MAX = 256;
const SMALL_CHARS = 8_192;

const STATEMENT_THREAD = installedFile("src/storage/postgres/statement-thread.ts");

interface Waiting {
  question: StatementQuestion;
  resolve(statement: Statement): void;
  reject(error: unknown): void;
}

export class StatementReader {
  #thread: Worker | null = null;
  #timer: Timer | null = null;
  /** The thread reads the first one. */
  readonly #waiting: Waiting[] = [];
  #closed = false;

  /** @throws RequestError 400 as `readStatement`; 503 too many wait. */
  read(sql: string, given: number, schema: string): Promise<Statement> {
    if (this.#closed) return Promise.reject(unavailable("the server is stopping"));
    if (this.#waiting.length >= WAITING_MAX)
      return Promise.reject(unavailable(`execute_sql: ${WAITING_MAX} statements wait to be read`));
    const { promise, resolve, reject } = Promise.withResolvers<Statement>();
    this.#put({ question: { sql, given, schema }, resolve, reject });
    if (this.#waiting.length === 1) this.#next();
    return promise;
  }

  close(): void {
    this.#closed = true;
    this.#end();
    for (const { reject } of this.#waiting.splice(0)) reject(unavailable("the server is stopping"));
  }

  /** Small statements overtake large ones, which take a hundred times as long. */
  #put(waiting: Waiting): void {
    const isLarge = ({ question }: Waiting): boolean => question.sql.length > SMALL_CHARS;
    const at = isLarge(waiting) ? -1 : this.#waiting.findIndex((other, i) => i > 0 && isLarge(other));
    if (at < 0) this.#waiting.push(waiting);
    else this.#waiting.splice(at, 0, waiting);
  }

  #next(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const first = this.#waiting[0];
    if (first === undefined) {
      this.#timer = setTimeout(() => this.#end(), IDLE_MAX_MS);
    } else {
      this.#timer = setTimeout(
        () =>
          this.#fail(badRequest(`execute_sql: reading the statement takes over ${READ_MAX_MS / 1_000} s`)),
        READ_MAX_MS,
      );
      this.#thread ??= this.#begin();
      this.#thread.postMessage(first.question);
    }
    this.#timer.unref();
  }

  #begin(): Worker {
    const thread = new Worker(STATEMENT_THREAD, { ref: false });
    thread.onmessage = ({ data }: MessageEvent<StatementReply>) => {
      if (this.#thread === thread) this.#settle(data);
    };
    const failed = (reason: string): void => {
      if (this.#thread === thread) this.#fail(unavailable("execute_sql: the parser has ended", reason));
    };
    thread.onerror = (event) => failed(event.message);
    thread.addEventListener("close", () => failed("its thread is gone"));
    return thread;
  }

  #settle({ isWorn, ...reply }: StatementReply): void {
    const { resolve, reject } = this.#waiting.shift()!;
    if (isWorn) this.#end();
    if ("statement" in reply) resolve(reply.statement);
    else if ("refusal" in reply)
      reject(badRequest(reply.refusal.message, { details: reply.refusal.details }));
    else reject(new Error(reply.bug));
    this.#next();
  }

  /** The thread is lost with the statement that it was reading. */
  #fail(error: unknown): void {
    this.#end();
    this.#waiting.shift()?.reject(error);
    if (!this.#closed) this.#next();
  }

  #end(): void {
    const thread = this.#thread;
    this.#thread = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    thread?.terminate();
  }
}
