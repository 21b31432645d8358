/**
 * Rows of JSON objects: one a line, or one list. Their columns are the members that the first ones
 * have.
 */
import type { SourceField } from "../../market/csv.ts";
import { isObject, type JsonRecord, parseWithDigits } from "../../protocol/json.ts";
import { type SourceRow, type TextEncoding, textOf } from "./csv-rows.ts";
import { SourceError } from "./source.ts";

/** A list is read whole. */
const LIST_CHARS_MAX = 256 * 1024 * 1024;
const LONG_INTEGER = /\d{16}/;

export interface ObjectRows {
  columns: string[];
  batches: AsyncGenerator<SourceRow[]>;
}

/** @throws SourceError */
export async function ndjsonRows(
  name: string,
  chunks: AsyncIterable<Uint8Array>,
  { isList, encoding, sampleRows }: { isList: boolean; encoding: TextEncoding; sampleRows: number },
): Promise<ObjectRows> {
  const texts = textOf(name, chunks, encoding);
  const objects = isList ? listObjects(name, texts) : lineObjects(name, texts);
  const first: ObjectRow[] = [];
  for (let batch = await objects.next(); !batch.done; batch = await objects.next()) {
    first.push(...batch.value);
    if (first.length >= sampleRows) break;
  }
  const columns = [...new Set(first.flatMap(({ object }) => Object.keys(object)))];
  const indexes = new Map(columns.map((column, index) => [column, index]));
  const toRow = ({ line, object }: ObjectRow): SourceRow => rowOf(line, object, indexes);

  async function* batches(): AsyncGenerator<SourceRow[]> {
    try {
      yield first.map(toRow);
      for await (const batch of objects) yield batch.map(toRow);
    } finally {
      await objects.return(undefined);
    }
  }
  return { columns, batches: batches() };
}

interface ObjectRow {
  /** Of a list: which object it is. */
  line: number;
  object: JsonRecord;
}

async function* lineObjects(name: string, texts: AsyncIterable<string>): AsyncGenerator<ObjectRow[]> {
  for await (const lines of jsonLines(name, texts)) {
    yield lines.map(({ line, text }) => {
      const object = parse(text, (fault) => `${name}:${line}: ${isCutOff(text) ? OVER_LINES : fault}`);
      if (!isObject(object))
        throw new SourceError(`${name}:${line}: expected a JSON object, got ${text.slice(0, 60)}`);
      return { line, object };
    });
  }
}

const OVER_LINES =
  "a JSON object over several lines: expected one object a line (NDJSON), or one list of objects, [{…}, {…}]";

/** Whether an object begins on the line, and doesn't end there. */
function isCutOff(line: string): boolean {
  const bare = line.replace(/"(?:[^"\\]|\\.)*"/g, "");
  return bare.trimStart().startsWith("{") && bare.split("{").length > bare.split("}").length;
}

async function* jsonLines(
  name: string,
  texts: AsyncIterable<string>,
): AsyncGenerator<{ line: number; text: string }[]> {
  let rest = "";
  let line = 1;
  for await (const text of texts) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    if (rest.length > LIST_CHARS_MAX) throw new SourceError(`${name}:${line}: a line is too long`);
    const found = lines.flatMap((each, index) =>
      each.trim() === "" ? [] : [{ line: line + index, text: each }],
    );
    line += lines.length;
    if (found.length > 0) yield found;
  }
  if (rest.trim() !== "") yield [{ line, text: rest }];
}

async function* listObjects(name: string, texts: AsyncIterable<string>): AsyncGenerator<ObjectRow[]> {
  let text = "";
  for await (const part of texts) {
    text += part;
    if (text.length > LIST_CHARS_MAX)
      throw new SourceError(`${name}: a JSON list of more than 256 MB: expected one object a line`);
  }
  const list = parse(text, (fault) => `${name}: ${fault}`);
  if (!Array.isArray(list)) throw new SourceError(`${name}: expected a JSON list`);
  yield list.map((object, index) => {
    if (!isObject(object))
      throw new SourceError(`${name}, object ${index + 1}: expected a list of JSON objects`);
    return { line: index + 1, object };
  });
}

function parse(text: string, describe: (fault: string) => string): unknown {
  try {
    return LONG_INTEGER.test(text) ? parseWithDigits(text) : JSON.parse(text);
  } catch (error) {
    throw new SourceError(describe(`no JSON: ${(error as Error).message}`), { cause: error });
  }
}

function rowOf(line: number, object: JsonRecord, indexes: ReadonlyMap<string, number>): SourceRow {
  const row: SourceRow = { line, fields: new Array<SourceField>(indexes.size).fill(null) };
  for (const column in object) {
    const index = indexes.get(column);
    const field = fieldOf(object[column]);
    if (index !== undefined) row.fields[index] = field;
    else if (field !== null) row.more = { ...row.more, [column]: field };
  }
  return row;
}

function fieldOf(value: unknown): SourceField {
  if (value === null || value === undefined) return null;
  // An integer beyond a double: JSON is the only text that it has.
  if (typeof value === "object" && "rawJSON" in value) return JSON.stringify(value);
  return value as SourceField;
}
