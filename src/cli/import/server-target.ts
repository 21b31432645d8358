/**
 * Sends the rows of an import or a replay to a running server. It tries again, since a save can be
 * repeated without harm.
 */
import { redact } from "../../config/redact.ts";
import { STATUS } from "../../protocol/codes.ts";
import { type Backoff, backoffMs, jittered, sleep } from "../../time/pauses.ts";
import { askServer, NoAnswer, refusalIn, type ServerAnswer } from "../server-client.ts";
import { type SentSave, toArrowRequest, toJsonRequest } from "./sent-save.ts";
import { answerOf, type ImportTarget, type SaveAnswer, type SaveCommand, TargetError } from "./target.ts";

export interface ServerTargetOptions {
  /** Without a slash at its end. */
  url: string;
  /** Pause before the given retry, 1 the first, in ms. */
  retryDelayMs?: (retry: number) => number;
  /** Ends the asking again. */
  signal?: AbortSignal;
}

/** With the pauses at least 8 s: longer than the server takes to restart. */
const ATTEMPTS_MAX = 8;
const RETRY: Backoff = { firstMs: 100, maxMs: 5_000 };
/** A server that asks for a longer pause than this is asked again all the same. */
const RETRY_AFTER_MAX_MS = 30_000;
const ANSWER_TIMEOUT_MS = 60_000;
const RETRIED_STATUSES: number[] = [STATUS.tooMany, STATUS.unavailable];

export function serverTarget({
  url,
  retryDelayMs = (retry) => jittered(backoffMs(RETRY, retry)),
  signal = new AbortController().signal,
}: ServerTargetOptions): ImportTarget {
  let everAnswered = false;
  /** An older server doesn't. */
  let takesArrow = true;

  async function save(command: SaveCommand): Promise<SaveAnswer> {
    let request = (takesArrow ? await toArrowRequest(command) : null) ?? toJsonRequest(command);
    let lastReason = "";
    let pauseMs = 0;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX && !signal.aborted; attempt++) {
      if (attempt > 1) await sleep(Math.max(retryDelayMs(attempt - 1), pauseMs), signal);
      if (signal.aborted) break;
      let answer = await post(request);
      if (request.arrow !== null && "status" in answer && answer.status === STATUS.wrongMediaType) {
        takesArrow = false;
        request = toJsonRequest(command);
        answer = await post(request);
      }
      if (answer instanceof NoAnswer) {
        lastReason = answer.message;
        pauseMs = 0;
        continue;
      }
      if (answer.status === 200) return answerOf(answer.body, rowsOf(command), 0);
      lastReason = reasonOf(answer);
      pauseMs = pauseOf(answer);
      if (!RETRIED_STATUSES.includes(answer.status))
        throw new RefusedError(`${redact(url)} refused the rows: ${lastReason}`);
    }
    if (signal.aborted) throw new TargetError(`stopped before ${redact(url)} had stored the rows`);
    throw new TargetError(`${redact(url)} did not store the rows in ${ATTEMPTS_MAX} attempts: ${lastReason}`);
  }

  /** @throws TargetError Nothing listens there, and nothing did before. */
  async function post(request: SentSave): Promise<ServerAnswer | NoAnswer> {
    try {
      const answer = await askServer(`${url}/db_command`, { ...request, timeoutMs: ANSWER_TIMEOUT_MS });
      everAnswered = true;
      return answer;
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      if (everAnswered || !error.isRefused) return error;
      throw new TargetError(
        `cannot reach ${redact(url)}: ${error.message}. Is the server running? --to names another server, --db-file a database file`,
      );
    }
  }

  return { name: redact(url), knowsRequests: true, takesParts: true, save: inParts(save), close() {} };
}

/** Sending it again as it is wouldn't help. */
class RefusedError extends TargetError {}

/** A refused request is sent part by part: it may be too large, or one row be wrong. */
function inParts(save: ImportTarget["save"]): ImportTarget["save"] {
  return async (command) => {
    try {
      return await save(command);
    } catch (error) {
      if (!(error instanceof RefusedError) || (command.columns?.length ?? 0) < 2) throw error;
      const answers: SaveAnswer[] = [];
      for (const part of partsOf(command)) answers.push(await save(part));
      return sumOf(answers);
    }
  };
}

function partsOf({ columns = [], params, ...shared }: SaveCommand): SaveCommand[] {
  const occurrences = params.occurrences as unknown[];
  let at = 0;
  return columns.map((part) => {
    const ofPart = occurrences.slice(at, at + part.rows);
    at += part.rows;
    return { ...shared, params: { ...params, occurrences: ofPart }, columns: [part] };
  });
}

function sumOf(answers: SaveAnswer[]): SaveAnswer {
  return answers.reduce((all, each) => ({
    stored: all.stored + each.stored,
    replaced: all.replaced + each.replaced,
    repeated: all.repeated + each.repeated,
    skipped: all.skipped + each.skipped,
    epoch: each.epoch,
  }));
}

function rowsOf({ params, columns }: SaveCommand): number {
  if (columns !== undefined) return columns.reduce((sum, { rows }) => sum + rows, 0);
  return Array.isArray(params.data) ? params.data.length : 0;
}

/** A proxy's answer, or Bun's bare 413, has no words of the server's. */
function reasonOf({ status, statusLine, body }: ServerAnswer): string {
  const refusal = refusalIn(body);
  if (refusal !== null) return `${refusal} (${statusLine})`;
  if (status !== STATUS.tooLarge) return statusLine;
  return `${statusLine}: a batch is over its --max-body-mb; try a smaller --batch`;
}

/** `Retry-After` in seconds; its other form, a date, is not what this server sends. */
function pauseOf({ headers }: ServerAnswer): number {
  const seconds = Number(headers.get("retry-after") ?? 0);
  return seconds >= 0 ? Math.min(seconds * 1_000, RETRY_AFTER_MAX_MS) : 0;
}
