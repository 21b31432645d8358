/**
 * Replays a recorded transcript against a fresh server with an empty database, step by step, in
 * order.
 */
import { SQLITE } from "./backends.ts";
import type { Outcome } from "./compare.ts";
import { exchange, type HttpAnswer } from "./http-exchange.ts";
import { type Json, parseJson, parseLooseJson } from "./json.ts";
import { judge } from "./judge.ts";
import { WebSocketReplay } from "./replay-web-socket.ts";
import { requestBytes } from "./request-bytes.ts";
import { loadTranscript, type RecordedResponse, type Step, type TranscriptName } from "./transcript.ts";

const ANSWER_DEADLINE_MS = 20_000;
/** How long a server that should say nothing is listened to. */
const SILENCE_MS = 1_000;

/**
 * Raw requests of the transcripts name the host `x`. Heartbeats come faster than a second, to wait
 * less for them. Today was that of the recorded server's clock.
 */
const FLAGS = ["--allow-host", "x", "--heartbeat-interval", "0.25", "--market-timezone", "UTC"];

export interface StepReport {
  step: Step;
  /** Nothing if the step went as it should. */
  differences: string[];
}

export async function replay(name: TranscriptName, workers = 1, backend = SQLITE): Promise<StepReport[]> {
  const steps = await loadTranscript(name);
  await using stack = new AsyncDisposableStack();
  const server = await backend.start({ flags: FLAGS, workers }, stack);
  using webSockets = new WebSocketReplay(server.port);
  const reports: StepReport[] = [];
  for (const step of steps) {
    const recorded = recordedOutcome(step);
    const got = step.request === undefined ? await webSockets.run(step) : await runRequest(step, server.port);
    const differences = judge(got, { step, recorded, steps });
    reports.push({ step, differences: [...differences, ...webSockets.takeFaults()] });
  }
  reports.at(-1)?.differences.push(...(await webSockets.unreadFrames()));
  return reports;
}

function recordedOutcome(step: Step): Outcome {
  const { response, result } = step;
  if (response === undefined) return result ?? {};
  const outcome: Outcome = {
    status: response.status,
    content_type: normalizeType(response.content_type),
    body: recordedBody(response),
  };
  if (response.connection_closes !== undefined) outcome.connection_closes = response.connection_closes;
  return outcome;
}

function recordedBody({ body, body_encoding }: RecordedResponse): Json {
  return body_encoding === "json-nan" && typeof body === "string" ? parseLooseJson(body) : body;
}

async function runRequest(step: Step, port: number): Promise<Outcome> {
  const request = step.request ?? {};
  const isLast =
    request.headers?.Connection === "close" ||
    /connection: close|HTTP\/1\.0\r\n\r\n/i.test(request.raw ?? "");
  const answer = await exchange({
    port,
    request: requestBytes(request, `127.0.0.1:${port}`),
    isHead: request.method === "HEAD",
    untilClosed: isLast,
    deadlineMs: step.response?.status === 0 ? SILENCE_MS : ANSWER_DEADLINE_MS,
  });
  const outcome: Outcome = {
    status: answer.status,
    content_type: normalizeType(answer.headers.get("content-type") ?? null),
    body: readBody(answer, step.response),
    connection_closes: answer.closed || answer.headers.get("connection")?.toLowerCase() === "close",
  };
  const allow = answer.headers.get("allow");
  if (allow !== undefined) outcome.allow = allow;
  return outcome;
}

function readBody(answer: HttpAnswer, recorded: RecordedResponse | undefined): Json {
  const text = answer.body.toString();
  // After an interim answer the recording has the rest of the stream in its place.
  if (answer.status === 100) return answer.rest.toString("latin1");
  if (recorded?.body_encoding === "text") return text;
  if (text === "") return null;
  if (!normalizeType(answer.headers.get("content-type") ?? null)?.startsWith("application/json")) return text;
  try {
    return parseJson(text);
  } catch (error) {
    return `not JSON (${String(error)}): ${text}`;
  }
}

function normalizeType(type: string | null): string | null {
  return type === null ? null : type.toLowerCase().replace(/;\s*/g, "; ");
}
