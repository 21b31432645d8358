/**
 * What a worker and its runner say to each other over the runner's stdin and stdout: frames of a
 * 32-bit length (little endian) and JSON, and the raw bytes of an answer's rows behind the frame
 * that announces them.
 *
 * Pipes, because the end of the one process is then the end of the other's input, and there is no
 * path to clean up. They alone would give no backpressure: Bun reads a child's output ahead into
 * memory without bound. So the runner sends one window of an answer and waits for `more` before the
 * next.
 */
import type { ErrorBody } from "../protocol/errors.ts";
import type { SqlParam, UserSqlRequest } from "../storage/user-sql-contract.ts";

/**
 * An answer up to this size comes at once; a larger one in windows of it, each asked for, also the
 * first.
 */
export const WINDOW_BYTES = 256 * 1024;
/** More than any announcement needs. */
export const ANNOUNCEMENT_BYTES_MAX = 64 * 1024;

export type ToRunner = { type: "query"; request: WireRequest } | { type: "more" };

export type FromRunner =
  /**
   * The commit comes next: from here on a killed runner may have changed something, before it
   * can't.
   */
  | { type: "committing" }
  | { type: "rows"; rows: number; changed?: number | undefined; bytes: number }
  | { type: "needs-write" }
  | ({ type: "error"; httpStatus: number } & ErrorBody);

/** JSON has no place for 64-bit integers that a double can't hold. */
type WireParam = null | string | number | boolean | { integer: string };
type WireRequest = Omit<UserSqlRequest, "params"> & { params: WireParam[] };

export function encodeQuery(request: UserSqlRequest): Uint8Array {
  return encodeFrame({ type: "query", request: { ...request, params: request.params.map(toWire) } });
}

export function decodeQuery({ params, ...rest }: WireRequest): UserSqlRequest {
  return { ...rest, params: params.map(fromWire) };
}

export function encodeFrame(message: ToRunner | FromRunner): Uint8Array {
  const body = Buffer.from(JSON.stringify(message));
  const frame = Buffer.allocUnsafe(4 + body.length);
  frame.writeUInt32LE(body.length);
  frame.set(body, 4);
  return frame;
}

function toWire(param: SqlParam): WireParam {
  return typeof param === "bigint" ? { integer: String(param) } : param;
}

function fromWire(param: WireParam): SqlParam {
  return typeof param === "object" && param !== null ? BigInt(param.integer) : param;
}
