import type { RequestError } from "../protocol/errors.ts";

/** The body of an error, as Polygon's clients read it. */
export function restError({ message }: RequestError, requestId: string | null): object {
  return { status: "ERROR", request_id: requestId ?? newRequestId(), error: message };
}

export function newRequestId(): string {
  return crypto.randomUUID().replaceAll("-", "");
}
