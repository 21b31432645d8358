import type { Answer } from "../commands/context.ts";
import { STATUS } from "../protocol/codes.ts";
import { RequestError } from "../protocol/errors.ts";
import type { Coding } from "./content-coding.ts";

const JSON_TYPE = "application/json; charset=utf-8";
const JSON_HEADERS = { "Content-Type": JSON_TYPE };
const CLOSING_HEADERS = { "Content-Type": JSON_TYPE, Connection: "close" };

/** Body sizes for the access log and the metrics, which would otherwise wait for Bun to count. */
const sizes = new WeakMap<Response, number>();

/** @returns bytes of the body; 0 if unknown, as for a stream. */
export function bodyBytes(response: Response): number {
  return sizes.get(response) ?? 0;
}

export function measured(response: Response, body: Answer): Response {
  if (typeof body === "string") sizes.set(response, Buffer.byteLength(body));
  else if (body instanceof Uint8Array) sizes.set(response, body.length);
  return response;
}

interface AnswerOptions {
  /** The worker drains: the client should use another connection. */
  isClosing: boolean;
  coding: Coding | null;
  headers: Record<string, string>;
}

export function answer(body: Answer, { isClosing, coding, headers: own }: AnswerOptions): Response {
  const headers = { ...(isClosing ? CLOSING_HEADERS : JSON_HEADERS), ...own };
  if (coding === null) return new Response(body as string, { headers });
  const packed = { ...headers, "Content-Encoding": coding, Vary: "Accept-Encoding" };
  return new Response(body as Uint8Array<ArrayBuffer>, { headers: packed });
}

export function jsonResponse(body: unknown, status: number, headers: Record<string, string> = {}): Response {
  const text = JSON.stringify(body);
  return measured(new Response(text, { status, headers: { ...JSON_HEADERS, ...headers } }), text);
}

/** The body of an error, where clients read another form than that of all doors. */
export type ErrorForm = (error: RequestError, requestId: string | null) => object;

/** @param error Anything thrown. What is no RequestError is our bug: 500; the caller logs it. */
export function errorResponse(
  error: unknown,
  form: ErrorForm | null = null,
  requestId: string | null = null,
): Response {
  if (!(error instanceof RequestError)) {
    return jsonResponse({ error: "An internal server error occurred." }, STATUS.ownFault);
  }
  return jsonResponse(form === null ? error.body() : form(error, requestId), error.status, headersOf(error));
}

function headersOf({ status, retryAfterS }: RequestError): Record<string, string> {
  const headers: Record<string, string> = {};
  if (retryAfterS !== undefined) headers["Retry-After"] = String(retryAfterS);
  // Nothing reads the rest of a refused body.
  if (status === STATUS.tooLarge) headers.Connection = "close";
  if (status === STATUS.unauthorized) headers["WWW-Authenticate"] = 'Bearer realm="stock-db-server"';
  return headers;
}
