/**
 * POST of /v1/bars, /v1/trades and /v1/quotes: a body of rows is stored. A JSON object without rows
 * has the parameters of a question.
 */

import type { WrittenTable } from "../../commands/writes/sent-names.ts";
import { readWrite } from "../../commands/writes/write-parameters.ts";
import { writeRows } from "../../commands/writes/write-rows.ts";
import { type SentTable, SentTableError } from "../../formats/sent-table.ts";
import { STATUS } from "../../protocol/codes.ts";
import { badRequest, RequestError } from "../../protocol/errors.ts";
import { isObject } from "../../protocol/json.ts";
import { ARROW_FILE, JSON_TYPE } from "../../protocol/media-types.ts";
import { messageOf } from "../../protocol/message-of.ts";
import { IDEMPOTENCY_HEADER } from "../../protocol/save-id.ts";
import type { Call } from "../call.ts";
import { decoded, mediaTypeOf, readBytes } from "../request-body.ts";
import { respond } from "../respond.ts";
import { FORMAT_TYPES } from "./format-types.ts";
import { sentRows } from "./sent-rows.ts";
import { parametersOf, parametersOfUrl } from "./v1-request.ts";

/** Bodies up to this size are read even when memory is short. */
const SMALL_BODY_BYTES = 1024 * 1024;

/** @param ask answers a question with these parameters. */
export async function answerPosted(
  call: Call,
  table: WrittenTable,
  ask: (parameters: Record<string, unknown>) => Promise<Response>,
): Promise<Response> {
  const { bodies, memory, maxBodyBytes } = call.options;
  const announced = call.announcedBytes;
  const type = call.request.headers.get("content-type");
  const format = formatOf(type);
  // Its rows take a multiple of its size for a moment.
  if (announced === null || announced > SMALL_BODY_BYTES) memory.admit("a large request");
  const share = bodies.share(call);
  let question: unknown;
  try {
    bodies.waiting++;
    const bytes = await readBytes(call, share).finally(() => bodies.waiting--);
    const body = await bodyOf(format, bytes, { type, table, unpackedBytesMax: maxBodyBytes });
    if (body.rows !== null) return await store(body.rows, table, call);
    question = body.json;
  } finally {
    // Of rows, when they are stored.
    share.release();
  }
  return ask(parametersOf(call.query, question));
}

async function store(rows: SentTable, table: WrittenTable, call: Call): Promise<Response> {
  call.demand("write");
  const { request, path, query } = call;
  const key = request.headers.get(IDEMPOTENCY_HEADER);
  const asked = { ...readWrite(table, path, parametersOfUrl(query), key), sender: call };
  return respond(JSON.stringify(await writeRows(rows, asked, call.context)), call);
}

type BodyFormat = "json" | "ndjson" | "csv" | "arrow" | "parquet";

/** @throws RequestError 415 */
function formatOf(type: string | null): BodyFormat {
  const media = mediaTypeOf(type);
  if (media === ARROW_FILE) return "arrow";
  const found = FORMAT_TYPES.find(({ accepted }) => accepted.includes(media));
  if (found !== undefined) return found.format as BodyFormat;
  const known = [...new Set(FORMAT_TYPES.flatMap(({ accepted }) => accepted.slice(0, 1)))];
  throw new RequestError(
    STATUS.wrongMediaType,
    `Content-Type: got ${JSON.stringify(type ?? "")}, expected ${JSON_TYPE} with rows or with parameters, or rows as ${known.filter((each) => each !== JSON_TYPE).join(", ")}`,
  );
}

interface BodyOptions {
  type: string | null;
  table: WrittenTable;
  unpackedBytesMax: number;
}

/** @throws RequestError 400 it is not of its format. */
async function bodyOf(
  format: BodyFormat,
  bytes: Uint8Array<ArrayBuffer>,
  { type, table, unpackedBytesMax }: BodyOptions,
): Promise<{ rows: SentTable } | { rows: null; json: unknown }> {
  try {
    switch (format) {
      case "arrow": {
        const { readArrowTable } = await import("../../formats/read-arrow.ts");
        return { rows: await readArrowTable(bytes) };
      }
      case "parquet": {
        const { readParquet } = await import("../../formats/read-parquet.ts");
        return { rows: await readParquet(bytes, { unpackedBytesMax }) };
      }
      case "csv": {
        const { readCsv } = await import("../../formats/read-csv.ts");
        return { rows: await readCsv(decoded(bytes, type, "Invalid CSV")) };
      }
      case "ndjson": {
        const { readNdjson } = await import("../../formats/read-records.ts");
        return { rows: await readNdjson(decoded(bytes, type, "Invalid NDJSON")) };
      }
      default:
        return await jsonBody(decoded(bytes, type, "Invalid JSON payload"), table);
    }
  } catch (error) {
    if (error instanceof SentTableError) throw badRequest(`body: ${error.message}`);
    throw error;
  }
}

async function jsonBody(
  text: string,
  table: WrittenTable,
): Promise<{ rows: SentTable } | { rows: null; json: unknown }> {
  const { parseExactJson } = await import("../../formats/read-records.ts");
  let json: unknown;
  try {
    json = parseExactJson(text);
  } catch (error) {
    throw badRequest("Invalid JSON payload", messageOf(error));
  }
  const rows = Array.isArray(json) || isObject(json) ? await sentRows(json, table) : null;
  return rows === null ? { rows, json } : { rows };
}
