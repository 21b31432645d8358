/** A WebSocket that plays history, read to its close. */
import { waitUntil } from "./server.ts";

export interface ReplayFrame {
  symbol: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it as they please.
  data: any;
  atMs: number;
}

export class ReplayClient implements AsyncDisposable {
  readonly frames: ReplayFrame[] = [];
  closed: { code: number; reason: string } | null = null;
  readonly socket: WebSocket;

  constructor(wsUrl: string, query: Record<string, string>) {
    this.socket = new WebSocket(`${wsUrl}/ws/replay?${new URLSearchParams(query)}`);
    this.socket.onmessage = ({ data }) => {
      this.frames.push({ ...JSON.parse(String(data)), atMs: performance.now() });
    };
    this.socket.onclose = ({ code, reason }) => {
      this.closed = { code, reason };
    };
  }

  /** Frames of saves: neither heartbeats nor the end. */
  get updates(): ReplayFrame[] {
    return this.frames.filter(({ data }) => data !== undefined && !OTHERS.has(data.type));
  }

  ofType(type: string): ReplayFrame[] {
    return this.frames.filter(({ data }) => data?.type === type);
  }

  async untilClosed(): Promise<{ code: number; reason: string }> {
    return await waitUntil("the replay is closed", () => this.closed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.close();
    await this.untilClosed();
  }
}

const OTHERS = new Set(["heartbeat", "replay_end"]);
