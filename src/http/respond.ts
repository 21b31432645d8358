/** The way of an answer of 200 to its client. */
import type { Answer } from "../commands/context.ts";
import { bytesIn } from "../metrics/traffic.ts";
import type { Call } from "./call.ts";
import { codingOf, isWorthPacking, packStream, packWhole } from "./content-coding.ts";
import { answer, measured } from "./responses.ts";
import { LARGE_BYTES } from "./whole-answers.ts";

/**
 * Large answers go through the spool: a slow client then delays no others.
 * @param headers beside those of every answer; Content-Type where it isn't JSON.
 */
export async function respond(
  body: Answer,
  call: Call,
  headers: Record<string, string> = {},
): Promise<Response> {
  const { options, request, path } = call;
  const { spool, wholeAnswers, accessLog, isDraining } = options;
  const isLarge = !(body instanceof ReadableStream) && body.length > LARGE_BYTES;
  let sent = isLarge ? wholeAnswers.inPieces(body) : body;
  const coding =
    sent instanceof ReadableStream || isWorthPacking(sent)
      ? codingOf(request.headers.get("accept-encoding"))
      : null;
  if (coding !== null)
    sent = sent instanceof ReadableStream ? packStream(sent, coding) : await packWhole(sent, coding);
  const sentBytes = sent instanceof ReadableStream ? 0 : bytesIn(sent);
  if (sent instanceof ReadableStream) sent = spool.through(sent, call.address, call.hold());
  const response = answer(sent, { isClosing: isDraining(), coding, headers });
  call.sentBytes = sentBytes;
  return accessLog.wants(200, path) ? measured(response, coding === null ? body : sent) : response;
}
