/** One client's end of a WebSocket, whatever it speaks: /ws and the doors of other protocols. */
import type { ServerWebSocket } from "bun";
import type { Caller } from "../access/key-ring.ts";
import type { Arrival, ClientFigures } from "../connections/connection.ts";
import type { Meter, TrafficDoor } from "../metrics/traffic.ts";
import type { QueuedBytes } from "./request-queue.ts";
import type { TokenBucket } from "./token-bucket.ts";
import type { Turns } from "./turns.ts";
import type { LeftOutCounts } from "./waiting-updates.ts";

export interface SocketClient {
  /** What it watches, for the log. */
  readonly shown: string;
  /** Bytes of updates that wait beside those in Bun's buffer. */
  readonly waitingBytes: number;
  /** Whether anything waits that `pace` may move on. */
  readonly waits: boolean;
  /** Takes no longer where it has more subscriptions. */
  figures(): ClientFigures;
  /** What a list of connections shows beside them; may take as long as there are subscriptions. */
  details(): { tickers: string[]; lag_updates: number };
  start(): void;
  message(received: string | Buffer): void;
  /** Called after a publish, and when Bun's buffer is empty. */
  pace(): void;
  /** Closes a client that sends too much. */
  refuse(code: number, errorCode: string, reason: string): void;
  closed(): void;
}

export interface SocketData {
  /** A text: the client asks for nothing, and is closed with this reason. */
  open: OpenClient | string;
  /** Of the handshake. */
  path: string;
  /** Kept here, since Bun has forgotten it when the socket closes. */
  address: string;
  /** Whose key it is; null: it hasn't said so yet. */
  owner: Caller | null;
  arrival: Arrival;
  door: Extract<TrafficDoor, "websocket" | "alpaca">;
  /** Becomes that of its owner. */
  meter: Meter;
  /** Whether it counts among those of its address. */
  isCounted: boolean;
  client: SocketClient | null;
  rate: TokenBucket;
  heardMs: number;
  pingedMs: number;
  /** Since when it has read nothing of what waits; 0 when nothing waits. */
  stalledMs: number;
  /** Bytes in Bun's buffer at the last sweep. */
  backlog: number;
  /** When it was told to go; 0 before. */
  closingMs: number;
}

export type Socket = ServerWebSocket<SocketData>;
export type OpenClient = (socket: Socket, services: SocketServices) => SocketClient;

/** What a client needs of the worker's sockets. */
export interface SocketServices {
  counts: LeftOutCounts;
  queuedBytes: QueuedBytes;
  turns: Turns;
  /** Called for each frame that goes to this client alone. @param bytes of it. */
  onHeard(bytes: number): void;
  /**
   * Called with the reason before a slow client, or one that sends too much, is closed.
   * @param isAsked an operator wants it; it is no fault of the client.
   */
  onCutOff(reason: string, isAsked?: boolean): void;
  /** Called when a message met an unexpected error. */
  onFailed(error: unknown): void;
  warn(message: string): void;
}
