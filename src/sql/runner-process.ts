/**
 * One runner process, seen from the worker: a statement goes in, an answer comes out, or the
 * process is killed.
 */

import { checkInstalled } from "../installation/own-command.ts";
import type { MemoryBoard, RunnerEntry } from "../memory/memory-board.ts";
import { type RequestError, refusalOf } from "../protocol/errors.ts";
import { stoppedAsClientLeft } from "../storage/stopped-sql.ts";
import type { SqlAnswer, SqlReply, UserSqlRequest } from "../storage/user-sql-contract.ts";
import { streamAnswer } from "./answer-stream.ts";
import { ByteSource } from "./byte-source.ts";
import {
  ANNOUNCEMENT_BYTES_MAX,
  encodeFrame,
  encodeQuery,
  type FromRunner,
  WINDOW_BYTES,
} from "./protocol.ts";
import { explainEnd, type KillReason } from "./runner-end.ts";
import { type Limits, RunnerWatch } from "./runner-watch.ts";

/** For a runner that has been asked to end and doesn't. */
const END_GRACE_MS = 2_000;

export interface AskLimits extends Limits {
  /** Of all runners together, for the message when it has been passed. */
  memoryBytesMax: number;
}

export class RunnerProcess {
  /** False as soon as it is being ended or has ended. */
  usable = true;
  /** Why this side has killed it; null if it hasn't. */
  killedFor: KillReason | null = null;
  askedToEnd = false;
  /**
   * Pending while a large answer is on its way; the runner takes the next statement only
   * afterwards.
   */
  delivered: Promise<void> = Promise.resolve();
  readonly exited: Promise<number>;
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #source: ByteSource;
  readonly #entry: RunnerEntry;
  #statement = "";

  /** @throws when the command can't be started. */
  constructor(command: string[], env: Record<string, string | undefined>, board: MemoryBoard) {
    checkInstalled(command);
    this.#child = Bun.spawn(command, { env, stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    this.#source = new ByteSource(this.#child.stdout);
    this.#entry = board.addRunner(this.#child.pid);
    this.exited = this.#child.exited.then((code) => {
      this.usable = false;
      // Any worker of the server may have killed it for its memory.
      if (this.#entry.doomedBytes > 0) this.killedFor ??= "memory limit";
      this.#entry.remove();
      return code;
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** What it runs, or has run last: for the log, without its literals. */
  get statement(): string {
    return this.#statement;
  }

  /** @throws RequestError with what became of the statement. */
  async ask(request: UserSqlRequest, limits: AskLimits): Promise<SqlReply> {
    if (limits.signal?.aborted) throw stoppedAsClientLeft();
    const watch = new RunnerWatch(this, limits);
    this.#statement = request.sql;
    try {
      this.#send(encodeQuery(request));
      const reply = await this.#reply(watch);
      if (reply === null) throw await this.#explainEnd(request, limits, watch);
      return reply;
    } finally {
      watch.stop();
      this.#entry.setCommitting(false);
    }
  }

  kill(reason: KillReason): void {
    this.usable = false;
    this.killedFor ??= reason;
    this.#child.kill("SIGKILL");
  }

  /** Lets an idle runner end by itself. */
  end(): void {
    this.usable = false;
    this.askedToEnd = true;
    const late = setTimeout(() => this.#child.kill("SIGKILL"), END_GRACE_MS);
    void this.exited.then(() => clearTimeout(late));
    void Promise.resolve(this.#child.stdin.end()).catch(ignoreBrokenPipe);
  }

  /** null when the runner ended before it had answered. */
  async #reply(watch: RunnerWatch): Promise<SqlReply | null> {
    for (;;) {
      const message = await this.#receive();
      switch (message?.type) {
        case undefined:
          return null;
        case "committing":
          watch.committing = true;
          this.#entry.setCommitting(true);
          break;
        case "needs-write":
          return "needs-write";
        case "error":
          throw refusalOf(message.httpStatus, message);
        case "rows": {
          const body = await this.#body(message.bytes);
          return body === null ? null : { rows: message.rows, changed: message.changed, body };
        }
      }
    }
  }

  async #body(bytes: number): Promise<SqlAnswer["body"] | null> {
    if (bytes <= WINDOW_BYTES) return await this.#source.exactly(bytes);
    if (!this.usable) return null;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.delivered = promise;
    return streamAnswer({
      source: this.#source,
      bytes,
      more: () => this.#send(encodeFrame({ type: "more" })),
      done: (complete) => {
        if (!complete) this.kill("answer not taken to its end");
        resolve();
      },
    });
  }

  /**
   * What a killed process has written can still be read to its end, and has been: so if it didn't
   * say that it was committing, it didn't commit. Waits for the exit, with which SQLite's locks are
   * gone.
   */
  async #explainEnd(
    { mode }: UserSqlRequest,
    { timeoutMs, memoryBytesMax }: AskLimits,
    watch: RunnerWatch,
  ): Promise<RequestError> {
    const exitCode = await this.exited;
    return explainEnd({
      reason: this.killedFor,
      mode,
      committing: watch.committing,
      timeoutMs,
      exitCode,
      memoryBytes: this.#entry.doomedBytes,
      memoryBytesMax,
    });
  }

  #send(frame: Uint8Array): void {
    const { stdin } = this.#child;
    const write = async (): Promise<void> => {
      // Either may throw at once, or reject later.
      await Promise.all([stdin.write(frame), stdin.flush()]);
    };
    // A broken pipe shows itself as the end of stdout, which whoever sends reads next.
    void write().catch(ignoreBrokenPipe);
  }

  /** null when the runner has ended. */
  async #receive(): Promise<FromRunner | null> {
    const head = await this.#source.exactly(4);
    if (head === null) return null;
    const length = new DataView(head.buffer, head.byteOffset).getUint32(0, true);
    if (length > ANNOUNCEMENT_BYTES_MAX) {
      // Somebody has printed to the runner's stdout: nothing after it can be trusted.
      this.kill("stray output");
      return null;
    }
    const body = await this.#source.exactly(length);
    return body === null ? null : (JSON.parse(new TextDecoder().decode(body)) as FromRunner);
  }
}

function ignoreBrokenPipe(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
}
