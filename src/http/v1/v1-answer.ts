/** A table as the answer to a request. */
import type { OpenedQuestion } from "../../commands/questions/stored.ts";
import type { MarketTable } from "../../market-data/answer-columns.ts";
import {
  CountTypeMemory,
  type EncodedTable,
  encodeTable,
  type TableFormat,
} from "../../market-data/encode-table.ts";
import { jsonForm } from "../../market-data/json-forms.ts";
import { atClientsPace } from "../../protocol/clients-pace.ts";
import { STATUS } from "../../protocol/codes.ts";
import { badRequest, hasStatus } from "../../protocol/errors.ts";
import { messageOf } from "../../protocol/message-of.ts";
import type { Call } from "../call.ts";
import { inAscii } from "../in-ascii.ts";
import { respond } from "../respond.ts";
import { typeOfFormat } from "./format-types.ts";
import { acceptedFormat } from "./v1-request.ts";

/** Of this worker. */
const counts = new CountTypeMemory();
/** Characters of a header; clients take 8 KB and more for all of them. */
const HEADER_LENGTH_MAX = 4_096;

/** @throws RequestError 400, 503 */
export async function answerTable(
  { table, answer, isPage, isSingle, json, unknown }: OpenedQuestion,
  wanted: TableFormat | undefined,
  call: Call,
): Promise<Response> {
  const { log, memory } = call.options;
  const format = wanted ?? acceptedFormat(call.request.headers.get("accept"));
  const encoded = await encodeTable(answer, {
    ...{ format, isPage, table, counts },
    json: json ?? ((columns, end) => jsonForm(table as MarketTable, columns, end, isSingle)),
    warnings: async () => [...answer.warnings(), ...((await unknown?.warnings()) ?? [])],
    onBroken(error) {
      const text = `${call.path}: an answer was broken off after its first byte: ${messageOf(error)}`;
      if (hasStatus(error, STATUS.clientGone)) log.debug(text);
      else log.error(text);
    },
  });
  try {
    // The size of a read is known once it has begun.
    if (!encoded.isWhole) memory.admit(call.path);
    const headers = {
      "Content-Type": typeOfFormat(format),
      ...notesAsHeaders(encoded, answer.positions, format),
    };
    return await respond(encoded.bytes ?? atClientsPace(encoded.pieces), call, headers);
  } catch (error) {
    await encoded.pieces.cancel?.(error);
    throw error;
  }
}

/** What JSON has behind its rows. */
function notesAsHeaders(
  { notes }: EncodedTable,
  positions: OpenedQuestion["answer"]["positions"],
  format: TableFormat,
): Record<string, string> {
  const headers: Record<string, string> = { Vary: "Accept, Accept-Encoding" };
  if (notes.nextPage !== null) headers["Next-Page-Token"] = notes.nextPage;
  if (notes.warnings.length > 0) headers.Warnings = warningsHeader(notes.warnings);
  if (positions !== null && (format === "csv" || format === "ndjson")) {
    headers.Epoch = positions.epoch;
    headers.Positions = inAscii(Object.fromEntries(positions.byTicker));
  }
  const long = Object.entries(headers).find(([, value]) => value.length > HEADER_LENGTH_MAX);
  if (long?.[0] === "Positions")
    throw badRequest(
      `with_position: the positions of ${positions!.byTicker.size} tickers don't fit into a header, expected format json, columns, arrow or parquet`,
    );
  return headers;
}

/** As many as fit; a last one tells how many others there are. */
function warningsHeader(warnings: readonly string[]): string {
  for (let count = warnings.length; count > 0; count--) {
    const more = warnings.length - count;
    const told = more === 0 ? warnings : [...warnings.slice(0, count), `${more} more warnings`];
    const text = inAscii(told);
    if (text.length <= HEADER_LENGTH_MAX) return text;
  }
  return inAscii([`${warnings.length} warnings`]);
}
