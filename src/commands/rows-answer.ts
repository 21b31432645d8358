/** Rows as an answer: one text when small, a stream when large. */
import { atClientsPace, piecesOf } from "../protocol/clients-pace.ts";
import type { JsonRows } from "../storage/contract.ts";
import type { Answer } from "./context.ts";

/** A stream holds a connection and its snapshot until it is read to its end or cancelled. */
export function toAnswer(rows: JsonRows, nothingFound: string): Answer {
  if (rows.empty) return `{"message":"${nothingFound}","data":[]}`;
  if ("text" in rows) return rows.text;
  return atClientsPace(piecesOf(rows.chunks[Symbol.asyncIterator]()));
}
