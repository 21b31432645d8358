import type { RequestError } from "../protocol/errors.ts";

/** The body of an error, as TradingView's adapter reads it: it ignores the status. */
export function udfError({ message }: RequestError): object {
  return { s: "error", errmsg: message };
}
