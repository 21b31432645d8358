/** A client of the streams under /v2/…, which keeps every frame as it came. */
import { decode, decodeTimestampToTimeSpec, ExtensionCodec, encode } from "@msgpack/msgpack";
import { until } from "./until.ts";

/** A message of the server; its times are texts, whichever codec is spoken. */
// biome-ignore lint/suspicious/noExplicitAny: tests look into it as they please.
export type ReadMessage = Record<string, any>;

export interface AlpacaStreamOptions {
  /** Default: msgpack. */
  codec?: "msgpack" | "json";
  headers?: Record<string, string>;
}

const TIMESTAMP_TYPE = -1;
const extensionCodec = new ExtensionCodec();
extensionCodec.register({
  type: TIMESTAMP_TYPE,
  encode: () => null,
  decode: (data) => {
    const { sec, nsec } = decodeTimestampToTimeSpec(data);
    const seconds = new Date(sec * 1_000).toISOString().slice(0, "2024-01-02T10:00:00".length);
    return `${seconds}${nsec === 0 ? "" : `.${String(nsec).padStart(9, "0").replace(/0+$/, "")}`}Z`;
  },
});

export class AlpacaStream implements Disposable {
  readonly frames: ReadMessage[][] = [];
  closed: { code: number; reason: string } | null = null;
  readonly #socket: WebSocket;
  readonly #isPacked: boolean;

  private constructor(url: string, { codec = "msgpack", headers = {} }: AlpacaStreamOptions) {
    this.#isPacked = codec === "msgpack";
    const type = this.#isPacked ? { "content-type": "application/msgpack" } : {};
    const options = { headers: { ...type, ...headers } } as unknown as string[];
    this.#socket = new WebSocket(url, options);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onmessage = ({ data }) => void this.frames.push(this.#read(data));
    this.#socket.onclose = ({ code, reason }) => {
      this.closed = { code, reason };
    };
  }

  /** Resolves when the server has greeted. @param url with the path. */
  static async open(url: string, options: AlpacaStreamOptions = {}): Promise<AlpacaStream> {
    const stream = new AlpacaStream(url, options);
    await until(() => stream.frames.length > 0 || stream.closed !== null);
    return stream;
  }

  /** Resolves when it is let in, and has what it has asked for. */
  static async subscribed(
    url: string,
    channels: Record<string, string[]>,
    options: AlpacaStreamOptions = {},
  ): Promise<AlpacaStream> {
    const stream = await AlpacaStream.open(url, options);
    stream.send({ action: "auth", key: "k", secret: "s" });
    stream.send({ action: "subscribe", ...channels });
    await stream.until(({ T }) => T === "subscription");
    return stream;
  }

  /** Of all frames, in order. */
  get messages(): ReadMessage[] {
    return this.frames.flat();
  }

  /** Those of one type. */
  of(type: string): ReadMessage[] {
    return this.messages.filter(({ T }) => T === type);
  }

  send(message: unknown): void {
    this.sendRaw(this.#isPacked ? encode(message) : JSON.stringify(message));
  }

  sendRaw(message: string | Uint8Array): void {
    this.#socket.send(message as string);
  }

  /** Resolves with the first such message of those that have come, or come. */
  async until(isMeant: (message: ReadMessage) => boolean): Promise<ReadMessage> {
    await until(() => this.messages.some(isMeant) || this.closed !== null);
    const found = this.messages.find(isMeant);
    if (found === undefined) throw new Error(`closed without such a message: ${JSON.stringify(this.closed)}`);
    return found;
  }

  /** Resolves when the server has closed it. */
  async end(): Promise<{ code: number; reason: string }> {
    await until(() => this.closed !== null);
    return this.closed!;
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }

  #read(data: string | ArrayBuffer): ReadMessage[] {
    const read =
      typeof data === "string" ? JSON.parse(data) : decode(new Uint8Array(data), { extensionCodec });
    if (!Array.isArray(read) || (typeof data === "string") === this.#isPacked)
      throw new Error(`got a frame of another form: ${JSON.stringify(read)}`);
    return read;
  }
}
