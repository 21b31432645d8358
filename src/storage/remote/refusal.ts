/** Turns an answer whose status isn't 200 into an error with its status and text. */
import { redact } from "../../config/redact.ts";
import { STATUS } from "../../protocol/codes.ts";
import { RequestError, wrongUpstream } from "../../protocol/errors.ts";
import { isObject, isText, type JsonRecord } from "../../protocol/json.ts";
import { readAll, readBeginning, SHORT_BYTES_MAX } from "./answer-body.ts";

const TEXT_SHOWN_MAX = 200;
/** Statuses with which `Retry-After` goes on to the client. */
const RETRIED_LATER: number[] = [STATUS.tooMany, STATUS.unavailable];
const WRONG_PATH = "--db-file must name the path of a stock database server";
/**
 * Statuses that only a proxy or another program gives to this server's requests. The client isn't
 * at fault.
 */
const MISDIRECTED: Record<number, string> = {
  401: "it, or a proxy before it, wants a user name and a password: those in the URL of --db-file are none, or not right",
  404: WRONG_PATH,
  405: WRONG_PATH,
  407: "a proxy before it wants a user name and a password",
};

/** A proxy's refusal: it doesn't tell what the upstream has done. */
export class ForeignRefusal extends RequestError {}

/** @throws WrongAnswerError it is too large. @throws what reading the body throws. */
export async function readRefusal(response: Response): Promise<RequestError> {
  const { status, headers } = response;
  const answered = `the upstream answered ${`${status} ${response.statusText}`.trim()}`;
  const text = (await readAll(await readBeginning(response, 0), SHORT_BYTES_MAX)).toString();
  const advice = MISDIRECTED[status];
  if (advice !== undefined) return wrongUpstream(answered, { hint: advice });
  if (status >= 300 && status < 400) {
    const location = redact(headers.get("location") ?? "nowhere").slice(0, TEXT_SHOWN_MAX);
    return wrongUpstream(`${answered}: it leads to ${location}`, {
      hint: "--db-file must name the server itself",
    });
  }
  const retryAfter = Number(headers.get("retry-after") ?? Number.NaN);
  const retryAfterS = RETRIED_LATER.includes(status) && Number.isInteger(retryAfter) ? retryAfter : undefined;
  const { error, message, details, hint } = parseBody(text);
  const words = error ?? message;
  if (isText(words))
    return new RequestError(status, words, { details: textOf(details), hint: textOf(hint), retryAfterS });
  if (status === STATUS.forbidden)
    return wrongUpstream(answered, { hint: "a proxy before it lets no request of this server pass" });
  const shown = text === "" ? undefined : text.slice(0, TEXT_SHOWN_MAX);
  return new ForeignRefusal(status >= 400 ? status : STATUS.wrongUpstream, answered, {
    details: shown,
    retryAfterS,
  });
}

function textOf(value: unknown): string | undefined {
  return isText(value) ? value : undefined;
}

/** Nothing, if it is a proxy's page. */
function parseBody(text: string): JsonRecord {
  try {
    const body: unknown = JSON.parse(text);
    return isObject(body) ? body : {};
  } catch {
    return {};
  }
}
