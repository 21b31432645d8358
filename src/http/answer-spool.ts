/**
 * Answers for clients that read slowly. An answer that is streamed holds something as long as it
 * lasts: a SQL runner, a connection, a snapshot of the database. So when its client takes no piece
 * for a moment, the rest goes to a temporary file as fast as its source gives it, and to the client
 * from there.
 *
 * The file is unlinked as soon as it is open: whatever happens to this process, nothing stays
 * behind.
 */
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, statfs, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MIB } from "../config/units.ts";
import type { MemoryBoard } from "../memory/memory-board.ts";
import { messageOf } from "../protocol/message-of.ts";

/** A client that takes no piece for so long is a slow one. */
const SLOW_AFTER_MS = 250;
const TIMES = {
  /** Without taking a piece; then the answer is broken off. */
  stallMs: 30_000,
  /** From the first piece to the last. */
  answerMs: 600_000,
};
/** Of one worker; each takes a descriptor. */
const SPOOLED_ANSWERS_MAX = 256;
/** Up to this part of the spool anybody may have any of it … */
const FREE_FOR_ALL = 0.5;
/**
 * … and beyond it an address that has this part, in the workers together, gets no more: others
 * shall find room.
 */
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
  /** Default: the folder for temporary files. */
  folder?: string;
  /** Beyond which an answer is broken off. Default: 30 s without a piece, 10 min for the whole. */
  times?: typeof TIMES;
}

export interface AnswerSpoolFigures {
  /** Of this worker. */
  spooled_answers: number;
  spooled_bytes: number;
  /** Of all workers. */
  spooled_bytes_all: number;
  spooled_bytes_max: number;
  /** Since the start: because the spool was full, or nothing was taken for too long. */
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

  /** The same bytes, at the pace of their reader, who keeps nobody waiting. */
  through(source: ReadableStream<Uint8Array>, client: string): ReadableStream<Uint8Array> {
    const answer = new SpooledAnswer(source.getReader(), {
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
      // Nothing is read ahead of the client.
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

  /** @throws Error with the reason why there is none. */
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

  /** @throws Error with the reason why so many bytes don't go in. */
  async #reserve(client: string, bytes: number): Promise<void> {
    const { board, bytesMax, workers } = this.#options;
    const all = board.spooledBytes + bytes;
    const ofClient = (this.#bytesOfClient.get(client) ?? 0) + bytes;
    const limit = `--spool-mb ${Math.round(bytesMax / MIB)}`;
    if (all > bytesMax) throw new Error(`the client reads slowly, and the spool is full (${limit})`);
    if (all > bytesMax * FREE_FOR_ALL && ofClient > (bytesMax * SHARE_OF_ONE_CLIENT) / workers)
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

interface Room {
  times: typeof TIMES;
  openFile(): Promise<FileHandle>;
  reserve(bytes: number): Promise<void>;
  release(bytes: number): void;
  /** The file has been closed. */
  closed(): void;
  brokenOff(reason: string): void;
}

type Controller = ReadableStreamDefaultController<Uint8Array>;
/** What is used of a stream's reader. */
interface Source {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  cancel(reason: unknown): Promise<void>;
}

class SpooledAnswer {
  readonly #source: Source;
  readonly #room: Room;
  #file: FileHandle | null = null;
  /** The rest goes to the file. */
  #spooling = false;
  #written = 0;
  #read = 0;
  #sourceOver = false;
  #over = false;
  /** A file is closed by whoever works with it last. */
  #working = 0;
  #moreWritten = Promise.withResolvers<void>();
  #slow: Timer | undefined;
  #stalled: Timer | undefined;
  #tooLate: Timer | undefined;

  constructor(source: Source, room: Room) {
    this.#source = source;
    this.#room = room;
  }

  start(controller: Controller): void {
    const { answerMs } = this.#room.times;
    this.#tooLate = setTimeout(
      () => this.#breakOff(controller, `it was not taken within ${answerMs / 1000} s`),
      answerMs,
    );
    this.#tooLate.unref();
    this.#expectPull(controller);
  }

  async pull(controller: Controller): Promise<void> {
    clearTimeout(this.#slow);
    clearTimeout(this.#stalled);
    const piece = await this.#next(controller);
    if (this.#over) return;
    if (piece === null) {
      this.#end();
      controller.close();
      return;
    }
    controller.enqueue(piece);
    this.#expectPull(controller);
  }

  async cancel(reason: unknown): Promise<void> {
    if (this.#over) return;
    this.#end();
    if (!this.#sourceOver) await this.#source.cancel(reason);
  }

  #expectPull(controller: Controller): void {
    if (!this.#spooling) this.#slow = setTimeout(() => void this.#spool(controller), SLOW_AFTER_MS);
    const { stallMs } = this.#room.times;
    this.#stalled = setTimeout(
      () => this.#breakOff(controller, `nothing of it was taken for ${stallMs / 1000} s`),
      stallMs,
    );
    this.#stalled.unref();
  }

  /** null at the end. @throws what the source ended with. */
  async #next(controller: Controller): Promise<Uint8Array | null> {
    while (this.#spooling && !this.#over) {
      if (this.#read < this.#written) return await this.#fromFile(controller);
      if (this.#sourceOver) return null;
      await this.#moreWritten.promise;
    }
    if (this.#over) return null;
    try {
      const { value } = await this.#source.read();
      if (value !== undefined) return value;
      this.#sourceOver = true;
      return null;
    } catch (error) {
      this.#sourceOver = true;
      if (this.#over) return null;
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

  /** Takes the rest from the source, as fast as it comes. */
  async #spool(controller: Controller): Promise<void> {
    if (this.#over || this.#spooling) return;
    this.#spooling = true;
    try {
      for (;;) {
        const { value } = await this.#source.read();
        if (value === undefined) this.#sourceOver = true;
        if (value === undefined || this.#over) break;
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
      const file = await this.#room.openFile();
      this.#file = file;
      if (this.#over) return this.#closeIfDone();
    }
    await this.#room.reserve(bytes.length);
    if (this.#over) return this.#room.release(bytes.length);
    const at = this.#written;
    let done = 0;
    try {
      await this.#withFile(async (file) => {
        while (done < bytes.length)
          done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
      });
    } catch (error) {
      this.#room.release(bytes.length);
      throw error;
    }
    if (this.#over) this.#room.release(bytes.length);
    else this.#written += bytes.length;
  }

  async #withFile(work: (file: FileHandle) => Promise<void>): Promise<void> {
    this.#working++;
    try {
      await work(this.#file!);
    } finally {
      this.#working--;
      if (this.#over) this.#closeIfDone();
    }
  }

  #wake(): void {
    this.#moreWritten.resolve();
    this.#moreWritten = Promise.withResolvers();
  }

  #breakOff(controller: Controller, reason: string): void {
    if (this.#over) return;
    this.#end();
    this.#room.brokenOff(reason);
    // Without an end of its chunks the client can tell that there was more.
    controller.error(new Error(`the answer was broken off: ${reason}`));
    if (!this.#sourceOver) void this.#source.cancel(reason).catch(() => {});
  }

  #end(): void {
    this.#over = true;
    clearTimeout(this.#slow);
    clearTimeout(this.#stalled);
    clearTimeout(this.#tooLate);
    this.#wake();
    this.#room.release(this.#written);
    this.#written = 0;
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#file === null || this.#working > 0) return;
    const file = this.#file;
    this.#file = null;
    this.#room.closed();
    void file.close();
  }
}
