/**
 * The recorded transcripts of recorded/*.json: their shape, loading, and the days filled in for
 * `{{date±n}}`.
 */
import { join } from "node:path";
import { type Json, type JsonObject, parseJson } from "./json.ts";

export interface Step {
  id: string;
  about: string;
  request?: RecordedRequest;
  response?: RecordedResponse;
  /** WebSocket steps. */
  op?: "open" | "frames" | "http" | "send" | "ping" | "send_big" | "close" | "closed" | "raw";
  socket?: string;
  path?: string;
  headers?: Record<string, string>;
  compress?: boolean;
  text?: string;
  text_gen?: { char: string; count: number };
  hex?: string;
  bytes?: number;
  code?: number;
  send_hex?: string;
  /** Frames of this step are compared by count and by everything but their payload. */
  count_only?: boolean;
  result?: JsonObject;
  /** Paths that must be there but may differ. */
  volatile?: string[];
  /** Paths whose wording belongs to the recorded implementation; not compared. */
  impl_text?: string[];
  /** The recorded server is wrong here; see BUG_RULES in deviations.ts. */
  bugs?: string[];
  quirks?: string[];
}

export interface RecordedRequest {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: Json;
  /** Sent as it is, in UTF-8. */
  body_text?: string;
  body_hex?: string;
  body_gen?: GeneratedBody;
  /** Bytes of each chunk of a chunked body. */
  chunked?: number;
  gzip?: boolean;
  /** The whole request, one byte a character. */
  raw?: string;
}

export type GeneratedBody = PaddedBody | RowsBody;

/** A command with a member `pad` that makes the body exactly `bytes` long. */
export interface PaddedBody {
  kind: "pad";
  command: string;
  params: JsonObject;
  bytes: number;
}

/** A save of `count` rows at `start + i * step_s` whose values follow from i. */
export interface RowsBody {
  kind: "rows";
  shape: "bar" | "tick";
  params: JsonObject;
  index_col: string;
  start: string;
  step_s: number;
  /** As strftime has it. */
  format: string;
  count: number;
}

export interface RecordedResponse {
  /** 0: no answer. */
  status: number;
  content_type: string | null;
  body: Json;
  /** Absent: JSON. */
  body_encoding?: "json-nan" | "text" | "empty";
  connection_closes?: boolean;
}

export type TranscriptName = "bars" | "ticks" | "errors" | "http" | "indicators" | "ws" | "other";

export async function loadTranscript(name: TranscriptName): Promise<Step[]> {
  const text = await Bun.file(join(import.meta.dir, "recorded", `${name}.json`)).text();
  return parseJson(fillInDays(text, new Date())) as unknown as Step[];
}

/**
 * `{{date-3}}` is three days ago in UTC, which the server keeps; `{{et_date+1}}` is tomorrow in New
 * York.
 */
function fillInDays(text: string, now: Date): string {
  return text.replace(/\{\{(et_)?date([+-]\d+)?\}\}/g, (_all, newYork?: string, days?: string) => {
    const zone = newYork === undefined ? "UTC" : "America/New_York";
    const today = new Intl.DateTimeFormat("sv-SE", { timeZone: zone }).format(now);
    const day = new Date(`${today}T00:00:00Z`);
    day.setUTCDate(day.getUTCDate() + Number(days ?? 0));
    return day.toISOString().slice(0, 10);
  });
}
