/** Takes the rows out of an answer one by one: a replay needs the first few of a long answer. */

import { parseExactIntegers } from "../protocol/exact-integers.ts";
import { isObject, type JsonRecord } from "../protocol/json.ts";
import type { JsonRows } from "../storage/contract.ts";

/** A double holds every integer of 15 digits. Longer ones may lose digits. */
const LONG_INTEGER = /\d{16}/;
const QUOTE = 34;
const BACKSLASH = 92;
const OPEN = 123;
const CLOSE = 125;

/** Stopping early closes the answer. */
export async function* rowsOf(answer: JsonRows): AsyncGenerator<JsonRecord> {
  if (answer.empty) return;
  if ("text" in answer) {
    const { data } = parse(answer.text) as { data: JsonRecord[] };
    yield* data;
    return;
  }
  const splitter = new RowSplitter();
  const decoder = new TextDecoder();
  for await (const chunk of answer.chunks) {
    const text = typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    for (const row of splitter.take(text)) yield parse(row) as JsonRecord;
  }
}

/** Cuts `{"data":[{…},{…}]}`, in arbitrary pieces, into its rows, which hold no objects. */
class RowSplitter {
  #rest = "";
  /** How far `#rest` has been scanned. */
  #at = 0;
  #rowStart = -1;
  #inText = false;
  #begun = false;

  take(piece: string): string[] {
    const text = this.#rest + piece;
    const rows: string[] = [];
    let at = this.#at;
    if (!this.#begun && text !== "") {
      this.#begun = true;
      at = 1; // the brace around all rows
    }
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (this.#inText) {
        if (code === BACKSLASH) at++;
        else if (code === QUOTE) this.#inText = false;
      } else if (code === QUOTE) this.#inText = true;
      else if (code === OPEN) this.#rowStart = at;
      else if (code === CLOSE && this.#rowStart >= 0) {
        rows.push(text.slice(this.#rowStart, at + 1));
        this.#rowStart = -1;
      }
    }
    const keptFrom = this.#rowStart >= 0 ? this.#rowStart : text.length;
    this.#rest = text.slice(keptFrom);
    // One past the end if the last character was a backslash, whose partner comes next.
    this.#at = at - keptFrom;
    if (this.#rowStart >= 0) this.#rowStart = 0;
    return rows;
  }
}

function parse(text: string): JsonRecord {
  const value = LONG_INTEGER.test(text) ? parseExactIntegers(text) : JSON.parse(text);
  if (!isObject(value)) throw new Error("an answer of rows is no object");
  return value;
}
