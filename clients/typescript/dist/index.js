/**
 * Client of Stock DB Server: `connect("server://localhost:8080")`. Nothing in here needs more than
 * what Node 20, Bun, Deno and browsers have in common.
 */
export { Client, connect } from "./client.js";
export { Connection } from "./connection.js";
export { RequestError, SaveError, StockDBError, StreamError, UnreachableError, } from "./errors.js";
export { Questions } from "./questions.js";
export { fromMicroseconds, toDate, toMicroseconds } from "./stamps.js";
export { Stream } from "./stream.js";
export { RefusedError } from "./writer.js";
