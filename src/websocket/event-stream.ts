/**
 * One stream of server-sent events: what stands for the socket of a client that can't have a
 * WebSocket. Events of a turn go out as one write, and the last one has the id.
 */
import type { ClientSocket } from "./live-client.ts";

/** More than this waits here when the kernel's buffers are full. */
const HIGH_WATER_BYTES = 64 * 1024;
/** Events that are written before the turn is over. */
const WRITE_CHARACTERS = 64 * 1024;
/** Something is sent at least so often, as proxies end what is silent. */
const COMMENT_MS = 15_000;
const COMMENT = ":\n\n";
const LINE_END = /\r\n|\r|\n/g;

export interface EventStreamOptions {
  retryMs: number;
  /** The stream is ended beyond so much unread. */
  bytesMax: number;
  /** Told of the bytes of its events, comments and all. */
  onSent(bytes: number): void;
  /** Null: the positions can't be told now, and the client keeps the id before. */
  id(): string | null;
  /** Called when the client may take more. */
  onRoom(): void;
  /** Called once, when the client has gone or was sent away. */
  onEnd(): void;
  /** Called before that, when too much waits. */
  onOverflow(bytes: number): void;
}

export class EventStream implements ClientSocket {
  readonly body: ReadableStream<Uint8Array>;
  readonly #options: EventStreamOptions;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #events: string[] = [];
  #characters = 0;
  #writtenMs = performance.now();

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
          this.#enqueue(`retry: ${options.retryMs}\n\n`);
        },
        pull: () => options.onRoom(),
        cancel: () => this.#end(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER_BYTES }),
    );
  }

  get readyState(): number {
    return this.#controller === null ? WebSocket.CLOSED : WebSocket.OPEN;
  }

  getBufferedAmount(): number {
    const room = this.#controller?.desiredSize ?? HIGH_WATER_BYTES;
    return this.#characters + HIGH_WATER_BYTES - room;
  }

  send(text: string): number {
    if (this.#controller === null) return 0;
    if (this.#events.length === 0) queueMicrotask(() => this.#write());
    this.#events.push(text);
    this.#characters += text.length;
    if (this.#characters >= WRITE_CHARACTERS) this.#write();
    return text.length;
  }

  cork(write: () => void): void {
    write();
  }

  subscribe(): void {
    throw new Error("a stream of events has no topics");
  }

  unsubscribe(): void {
    throw new Error("a stream of events has no topics");
  }

  /** The client comes back by itself, with the id of the last event that it has in full. */
  close(): void {
    this.#write();
    const controller = this.#controller;
    this.#end();
    controller?.close();
  }

  /** Drops what the client hasn't taken. */
  terminate(): void {
    const controller = this.#controller;
    this.#end();
    controller?.error(new Error("the client has taken nothing"));
  }

  /** Call it every second or so. */
  keepAlive(): void {
    if (performance.now() - this.#writtenMs >= COMMENT_MS) this.#enqueue(COMMENT);
  }

  #write(): void {
    if (this.#events.length === 0) return;
    const events = this.#events;
    const id = this.#options.id();
    this.#events = [];
    this.#characters = 0;
    const texts = events.map((text) => `data: ${text.replace(LINE_END, "\ndata: ")}\n\n`);
    if (id !== null) texts.push(`id: ${id}\n${texts.pop()}`);
    this.#enqueue(texts.join(""));
    const waiting = this.getBufferedAmount();
    if (waiting <= this.#options.bytesMax) return;
    this.#options.onOverflow(waiting);
    this.terminate();
  }

  #enqueue(text: string): void {
    this.#writtenMs = performance.now();
    const bytes = Buffer.from(text);
    this.#controller?.enqueue(bytes);
    this.#options.onSent(bytes.length);
  }

  #end(): void {
    if (this.#controller === null) return;
    this.#controller = null;
    this.#events = [];
    this.#characters = 0;
    this.#options.onEnd();
  }
}
