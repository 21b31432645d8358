/**
 * Temporary files for the rest of answers whose clients read slowly. A streamed answer holds a SQL
 * runner, a connection or a snapshot while it lasts. When its client takes no piece for a moment,
 * the rest moves to a file at the source's speed, and from there to the client.
 *
 * The file is unlinked at once: a killed process leaves none behind.
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, statfs, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MIB } from "../config/units.ts";
import type { MemoryBoard } from "../memory/memory-board.ts";
import { messageOf } from "../protocol/message-of.ts";
import type { AnswerProgress, HeldRequest } from "./requests-under-way.ts";

/** A client that takes no piece for this long is slow. */
const SLOW_AFTER_MS = 250;
const TIMES = {
  /** Time without a piece taken, after which the answer is broken off. */
  stallMs: 30_000,
  /** From the first piece to the last. */
  answerMs: 600_000,
};
/** Per worker; each takes a descriptor. */
const SPOOLED_ANSWERS_MAX = 256;
/** Up to this part of the spool, one client may have all of it … */
const FIRST_COME_PART = 0.5;
/** … and beyond it, only this part, counted over all workers: others need room too. */
const SHARE_OF_ONE_CLIENT = 0.125;
const PIECE_BYTES = 256 * 1024;
/** The spool leaves this much of its disk free. */
const DISK_FREE_BYTES_MIN = 256 * MIB;
const DISK_LOOK_BYTES = 32 * MIB;

export interface AnswerSpoolOptions {
  board: MemoryBoard;
  /** In all workers together. */
  bytesMax: number;
  workers: number;
  warn(message: string): void;
  folder?: string;
  /** Beyond these, an answer is broken off. Default: 30 s without a piece, 10 min for all. */
  times?: typeof TIMES;
}

export interface AnswerSpoolFigures {
  /** Of this worker. */
  spooled_answers: number;
  spooled_bytes: number;
  /** Of all workers. */
  spooled_bytes_all: number;
  spooled_bytes_max: number;
  /** Since the start: because the spool was full, or the client took too long. */
  answers_broken_off: number;
}

export class AnswerSpool {
  readonly #options: AnswerSpoolOptions;
  readonly #bytesOfClient = new Map<string, number>();
  #answers = 0;
  #bytes = 0;
  #brokenOff = 0;

  constructor(options: AnswerSpoolOptions) {
    this.#options = options;
  }

  /**
   * @param request whose answer it is; absent in tests.
   * @returns the same bytes at the reader's pace. The source doesn't wait for the reader.
   */
  through(
    source: ReadableStream<Uint8Array>,
    client: string,
    request: Pick<
      HeldRequest,
      "progress" | "ended" | "answerBegins" | "answerTaken" | "answerOver"
    > | null = null,
  ): ReadableStream<Uint8Array> {
    request?.answerBegins();
    const answer = new SpooledAnswer(source.getReader(), {
      progress: request?.progress ?? { takenBytes: 0, waitingBytes: 0 },
      ended: request?.ended ?? null,
      taken: (bytes) => request?.answerTaken(bytes),
      over: () => request?.answerOver(),
      times: this.#options.times ?? TIMES,
      openFile: () => this.#openFile(),
      reserve: (bytes) => this.#reserve(client, bytes),
      release: (bytes) => this.#add(client, -bytes),
      closed: () => this.#answers--,
      brokenOff: (reason) => {
        this.#brokenOff++;
        this.#options.warn(`An answer to ${client} was broken off: ${reason}`);
      },
    });
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => answer.start(controller),
        pull: (controller) => answer.pull(controller),
        cancel: (reason) => answer.cancel(reason),
      },
      // Reads nothing ahead of the client.
      { highWaterMark: 0 },
    );
  }

  figures(): AnswerSpoolFigures {
    return {
      spooled_answers: this.#answers,
      spooled_bytes: this.#bytes,
      spooled_bytes_all: this.#options.board.spooledBytes,
      spooled_bytes_max: this.#options.bytesMax,
      answers_broken_off: this.#brokenOff,
    };
  }

  /** @throws Error with the reason why there is no file. */
  async #openFile(): Promise<FileHandle> {
    if (this.#answers >= SPOOLED_ANSWERS_MAX)
      throw new Error(`${SPOOLED_ANSWERS_MAX} answers are spooled for slow clients already`);
    this.#answers++;
    try {
      const folder = this.#options.folder ?? tmpdir();
      const path = join(folder, `stock-db-answer-${process.pid}-${randomBytes(8).toString("hex")}`);
      const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
      const file = await open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      await unlink(path);
      return file;
    } catch (error) {
      this.#answers--;
      throw error;
    }
  }

  /** @throws Error with the reason why there is no room. */
  async #reserve(client: string, bytes: number): Promise<void> {
    const { board, bytesMax, workers } = this.#options;
    const all = board.spooledBytes + bytes;
    const ofClient = (this.#bytesOfClient.get(client) ?? 0) + bytes;
    const limit = `--spool-mb ${Math.round(bytesMax / MIB)}`;
    if (all > bytesMax) throw new Error(`the client reads slowly, and the spool is full (${limit})`);
    if (all > bytesMax * FIRST_COME_PART && ofClient > (bytesMax * SHARE_OF_ONE_CLIENT) / workers)
      throw new Error(`the client reads slowly, and has its share of the spool (${limit})`);
    const before = this.#bytes;
    this.#add(client, bytes);
    if (Math.floor(before / DISK_LOOK_BYTES) === Math.floor(this.#bytes / DISK_LOOK_BYTES)) return;
    const disk = await statfs(this.#options.folder ?? tmpdir());
    if (disk.bavail * disk.bsize >= DISK_FREE_BYTES_MIN) return;
    this.#add(client, -bytes);
    throw new Error("the client reads slowly, and the disk for temporary files is nearly full");
  }

  #add(client: string, bytes: number): void {
    this.#bytes += bytes;
    const ofClient = (this.#bytesOfClient.get(client) ?? 0) + bytes;
    if (ofClient > 0) this.#bytesOfClient.set(client, ofClient);
    else this.#bytesOfClient.delete(client);
    this.#options.board.setSpooledBytes(this.#bytes);
  }
}

interface SpoolAccess {
  progress: AnswerProgress;
  /** Aborts when an operator ends the answer. */
  ended: AbortSignal | null;
  /** Its client has taken so many bytes. */
  taken(bytes: number): void;
  over(): void;
  times: typeof TIMES;
  openFile(): Promise<FileHandle>;
  reserve(bytes: number): Promise<void>;
  release(bytes: number): void;
  closed(): void;
  brokenOff(reason: string): void;
}

type Controller = ReadableStreamDefaultController<Uint8Array>;
/** The used part of a stream's reader. */
interface Source {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  cancel(reason: unknown): Promise<void>;
}

class SpooledAnswer {
  readonly #source: Source;
  readonly #access: SpoolAccess;
  #file: FileHandle | null = null;
  #spooling = false;
  #written = 0;
  #read = 0;
  #sourceEnded = false;
  #ended = false;
  /** The last one to work with a file closes it. */
  #fileUsers = 0;
  #moreWritten = Promise.withResolvers<void>();
  #slow: Timer | undefined;
  #stalled: Timer | undefined;
  #tooLate: Timer | undefined;

  constructor(source: Source, access: SpoolAccess) {
    this.#source = source;
    this.#access = access;
  }

  start(controller: Controller): void {
    const { answerMs } = this.#access.times;
    this.#tooLate = setTimeout(
      () => this.#breakOff(controller, `it was not taken within ${answerMs / 1000} s`),
      answerMs,
    );
    this.#tooLate.unref();
    const { ended } = this.#access;
    ended?.addEventListener("abort", () => this.#breakOff(controller, messageOf(ended.reason)), {
      once: true,
    });
    this.#expectPull(controller);
  }

  async pull(controller: Controller): Promise<void> {
    clearTimeout(this.#slow);
    clearTimeout(this.#stalled);
    const piece = await this.#next(controller);
    if (this.#ended) return;
    if (piece === null) {
      this.#end();
      controller.close();
      return;
    }
    controller.enqueue(piece);
    this.#access.taken(piece.length);
    this.#access.progress.waitingBytes = this.#written - this.#read;
    this.#expectPull(controller);
  }

  async cancel(reason: unknown): Promise<void> {
    if (this.#ended) return;
    this.#end();
    if (!this.#sourceEnded) await this.#source.cancel(reason);
  }

  #expectPull(controller: Controller): void {
    if (!this.#spooling) this.#slow = setTimeout(() => void this.#spool(controller), SLOW_AFTER_MS);
    const { stallMs } = this.#access.times;
    this.#stalled = setTimeout(
      () => this.#breakOff(controller, `nothing of it was taken for ${stallMs / 1000} s`),
      stallMs,
    );
    this.#stalled.unref();
  }

  /** @returns null at the end. @throws the source's error. */
  async #next(controller: Controller): Promise<Uint8Array | null> {
    while (this.#spooling && !this.#ended) {
      if (this.#read < this.#written) return await this.#fromFile(controller);
      if (this.#sourceEnded) return null;
      await this.#moreWritten.promise;
    }
    if (this.#ended) return null;
    try {
      const { value } = await this.#source.read();
      if (value !== undefined) return value;
      this.#sourceEnded = true;
      return null;
    } catch (error) {
      this.#sourceEnded = true;
      if (this.#ended) return null;
      this.#end();
      throw error;
    }
  }

  async #fromFile(controller: Controller): Promise<Uint8Array | null> {
    const piece = new Uint8Array(Math.min(PIECE_BYTES, this.#written - this.#read));
    try {
      await this.#withFile(async (file) => {
        const { bytesRead } = await file.read(piece, 0, piece.length, this.#read);
        if (bytesRead !== piece.length)
          throw new Error("the temporary file is shorter than what was written");
      });
    } catch (error) {
      this.#breakOff(controller, messageOf(error));
      return null;
    }
    this.#read += piece.length;
    return piece;
  }

  /** Takes the rest from the source as fast as it comes. */
  async #spool(controller: Controller): Promise<void> {
    if (this.#ended || this.#spooling) return;
    this.#spooling = true;
    try {
      for (;;) {
        const { value } = await this.#source.read();
        if (value === undefined) this.#sourceEnded = true;
        if (value === undefined || this.#ended) break;
        await this.#append(value);
        this.#wake();
      }
      this.#wake();
    } catch (error) {
      this.#breakOff(controller, messageOf(error));
    }
  }

  async #append(bytes: Uint8Array): Promise<void> {
    if (this.#file === null) {
      const file = await this.#access.openFile();
      this.#file = file;
      if (this.#ended) return this.#closeIfDone();
    }
    await this.#access.reserve(bytes.length);
    if (this.#ended) return this.#access.release(bytes.length);
    const at = this.#written;
    let done = 0;
    try {
      await this.#withFile(async (file) => {
        while (done < bytes.length)
          done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
      });
    } catch (error) {
      this.#access.release(bytes.length);
      throw error;
    }
    if (this.#ended) this.#access.release(bytes.length);
    else this.#written += bytes.length;
    this.#access.progress.waitingBytes = this.#written - this.#read;
  }

  async #withFile(work: (file: FileHandle) => Promise<void>): Promise<void> {
    this.#fileUsers++;
    try {
      await work(this.#file!);
    } finally {
      this.#fileUsers--;
      if (this.#ended) this.#closeIfDone();
    }
  }

  #wake(): void {
    this.#moreWritten.resolve();
    this.#moreWritten = Promise.withResolvers();
  }

  #breakOff(controller: Controller, reason: string): void {
    if (this.#ended) return;
    this.#end();
    this.#access.brokenOff(reason);
    // Without the end of the chunks, the client sees that the answer is incomplete.
    controller.error(new Error(`the answer was broken off: ${reason}`));
    if (!this.#sourceEnded) void this.#source.cancel(reason).catch(() => {});
  }

  #end(): void {
    this.#ended = true;
    clearTimeout(this.#slow);
    clearTimeout(this.#stalled);
    clearTimeout(this.#tooLate);
    this.#wake();
    this.#access.release(this.#written);
    this.#written = 0;
    this.#closeIfDone();
    this.#access.over();
  }

  #closeIfDone(): void {
    if (this.#file === null || this.#fileUsers > 0) return;
    const file = this.#file;
    this.#file = null;
    this.#access.closed();
    void file.close();
  }
}
