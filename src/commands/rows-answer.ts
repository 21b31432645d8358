/** Rows as an answer: one text when small, a stream when large. */
import { atClientsPace, piecesOf } from "../protocol/clients-pace.ts";
import type { JsonRecord } from "../protocol/json.ts";
import { answeredRows } from "../storage/answered-rows.ts";
import type { JsonRows } from "../storage/contract.ts";
import type { Answer } from "./context.ts";

/** A stream holds a connection and its snapshot until it is read to its end or cancelled. */
export function toAnswer(rows: JsonRows, nothingFound: string): Answer {
  if (rows.empty) return `{"message":"${nothingFound}","data":[]}`;
  if ("text" in rows) return rows.text;
  return atClientsPace(piecesOf(rows.chunks[Symbol.asyncIterator]()));
}

/** An answer that says nothing where there are no rows. */
export function toDataAnswer(rows: JsonRows): Answer {
  return rows.empty ? '{"data":[]}' : toAnswer(rows, "");
}

/** A small answer, parsed; integers beyond a double are bigints. */
export async function recordsOf(rows: JsonRows): Promise<JsonRecord[]> {
  const records: JsonRecord[] = [];
  for await (const some of answeredRows(rows)) records.push(...some);
  return records;
}
