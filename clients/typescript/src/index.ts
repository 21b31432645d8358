/**
 * Client of Stock DB Server: `connect("http://localhost:8080")`. Nothing in here needs more than
 * what Node 20, Bun, Deno and browsers have in common.
 */
export { Client, connect } from "./client.ts";
export { Connection, type ConnectOptions } from "./connection.ts";
export {
  RequestError,
  type SaveCounts,
  SaveError,
  StockDBError,
  StreamError,
  UnreachableError,
} from "./errors.ts";
export type * from "./generated/api.ts";
export type { HistoryOptions, HistoryUpdate } from "./history-then-live.ts";
export type { Asking, Columns, Question, Rows, Told } from "./question.ts";
export { type BarRow, type Joined, Questions, type Symbols, type TickerRow } from "./questions.ts";
export type { SaveAnswer, Saving, SentBar, SentQuote, SentTrade } from "./saves.ts";
export type { Snapshot } from "./snapshots.ts";
export type { Batch, LeftBatch, OpenSpool, Spool, SpoolPlace } from "./spool-contract.ts";
export { fromMicroseconds, toDate, toMicroseconds } from "./stamps.ts";
export type { StateStorage } from "./state.ts";
export { Stream, type StreamOptions } from "./stream.ts";
export type * from "./updates.ts";
export type { WebSocketClass } from "./web-socket.ts";
export { type Refused, RefusedError, Writer, type WriterFigures, type WriterOptions } from "./writer.ts";
