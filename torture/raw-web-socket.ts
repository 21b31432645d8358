/** A WebSocket client that sends what it likes, as fast as it is taken, and reads what it likes. */
import { connect, type Socket } from "node:net";
import { FrameReader, OPCODE_CLOSE, OPCODE_TEXT } from "../bench/ws-frames.ts";

export const TEXT = 1;
export const BINARY = 2;
export const PING = 9;
const HANDSHAKE_MS = 30_000;
const FIN = 0x80;

export interface Frame {
  opcode: number;
  payload?: Uint8Array | string;
  /** Default: the last of its message. */
  fin?: boolean;
  masked?: boolean;
  reserved?: number;
  /** Announced instead of the real one. */
  length?: number | bigint;
}

/** As a client sends it, unless the frame says otherwise; the mask is zero, which changes no byte. */
export function encodeFrame({
  opcode,
  payload = "",
  fin = true,
  masked = true,
  reserved = 0,
  length,
}: Frame): Buffer {
  const bytes = Buffer.from(payload as string);
  const size = length ?? bytes.length;
  const mask = masked ? 0x80 : 0;
  const head = Buffer.alloc(size < 126 ? 2 : size < 65_536 ? 4 : 10);
  head[0] = (fin ? FIN : 0) | (reserved << 4) | opcode;
  head[1] = mask | (size < 126 ? Number(size) : size < 65_536 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(Number(size), 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(size), 2);
  return Buffer.concat([head, masked ? Buffer.alloc(4) : Buffer.alloc(0), bytes]);
}

export class RawWebSocket implements Disposable {
  readonly texts: string[] = [];
  closeCode: number | null = null;
  hasEnded = false;
  readonly #socket: Socket;
  readonly #keep: number;
  /** Of a write that the kernel has not taken. */
  #drained: PromiseWithResolvers<void> | null = null;

  /** @param keep texts at the most; the newest stay. */
  private constructor(socket: Socket, keep: number) {
    this.#socket = socket;
    this.#keep = keep;
    for (const event of ["drain", "close"]) {
      socket.on(event, () => {
        this.#drained?.resolve();
        this.#drained = null;
      });
    }
  }

  /** @returns A text that is the answer, when the handshake was refused. */
  static async open(port: number, path: string, keep = 100): Promise<RawWebSocket | string> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const client = new RawWebSocket(socket, keep);
    const { promise, resolve } = Promise.withResolvers<RawWebSocket | string>();
    const timer = setTimeout(() => resolve("no answer to the handshake"), HANDSHAKE_MS);
    const reader = new FrameReader((opcode, bytes, start, end) =>
      client.#take(opcode, bytes.subarray(start, end)),
    );
    let head: Buffer | null = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      if (head === null) return reader.feed(chunk);
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      const isOpen = head.toString("latin1", 0, 12).endsWith("101");
      resolve(isOpen ? client : head.toString());
      const rest = head.subarray(end + 4);
      head = null;
      if (isOpen && rest.length > 0) reader.feed(rest);
    });
    for (const event of ["error", "end", "close"]) {
      socket.on(event, () => {
        client.hasEnded = true;
        resolve("the connection was closed");
      });
    }
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    return await promise.finally(() => clearTimeout(timer));
  }

  /** Resolves when the kernel has taken the bytes, or the connection is over. */
  async send(bytes: Uint8Array): Promise<void> {
    if (this.hasEnded || this.#socket.write(bytes)) return;
    this.#drained ??= Promise.withResolvers<void>();
    await this.#drained.promise;
  }

  stopReading(): void {
    this.#socket.pause();
  }

  readAgain(): void {
    this.#socket.resume();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #take(opcode: number, payload: Buffer): void {
    if (opcode === OPCODE_CLOSE) this.closeCode = payload.length < 2 ? 1005 : payload.readUInt16BE(0);
    if (opcode !== OPCODE_TEXT) return;
    this.texts.push(payload.toString());
    if (this.texts.length > this.#keep) this.texts.shift();
  }
}

/** Opens one or throws. */
export async function openRawWebSocket(port: number, path: string): Promise<RawWebSocket> {
  const opened = await RawWebSocket.open(port, path);
  if (typeof opened === "string") throw new Error(`${path}: ${opened.slice(0, 300)}`);
  return opened;
}

/** Sends the same bytes over and over until the time is over or the connection is. @returns how often. */
export async function storm(client: RawWebSocket, bytes: Uint8Array, seconds: number): Promise<number> {
  const deadline = performance.now() + seconds * 1_000;
  let sent = 0;
  while (!client.hasEnded && performance.now() < deadline) {
    await client.send(bytes);
    sent++;
    // The socket's events need their turn even if the kernel takes everything.
    if (sent % 16 === 0) await Bun.sleep(0);
  }
  return sent;
}
