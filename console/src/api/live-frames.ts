/** Frames of /ws, as `frames=normalized` has them (docs/live-updates.md). */

export interface Trade {
  timestamp: string;
  price: number | null;
  size: number | null;
}

export interface Quote {
  timestamp: string;
  bid_price: number | null;
  bid_size: number | null;
  ask_price: number | null;
  ask_size: number | null;
}

export interface Bar {
  timestamp: string;
  open: number | null;
  high: number | null;
  low: number | null;
  close: number | null;
  volume: number | null;
  vwap?: number | null;
  trade_count?: number | null;
}

interface Snapshot {
  quote: Quote | null;
  trade: Trade | null;
  /** By interval, such as `daily`. */
  bars: Record<string, Bar>;
}

interface Told {
  ticker: string;
  position: number | null;
  epoch?: string;
  /** So many updates are folded into it. */
  conflated?: number;
}

export type LiveFrame =
  | (Told & { type: "trade"; records: Trade[] })
  | (Told & { type: "quote"; records: Quote[] })
  | (Told & { type: "bar"; interval: string; records: Bar[] })
  | (Told & { type: "bars" | "updated_bars" | "partial_bars"; timeframe: string; records: Bar[] })
  | (Told & { type: "bars_gap"; timeframe: string; reason: string })
  | (Told & { type: "snapshot" } & Snapshot)
  | (Told & { type: "recovery"; recovered: boolean; snapshot?: Snapshot })
  | (Told & { type: "gap"; reason: string })
  | (Told & { type: "replay_end"; updates: number })
  | (Told & { type: "feed_stale" | "feed_alive" | "tick_delete" | "bar_delete" | "ticker_rename" });

/** What is of no one ticker. */
export type SocketFrame =
  | { type: "heartbeat"; timestamp: string; positions: Record<string, number>; epoch?: string }
  | { type: "batch"; updates: (LiveFrame | SocketFrame)[] }
  | { type: "error"; code: string; error: string }
  | { type: "authenticated"; name: string }
  | { type: "subscription"; epoch?: string };
