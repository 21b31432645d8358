/**
 * Client of Stock DB Server: `connect("http://localhost:8080")`. Nothing in here needs more than
 * what Node 20, Bun, Deno and browsers have in common.
 */
export { Client, connect } from "./client.js";
export { RequestError, SaveError, StockDBError, StreamError, UnreachableError, } from "./errors.js";
export { fromMicroseconds, toDate, toMicroseconds } from "./stamps.js";
export { RefusedError } from "./writer.js";
