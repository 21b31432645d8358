/** A replay over /ws/replay: stored rows as they came, as fast as somebody wants. */
import { askForKey, key } from "../../api/key.ts";
import type { LiveFrame, SocketFrame } from "../../api/live-frames.ts";
import { endSocket, socketUrl } from "../../api/live-socket.ts";

const CLOSE_NORMAL = 1000;
const CLOSE_KEY = 4401;

export interface ReplayWish {
  symbols: readonly string[];
  /** Inclusive, as the server takes them. */
  start: string;
  end: string;
  /** Times as fast as it happened, or `max`. */
  speed: string;
  /** Seconds; longer gaps, such as nights, are played as this long. */
  maxGap: number;
}

interface ReplayEvents {
  onFrame(frame: LiveFrame): void;
  /** What time it is in the replay. */
  onClock(stamp: string): void;
  /** @param problem null: it came to its end. */
  onEnd(problem: string | null): void;
}

/** @returns what ends it. */
export function openReplay(wish: ReplayWish, events: ReplayEvents): () => void {
  const { symbols, start, end, speed, maxGap } = wish;
  const url = socketUrl("ws/replay", {
    symbols: symbols.join(","),
    types: "trade,quote,bar",
    start,
    end: end === "" ? undefined : end,
    speed,
    max_gap: maxGap,
    frames: "normalized",
  });
  const socket = new WebSocket(url);
  let problem: string | null = null;
  let isOver = false;
  socket.onopen = () => {
    const token = key.peek();
    if (token !== null) socket.send(JSON.stringify({ action: "auth", token }));
  };
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data as string) as LiveFrame | SocketFrame;
    switch (frame.type) {
      case "heartbeat":
        events.onClock(frame.timestamp);
        return;
      // Where no keys are needed, a replay takes no message at all.
      case "error":
        problem = frame.error;
        return;
      case "batch":
      case "authenticated":
      case "subscription":
        return;
      default:
        events.onFrame(frame);
    }
  };
  socket.onclose = ({ code }) => {
    if (isOver) return;
    if (code === CLOSE_KEY && key.peek() === null) askForKey(problem ?? "A key is needed.");
    events.onEnd(code === CLOSE_NORMAL ? null : (problem ?? "The connection of the replay was lost."));
  };
  return () => {
    isOver = true;
    endSocket(socket);
  };
}
