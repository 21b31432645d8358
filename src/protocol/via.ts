/**
 * Finds circles of servers in front of each other. A request for /health carries the ids of the
 * servers that it has passed, so that it doesn't run in the circle for ever.
 */
import { STATUS } from "./codes.ts";
import { RequestError } from "./errors.ts";

export const VIA_HEADER = "Stock-Db-Via";
/** Most servers in front of one another. */
export const VIA_LENGTH_MAX = 16;

/**
 * @param via The header as received; null when the request comes from a client.
 * @param id This server's.
 * @returns The header to send.
 * @throws RequestError 508 The request has passed this server before, or too many others.
 */
export function passVia(via: string | null, id: string): string {
  const passed = via === null || via === "" ? [] : via.split(",");
  if (passed.includes(id)) {
    throw new RequestError(STATUS.circle, "this server is its own upstream: --db-file leads in a circle");
  }
  if (passed.length >= VIA_LENGTH_MAX) {
    throw new RequestError(STATUS.circle, `more than ${VIA_LENGTH_MAX} servers in front of one another`);
  }
  return [...passed, id].join(",");
}
