/** An answer of the upstream that isn't 200, as an error with its status and its text. */
import { redact } from "../../config/redact.ts";
import { STATUS } from "../../protocol/codes.ts";
import { RequestError, wrongUpstream } from "../../protocol/errors.ts";
import { isObject } from "../../protocol/json.ts";
import { readWhole, SHORT_BYTES_MAX } from "./answer-body.ts";
import { WrongAnswerError } from "./wrong-answer.ts";

const TEXT_SHOWN_MAX = 200;
/** Statuses with which `Retry-After` goes on to the client. */
const RETRIED_LATER: number[] = [STATUS.tooMany, STATUS.unavailable];
/**
 * What no stock database server says of a command, but one before it, or another program; the
 * client has done nothing wrong.
 */
const MISDIRECTED: Record<number, string> = {
  401: "it, or a proxy before it, wants a user name and a password: those in the URL of --db-file are none, or not right",
  404: "--db-file must name the path of a stock database server",
  405: "--db-file must name the path of a stock database server",
  407: "a proxy before it wants a user name and a password",
};

/** @throws what reading the body throws. */
export async function readRefusal(response: Response): Promise<RequestError> {
  const { status } = response;
  const answered = `the upstream answered ${`${status} ${response.statusText}`.trim()}`;
  const text = await readText(response);
  const advice = MISDIRECTED[status];
  if (advice !== undefined) return wrongUpstream(answered, { hint: advice });
  if (status >= 300 && status < 400) {
    const location = redact(response.headers.get("location") ?? "nowhere").slice(0, TEXT_SHOWN_MAX);
    return wrongUpstream(`${answered}: it leads to ${location}`, {
      hint: "--db-file must name the server itself",
    });
  }
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  const retryAfterS = RETRIED_LATER.includes(status) && Number.isInteger(retryAfter) ? retryAfter : undefined;
  const body = parseBody(text);
  const message = body?.error ?? body?.message;
  if (typeof message === "string") {
    const [details, hint] = [textOf(body?.details), textOf(body?.hint)];
    return new RequestError(status, message, { details, hint, retryAfterS });
  }
  // Not the server's own words: a proxy's, or none at all.
  if (status === STATUS.forbidden)
    return wrongUpstream(answered, { hint: "a proxy before it lets no request of this server pass" });
  const details = text === "" ? undefined : text.slice(0, TEXT_SHOWN_MAX);
  return new ForeignRefusal(status >= 400 ? status : STATUS.wrongUpstream, answered, {
    details,
    retryAfterS,
  });
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** Said by a proxy: it doesn't tell what the upstream has done. */
export class ForeignRefusal extends RequestError {}

/** Of one too large, nothing. */
async function readText(response: Response): Promise<string> {
  try {
    return (await readWhole(response, SHORT_BYTES_MAX)).toString();
  } catch (error) {
    if (error instanceof WrongAnswerError) return "";
    throw error;
  }
}

function parseBody(text: string): Record<string, unknown> | null {
  try {
    const body: unknown = JSON.parse(text);
    return isObject(body) ? body : null;
  } catch {
    return null; // not JSON: a proxy's page
  }
}
