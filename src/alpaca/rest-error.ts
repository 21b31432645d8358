import type { RequestError } from "../protocol/errors.ts";

/** The body of an error, as Alpaca's clients read it. Its code begins with the status. */
export function restError({ status, message }: RequestError): { code: number; message: string } {
  return { code: status * 100_000 + 10_000, message };
}
