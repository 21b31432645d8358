/**
 * WebSockets whose clients have yet to say who they are, as those of browsers that can send no
 * headers: by their first message, within seconds. Then they become what they were opened for.
 */
import type { Server, ServerWebSocket, WebSocketHandler } from "bun";
import type { Callers } from "../access/callers.ts";
import type { KeyRates } from "../access/key-rates.ts";
import type { Caller } from "../access/key-ring.ts";
import type { Arrival } from "../connections/connection.ts";
import { bytesIn, type Meter, type Traffic } from "../metrics/traffic.ts";
import type { AuditLog } from "../observe/audit-log.ts";
import type { LogLines } from "../observe/log.ts";
import {
  CLOSE_FAILED,
  CLOSE_GOING_AWAY,
  CLOSE_KEY,
  CLOSE_POLICY,
  CLOSE_REASON_BYTES_MAX,
  CLOSE_TRY_LATER,
  STATUS,
} from "../protocol/codes.ts";
import { forbidden, RequestError, tooMany, unauthorized, unavailable } from "../protocol/errors.ts";
import { errorFrame } from "../protocol/frames.ts";
import { isObject } from "../protocol/json.ts";
import { MessageError, readJson } from "./live-request.ts";
import { type Holder, type SocketPlaces, upgradeAs } from "./socket-places.ts";

const FIRST_MESSAGE_MS_MAX = 5_000;
/** In one worker, of one address and of all. */
const PER_ADDRESS_MAX = 16;
const UNNAMED_MAX = 256;
/** Messages that come while the first one is looked at, and characters of all of them. */
const EARLY_MESSAGES_MAX = 16;
const EARLY_CHARACTERS_MAX = 64 * 1024;
/** From the close frame to the forced end of the connection. */
const CLOSE_WAIT_MS = 5_000;
const EXPECTED = 'expected {"action":"auth","token":"…"} with a key as the first message';

export interface UnnamedSocketData {
  kind: "unnamed";
  path: string;
  address: string;
  /** For the audit: the name of its key, once that is known. */
  who: string;
  /** What it becomes. @throws RequestError */
  prepare(caller: Caller): Promise<Holder>;
  timer: Timer | null;
  /** Messages after the first; null: that hasn't come. */
  early: string[] | null;
  earlyCharacters: number;
  isClosing: boolean;
}

type UnnamedSocket = ServerWebSocket<UnnamedSocketData>;

/** Where a WebSocket may be opened for. */
export interface Destination {
  /** Enters the place of its caller. @throws RequestError */
  prepare(query: URLSearchParams, by: Arrived & { caller: Caller }): Promise<Holder>;
}

interface Arrived {
  path: string;
  address: string;
  arrival: Arrival;
}

export interface UnnamedSocketsOptions {
  callers: Callers;
  rates: KeyRates;
  traffic: Traffic;
  places: SocketPlaces;
  /** Null: there is none. */
  audit: AuditLog | null;
  log: LogLines;
}

export class UnnamedSockets {
  readonly #options: UnnamedSocketsOptions;
  readonly #open = new Set<UnnamedSocket>();
  readonly #counts = new Map<string, number>();
  #count = 0;

  constructor(options: UnnamedSocketsOptions) {
    this.#options = options;
  }

  /**
   * @returns false when the handshake is incomplete.
   * @throws RequestError 429 and 503 too many have yet to say who they are.
   */
  upgrade(
    request: Request,
    server: Server<UnnamedSocketData>,
    query: URLSearchParams,
    { path, address, arrival, destination }: Arrived & { destination: Destination },
  ): boolean {
    const ofAddress = this.#counts.get(address) ?? 0;
    if (ofAddress >= PER_ADDRESS_MAX)
      throw tooMany(
        `${path}: ${address} has ${ofAddress} WebSockets that haven't said who they are, expected no more`,
      );
    if (this.#count >= UNNAMED_MAX)
      throw unavailable(`${path}: ${this.#count} WebSockets haven't said who they are, expected no more`);
    const data: UnnamedSocketData = {
      ...{
        kind: "unnamed",
        path,
        address,
        who: "-",
        timer: null,
        early: null,
        earlyCharacters: 0,
        isClosing: false,
      },
      prepare: (caller) => destination.prepare(query, { path, address, arrival, caller }),
    };
    this.#count++;
    this.#counts.set(address, ofAddress + 1);
    const upgraded = upgradeAs(request, server, data);
    if (!upgraded) this.#forget(address);
    return upgraded;
  }

  /** @param named handles those that have said who they are; its limits apply to all. */
  handler<Data extends object>(named: WebSocketHandler<Data>): WebSocketHandler<Data | UnnamedSocketData> {
    type Socket = ServerWebSocket<Data | UnnamedSocketData>;
    const asNamed = (socket: Socket): ServerWebSocket<Data> => socket as ServerWebSocket<Data>;
    const begin = (socket: UnnamedSocket, data: Holder, early: readonly string[]): void => {
      const begun = socket as unknown as ServerWebSocket<Data>;
      begun.data = data as unknown as Data;
      named.open?.(begun);
      for (const message of early) named.message?.(begun, message);
    };
    return {
      ...(named as object),
      open: (socket) => (isUnnamed(socket) ? this.#opened(socket) : named.open?.(asNamed(socket))),
      message: (socket, message) =>
        isUnnamed(socket)
          ? this.#received(socket, message, begin)
          : named.message?.(asNamed(socket), message as string),
      drain: (socket) => void (isUnnamed(socket) || named.drain?.(asNamed(socket))),
      ping: (socket, data) => void (isUnnamed(socket) || named.ping?.(asNamed(socket), data)),
      pong: (socket, data) => void (isUnnamed(socket) || named.pong?.(asNamed(socket), data)),
      close: (socket, code, reason) =>
        isUnnamed(socket) ? this.#closed(socket) : named.close?.(asNamed(socket), code, reason),
    };
  }

  closeAll(): void {
    for (const socket of this.#open) socket.close(CLOSE_GOING_AWAY, "server is stopping");
  }

  #opened(socket: UnnamedSocket): void {
    this.#open.add(socket);
    const late = unauthorized(`no message came within ${FIRST_MESSAGE_MS_MAX / 1_000} s, ${EXPECTED}`);
    socket.data.timer = setTimeout(() => this.#refuse(socket, late), FIRST_MESSAGE_MS_MAX);
  }

  #received(
    socket: UnnamedSocket,
    message: string | Buffer,
    begin: (socket: UnnamedSocket, data: Holder, early: readonly string[]) => void,
  ): void {
    const { data } = socket;
    if (data.isClosing) return;
    if (data.early === null) {
      data.early = [];
      // What looks at it has bounds of its own.
      if (data.timer !== null) clearTimeout(data.timer);
      // Those that follow are counted by what it becomes.
      this.#meterOf(data).received(bytesIn(message));
      void this.#name(socket, message, begin);
      return;
    }
    data.earlyCharacters += message.length;
    const isTooMuch = data.early.length >= EARLY_MESSAGES_MAX || data.earlyCharacters > EARLY_CHARACTERS_MAX;
    if (isTooMuch || typeof message !== "string")
      this.#refuse(socket, tooMany("too many messages before it is known who sends them"));
    else data.early.push(message);
  }

  async #name(
    socket: UnnamedSocket,
    message: string | Buffer,
    begin: (socket: UnnamedSocket, data: Holder, early: readonly string[]) => void,
  ): Promise<void> {
    const { data } = socket;
    try {
      const caller = await this.#identify(data, tokenIn(message));
      if (data.isClosing) return;
      const holder = await data.prepare(caller);
      if (data.isClosing) {
        this.#options.places.leave(holder);
        return;
      }
      this.#leave(socket);
      this.#send(socket, JSON.stringify({ type: "authenticated", name: caller.name }));
      begin(socket, holder, data.early!);
    } catch (error) {
      this.#refuse(socket, error);
    }
  }

  async #identify(data: UnnamedSocketData, token: string): Promise<Caller> {
    const { callers, rates, audit } = this.#options;
    const { address, path } = data;
    const caller = await callers.identify(token, data);
    data.who = caller.name;
    audit?.signedIn(caller.name, address);
    rates.check(caller, rates.countRequest(caller));
    if (!caller.may.has("stream")) throw forbidden(`${path}: the key ${caller.name} lacks the scope stream`);
    return caller;
  }

  #refuse(socket: UnnamedSocket, error: unknown): void {
    const { data } = socket;
    if (data.isClosing) return;
    this.#leave(socket);
    data.isClosing = true;
    const { closeCode, errorCode, reason } = endOf(error);
    if (closeCode === CLOSE_FAILED)
      this.#options.log.error(
        `${data.path} for ${data.address}: ${error instanceof Error ? error.stack : error}`,
      );
    else this.#noteRefusal(data, error as RequestError);
    this.#send(socket, errorFrame(errorCode, reason));
    socket.close(closeCode, reason.slice(0, CLOSE_REASON_BYTES_MAX));
    // Some clients don't even read the close frame.
    setTimeout(() => {
      if (socket.readyState !== WebSocket.CLOSED) socket.terminate();
    }, CLOSE_WAIT_MS).unref();
  }

  #send(socket: UnnamedSocket, text: string): void {
    this.#meterOf(socket.data).sent(bytesIn(text));
    socket.send(text);
  }

  #meterOf({ path }: UnnamedSocketData): Meter {
    return this.#options.traffic.meter(path === "/ws/replay" ? "replay" : "websocket");
  }

  #noteRefusal({ address, path, who }: UnnamedSocketData, { status, message }: RequestError): void {
    if (status !== STATUS.unauthorized && status !== STATUS.forbidden && status !== STATUS.tooMany) return;
    this.#options.audit?.refused({ who, from: address, outcome: status, path, error: message });
  }

  #closed(socket: UnnamedSocket): void {
    this.#leave(socket);
    socket.data.isClosing = true;
  }

  #leave(socket: UnnamedSocket): void {
    if (!this.#open.delete(socket)) return;
    if (socket.data.timer !== null) clearTimeout(socket.data.timer);
    this.#forget(socket.data.address);
  }

  #forget(address: string): void {
    this.#count--;
    const left = this.#counts.get(address)! - 1;
    if (left > 0) this.#counts.set(address, left);
    else this.#counts.delete(address);
  }
}

/** @throws RequestError 401 */
function tokenIn(message: string | Buffer): string {
  let read: unknown = null;
  try {
    read = readJson(typeof message === "string" ? message : null);
  } catch (error) {
    if (!(error instanceof MessageError)) throw error;
  }
  if (isObject(read) && read.action === "auth" && typeof read.token === "string") return read.token;
  throw unauthorized(EXPECTED);
}

function endOf(error: unknown): { closeCode: number; errorCode: string; reason: string } {
  if (!(error instanceof RequestError))
    return { closeCode: CLOSE_FAILED, errorCode: "failed", reason: "an internal server error occurred" };
  const reason = error.message;
  switch (error.status) {
    case STATUS.unauthorized:
      return { closeCode: CLOSE_KEY, errorCode: "key_not_valid", reason };
    case STATUS.forbidden:
      return { closeCode: CLOSE_KEY, errorCode: "not_allowed", reason };
    case STATUS.badRequest:
      return { closeCode: CLOSE_POLICY, errorCode: "bad_message", reason };
    default:
      return { closeCode: CLOSE_TRY_LATER, errorCode: "unavailable", reason };
  }
}

function isUnnamed(socket: ServerWebSocket<object>): socket is UnnamedSocket {
  return "kind" in socket.data && socket.data.kind === "unnamed";
}
