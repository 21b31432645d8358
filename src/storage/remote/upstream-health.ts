/** Tells whether a stock database server answers /health: a login page has status 200 too. */
import { STATUS } from "../../protocol/codes.ts";
import { type RequestError, refusalOf } from "../../protocol/errors.ts";
import { isObject } from "../../protocol/json.ts";
import { readJsonObject, SHORT_BYTES_MAX } from "./answer-body.ts";
import { readRefusal } from "./refusal.ts";
import { shownBeginning, WrongAnswerError } from "./wrong-answer.ts";

const STATES: Record<number, string> = {
  200: "healthy",
  [STATUS.unavailable]: "unhealthy",
  [STATUS.circle]: "unhealthy",
};

export type UpstreamHealth =
  | { kind: "healthy"; database: string }
  /** @property refusal in the server's own words. */
  | { kind: "unhealthy"; refusal: RequestError }
  | { kind: "stranger"; finding: string };

/** @throws what reading throws when the connection is lost. */
export async function readHealth(response: Response): Promise<UpstreamHealth> {
  const { status } = response;
  const state = STATES[status];
  try {
    if (state === undefined) return { kind: "stranger", finding: (await readRefusal(response)).message };
    const body = await readJsonObject(response, SHORT_BYTES_MAX);
    const { database, message } = body;
    if (body.status === state && isObject(database) && typeof database.db_type === "string") {
      if (state === "healthy") return { kind: "healthy", database: database.db_type };
      return { kind: "unhealthy", refusal: refusalOf(status, { error: String(message) }) };
    }
    return noServer(status, shownBeginning(JSON.stringify(body)));
  } catch (error) {
    if (error instanceof WrongAnswerError) return noServer(status, error.message);
    throw error;
  }
}

function noServer(status: number, answer: string): UpstreamHealth {
  return {
    kind: "stranger",
    finding: `what answers there is no stock database server: its answer ${status} to /health is none; ${answer}`,
  };
}
