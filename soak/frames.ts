/** Frames of the server's WebSocket, as docs/live-updates.md describes them. */
import { KINDS, type Kind } from "./numbered-saves.ts";

export type Frame =
  | { kind: "update"; symbol: string; seq: number; type: Kind; records: unknown[] }
  | { kind: "heartbeat"; symbol: string; seq: number; epoch: string }
  /** Of a subscription to all tickers. */
  | { kind: "positions"; positions: Record<string, number>; epoch: string }
  /** The price or the snapshot that a new subscription begins with. */
  | { kind: "start"; symbol: string; seq: number; epoch: string }
  | { kind: "recovered"; symbol: string; seq: number; from: number; to: number; epoch: string }
  | { kind: "not-recovered"; symbol: string; seq: number; code: string; epoch: string }
  | { kind: "subscription"; epoch: string; subscriptions: { symbol: string; types: string[] }[] }
  | { kind: "last-positions"; positions: Record<string, number> }
  /** It can't be subscribed to a ticker now. */
  | { kind: "unavailable" }
  /** Whatever else there may be: none of it is expected here. */
  | { kind: "other" };

const OTHER: Frame = { kind: "other" };

// biome-ignore lint/suspicious/noExplicitAny: each member of a frame is looked at by itself.
type Json = any;

/** @param frame read as JSON. */
export function readFrame(frame: Json): Frame {
  const { symbol, data, seq, epoch } = frame;
  if (frame.type === "subscription" && Array.isArray(frame.subscriptions))
    return { kind: "subscription", epoch, subscriptions: frame.subscriptions };
  if (frame.type === "error" && frame.code === "unavailable") return { kind: "unavailable" };
  if (frame.type === "last_positions") return { kind: "last-positions", positions: frame.positions };
  if (typeof symbol !== "string" || typeof data !== "object" || data === null) return OTHER;
  if (data.type === "heartbeat" && symbol === "*" && typeof frame.positions === "object")
    return { kind: "positions", positions: frame.positions, epoch };
  if (!Number.isSafeInteger(seq)) return OTHER;
  if (Array.isArray(data)) return { kind: "update", symbol, seq, type: "bar", records: data };
  if (data.type === "heartbeat") return { kind: "heartbeat", symbol, seq, epoch };
  if (data.type === "initial_price" || data.type === "snapshot") return { kind: "start", symbol, seq, epoch };
  if (data.type === "recovery" && data.recovered === true)
    return { kind: "recovered", symbol, seq, from: data.from, to: data.to, epoch };
  if (data.type === "recovery") return { kind: "not-recovered", symbol, seq, code: data.code, epoch };
  const type = KINDS.find((kind) => kind === data.type);
  if (type === undefined || !Array.isArray(data.payload) || frame.conflated !== undefined) return OTHER;
  return { kind: "update", symbol, seq, type, records: data.payload };
}
