/**
 * The WebSocket steps of a transcript. The recording waited for fixed times; here each step waits
 * until what it expects has come, and then for the pong of a ping of its own: what the server had
 * sent before is in by then.
 */
import { RawWebSocket, type RawWebSocketOptions } from "../support/raw-web-socket.ts";
import { waitUntil } from "../support/server.ts";
import type { SocketMessage } from "../support/web-socket-messages.ts";
import type { Outcome } from "./compare.ts";
import { DEVIATIONS } from "./deviations.ts";
import { isObject, type Json, type JsonObject, parseJson } from "./json.ts";
import type { Step } from "./transcript.ts";

const DEADLINE_MS = 15_000;
/**
 * Steps where fewer frames, or no close, may be right: there the recorded number is not waited for
 * as long.
 */
const DOUBTFUL_DEADLINE_MS = 200;
/** What the recording's client offered, so that the server may compress. */
const COMPRESSION = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
const MASK = Buffer.from([1, 2, 3, 4]);
const HEARTBEAT_STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z$/;

interface Client {
  socket: RawWebSocket;
  symbol: string;
  heartbeats: JsonObject[];
  /** What has come and no step has looked at: frames and pongs, without heartbeats. */
  frames: JsonObject[];
  faults: string[];
  /** Of the last frame; null before the first. */
  position: number | null;
}

export class WebSocketReplay implements Disposable {
  readonly #port: number;
  readonly #clients = new Map<string, Client>();
  #pings = 0;

  constructor(port: number) {
    this.#port = port;
  }

  async run(step: Step): Promise<Outcome> {
    if (step.op === "open") return await this.#open(step);
    if (step.op === "raw") return await this.#raw(step);
    const client = this.#clients.get(step.socket ?? "");
    if (client === undefined) throw new Error(`${step.id}: no socket ${step.socket}`);
    if (step.op === "frames") return await this.#frames(step, client);
    if (step.op === "closed") return await this.#closed(step, client);
    if (step.op === "close") {
      client.socket.close(step.code ?? 1000);
      await waitUntil("the server answers the close", () => client.socket.ended, DEADLINE_MS);
      return { closed: true };
    }
    if (step.op === "ping") client.socket.ping(step.text ?? "");
    else if (step.hex !== undefined) client.socket.sendBinary(Buffer.from(step.hex, "hex"));
    else client.socket.sendText(textOf(step));
    return {};
  }

  /** Heartbeats that weren't right, since the last time. */
  takeFaults(): string[] {
    return [...this.#clients.values()].flatMap(({ faults }) => faults.splice(0));
  }

  /** Frames that the open sockets got and no step expected. */
  async unreadFrames(): Promise<string[]> {
    const unread: string[] = [];
    for (const [name, client] of this.#clients) {
      await this.#sync(client);
      for (const frame of client.frames) unread.push(`socket ${name}: unexpected ${Bun.inspect(frame)}`);
    }
    return unread;
  }

  [Symbol.dispose](): void {
    for (const { socket } of this.#clients.values()) socket[Symbol.dispose]();
  }

  async #open(step: Step): Promise<Outcome> {
    const path = step.path ?? "/ws";
    const headers = {
      ...(step.compress === true ? { "Sec-WebSocket-Extensions": COMPRESSION } : {}),
      ...step.headers,
    };
    const socket = await this.#connect(path, { headers, answersClose: true });
    const symbol = new URLSearchParams(path.split("?")[1] ?? "").get("symbol") ?? "";
    this.#clients.set(step.socket ?? "", {
      socket,
      symbol,
      heartbeats: [],
      frames: [],
      faults: [],
      position: null,
    });
    const { status, headers: answered } = socket.handshake;
    // The first frame proves that it is subscribed: what the next step saves reaches it.
    const isSubscribed = () => socket.messages.length > 0 || socket.ended;
    if (status === 101) await waitUntil("the first frame", isSubscribed, DEADLINE_MS);
    return {
      status,
      sec_websocket_extensions: answered.get("sec-websocket-extensions") ?? null,
      sec_websocket_protocol: answered.get("sec-websocket-protocol") ?? null,
    };
  }

  async #connect(path: string, options: RawWebSocketOptions): Promise<RawWebSocket> {
    return await RawWebSocket.ask(this.#port, path, { mask: MASK, ...options });
  }

  async #frames(step: Step, client: Client): Promise<Outcome> {
    const recorded = Array.isArray(step.result?.frames) ? step.result.frames.length : 0;
    const wantsHeartbeat = Number(step.result?.heartbeats_seen ?? 0) > 0;
    await this.#until(step, () => {
      this.#sort(client);
      return client.frames.length >= recorded && (!wantsHeartbeat || client.heartbeats.length > 0);
    });
    await this.#sync(client);
    const frames = client.frames.splice(0);
    const [heartbeat] = client.heartbeats;
    const heartbeats = client.heartbeats.splice(0).length;
    return {
      frames: step.count_only === true ? frames.map(summarize) : frames,
      heartbeats_seen: heartbeats,
      ...(heartbeat === undefined ? {} : { heartbeat_example: heartbeat }),
    };
  }

  async #closed(step: Step, client: Client): Promise<Outcome> {
    await this.#until(step, () => client.socket.closeFrame !== null || client.socket.ended);
    if (client.socket.closeFrame === null && !client.socket.ended) {
      await this.#sync(client);
    }
    const { closeFrame, ended } = client.socket;
    if (closeFrame === null) return { closed: ended };
    return { closed: true, code: closeFrame.code, reason: closeFrame.reason };
  }

  /** Sends bytes of the recording and lists the control frames that come back. */
  async #raw(step: Step): Promise<Outcome> {
    // The close frame of the server stays without an answer.
    const socket = await this.#connect(step.path ?? "/ws", {});
    const { handshake } = socket;
    void socket.send(Buffer.from(step.send_hex ?? "", "hex"));
    const client: Client = { socket, symbol: "RAW", heartbeats: [], frames: [], faults: [], position: null };
    const recorded = step.result?.frames_without_heartbeats;
    const mustEnd = step.result?.tcp_closed_by_server === true;
    await this.#until(step, () => {
      this.#sort(client);
      const frames = client.frames.length + (socket.closeFrame === null ? 0 : 1);
      return frames >= (Array.isArray(recorded) ? recorded.length : 0) && (!mustEnd || socket.ended);
    });
    if (socket.closeFrame === null && !socket.ended) await this.#sync(client);
    const outcome: Outcome = {
      handshake: [
        handshake.statusLine,
        ...["upgrade", "connection", "sec-websocket-accept"].map(
          (name) => `${name}: ${handshake.headers.get(name)?.toLowerCase()}`,
        ),
      ],
      frames_without_heartbeats: [
        ...client.frames.map((frame) =>
          frame.kind === "pong" ? { opcode: 10, payload: frame.payload ?? null } : frame,
        ),
        ...(socket.closeFrame === null ? [] : [{ opcode: 8, ...socket.closeFrame }]),
      ],
      tcp_closed_by_server: socket.ended,
    };
    socket[Symbol.dispose]();
    return outcome;
  }

  async #until(step: Step, condition: () => boolean): Promise<void> {
    const isDoubtful = step.bugs !== undefined || DEVIATIONS.some(({ steps }) => steps.includes(step.id));
    const deadline = performance.now() + (isDoubtful ? DOUBTFUL_DEADLINE_MS : DEADLINE_MS);
    while (!condition() && performance.now() < deadline) await Bun.sleep(5);
  }

  /** Everything that the server sent before it read this ping has come when its pong has. */
  async #sync(client: Client): Promise<void> {
    if (client.socket.ended || client.socket.closeFrame !== null) return this.#sort(client);
    this.#pings += 1;
    const payload = `sync ${this.#pings}`;
    client.socket.ping(payload);
    const isPong = (frame: JsonObject): boolean => frame.kind === "pong" && frame.payload === payload;
    await waitUntil(
      "the pong",
      () => {
        this.#sort(client);
        return client.frames.some(isPong) || client.socket.ended;
      },
      DEADLINE_MS,
    );
    client.frames = client.frames.filter((frame) => !isPong(frame));
  }

  /**
   * Takes the heartbeats out and checks them; takes off what this server adds, and checks that too.
   */
  #sort(client: Client): void {
    for (const message of client.socket.messages.splice(0)) {
      if (message.kind === "close") continue;
      const frame = describe(message);
      const json = isObject(frame.json) ? frame.json : {};
      if (json.type === "error" && typeof json.code === "string" && typeof json.error === "string") continue;
      const data = isObject(json.data) ? json.data : {};
      if (json.symbol !== undefined) this.#checkPosition(client, json, data);
      if (data.type !== "heartbeat") {
        client.frames.push(frame);
        continue;
      }
      client.heartbeats.push(json);
      if (json.symbol !== client.symbol || !HEARTBEAT_STAMP.test(String(data.timestamp))) {
        client.faults.push(`a strange heartbeat: ${Bun.inspect(json)}`);
      }
    }
  }

  /** Each update is one further; every other frame is where the updates before it were. */
  #checkPosition(client: Client, json: JsonObject, data: JsonObject): void {
    const { seq, epoch } = json;
    delete json.seq;
    delete json.epoch;
    delete json.index_col;
    const isUpdate = data.type !== "heartbeat" && data.type !== "initial_price";
    const expected = client.position === null ? Number(seq) : client.position + (isUpdate ? 1 : 0);
    client.position = Number(seq);
    if (seq !== expected || (!isUpdate && typeof epoch !== "string"))
      client.faults.push(`position ${seq} of epoch ${epoch}, expected ${expected}: ${Bun.inspect(json)}`);
  }
}

function describe(message: Exclude<SocketMessage, { kind: "close" }>): JsonObject {
  if (message.kind !== "text") return { ...message };
  try {
    return { kind: "text", json: parseJson(message.text) };
  } catch {
    return { kind: "text", not_json: message.text };
  }
}

/** For frames too long to record. */
function summarize(frame: JsonObject): JsonObject {
  const { json } = frame;
  if (!isObject(json) || !isObject(json.data)) return frame;
  const { payload, ...data } = json.data;
  const records: Json = Array.isArray(payload) ? payload.length : null;
  return { kind: "text", payload_records: records, json_without_payload: { ...json, data } };
}

function textOf(step: Step): string {
  if (step.text_gen !== undefined) return step.text_gen.char.repeat(step.text_gen.count);
  return step.bytes === undefined ? (step.text ?? "") : "x".repeat(step.bytes);
}
