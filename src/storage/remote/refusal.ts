/** An answer of the upstream that isn't 200, as an error with its status and its text. */
import { RequestError } from "../../protocol/errors.ts";
import { isObject } from "../../protocol/json.ts";

const TEXT_SHOWN_MAX = 200;
/** Statuses with which `Retry-After` goes on to the client. */
const RETRIED_LATER = new Set([429, 503]);

/** @throws what reading the body throws. */
export async function readRefusal(response: Response): Promise<RequestError> {
  const text = await response.text();
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  const retryAfterS =
    RETRIED_LATER.has(response.status) && Number.isInteger(retryAfter) ? { retryAfterS: retryAfter } : {};
  const body = parseBody(text);
  const message = body?.error ?? body?.message;
  if (typeof message === "string") {
    return new RequestError(response.status, message, {
      ...(typeof body?.details === "string" ? { details: body.details } : {}),
      ...(typeof body?.hint === "string" ? { hint: body.hint } : {}),
      ...retryAfterS,
    });
  }
  // Not the server's own words: a proxy's, or none at all.
  const status = `${response.status} ${response.statusText}`.trim();
  return new RequestError(response.status >= 400 ? response.status : 502, `the upstream answered ${status}`, {
    ...(text === "" ? {} : { details: text.slice(0, TEXT_SHOWN_MAX) }),
    ...retryAfterS,
  });
}

function parseBody(text: string): Record<string, unknown> | null {
  try {
    const body: unknown = JSON.parse(text);
    return isObject(body) ? body : null;
  } catch {
    return null; // not JSON: a proxy's page
  }
}
